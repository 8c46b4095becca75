// Where a probe may go without an admin. A node reaches more than who asks it does: its own
// services on loopback, and the metadata service of a cloud, which gives out credentials. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace basalt::diagnose {

// "" when everybody may; else what it is: "loopback", "link-local", "a metadata service", ...
// `ip`: as text; what is none is closed.
std::string WhyClosed(absl::string_view ip);

}  // namespace basalt::diagnose
