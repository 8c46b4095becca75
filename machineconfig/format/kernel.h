// Names that the kernel knows: modules, settings, arguments, paths. Pure, thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace basalt::format {

// "br_netfilter"; without the suffix of the file.
absl::Status CheckModuleName(absl::string_view text);

// "vm.swappiness", "net.ipv4.conf.eth0/20.rp_filter": as sysctl(8) writes them, a `.` inside a name
// as `/`. The first part is one that exists.
absl::Status CheckSysctl(absl::string_view text);

// NAME or NAME=VALUE, at most 256 bytes, printable, without spaces and quotes: one word for the
// kernel, whatever stands around it.
absl::Status CheckKernelArgument(absl::string_view text);

// Absolute, at most 255 bytes; no `..`, `.`, empty part, trailing slash or odd character.
absl::Status CheckPath(absl::string_view text);

}  // namespace basalt::format
