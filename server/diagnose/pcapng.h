// A capture as pcapng (draft-ietf-opsawg-pcapng), little-endian. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::diagnose {

// Section and interface; times are nanoseconds.
std::string PcapngHead(absl::string_view interface, int link_type, uint32_t snap_length);
std::string PcapngPacket(uint64_t unix_nanos, uint32_t original_length, absl::string_view bytes);
// The end: what was received and what the kernel dropped.
std::string PcapngStatistics(uint64_t unix_nanos, uint64_t received, uint64_t dropped);

}  // namespace basalt::diagnose
