// Time without a clock: it is not before the image was built.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr char kImageFile[] = "/usr/lib/basalt/image.json";

// The value of "buildTime" in a flat JSON object: seconds since 1970, or "2026-11-25T12:00:00Z".
// -1 when there is none, or none that makes sense. Pure; any bytes may come.
int64_t BuildTime(const char* text, size_t size);

// Moves the clock forward to the build time, never back. Was it moved?
bool RaiseClock(Machine& machine);

}  // namespace basalt::init
