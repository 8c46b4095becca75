// Lies at the end of a partition while it is being formatted: from before the first byte of the
// format until after the first mount. A boot that finds it formats again, since nothing was ever
// kept there. File systems are kept away from its place.
#pragma once

#include <cstdint>

namespace basalt::gpt {

inline constexpr uint64_t kMarkDistance = 64 << 10;  // from the end
inline constexpr char kFormatMark[] = "basalt: this partition is being formatted";

}  // namespace basalt::gpt
