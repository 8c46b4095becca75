// The floor as a line of text: what outlives a STATE that is made anew. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/engine/state.pb.h"

namespace basalt::engine {

// "EPOCH GENERATION DIGEST|- UNIX\n".
std::string FloorToText(const stored::Floor& floor, absl::Time time_floor);
// False for anything else: from a partition that others may write to.
bool FloorFromText(absl::string_view text, stored::Floor* floor, absl::Time* time_floor);

}  // namespace basalt::engine
