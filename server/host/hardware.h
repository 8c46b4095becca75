// What the machine is made of, read from the kernel's own files. Reading them is repeatable and
// changes nothing; a file that is not there leaves its field empty.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "server/host/platform.h"

namespace basalt::host {

// Architecture, memory, processors, and whether `data_directory` lies on a card.
Hardware MeasureHardware(const std::string& data_directory);

// What tells this machine from others: serial number and the addresses of its Ethernet ports,
// sorted. `root`: where /sys and /proc are found, "" but in tests. Not for the sandbox: its nodes
// share one.
void IdentifyHardware(const std::string& root, Hardware* hardware);

// "" for what makers leave in the field of the serial number: "To Be Filled By O.E.M.", zeros, ...
std::string RealSerial(absl::string_view text);

}  // namespace basalt::host
