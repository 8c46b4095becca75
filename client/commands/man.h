// Manual pages of nodectl, from the parser: what --help says, a page a verb. Heavy: includes CLI11.
#pragma once

#include <map>
#include <string>

#include "CLI/CLI.hpp"

namespace basalt::client {

// File name ("nodectl-gen-config.1") → its text in man(7) macros, deterministic.
std::map<std::string, std::string> ManPages(const CLI::App& app);

}  // namespace basalt::client
