// The reference page of all kinds of documents, machineconfig/REFERENCE.md: `./dev docs` writes it,
// and a test compares. Pure, thread-safe.
#pragma once

#include <string>

namespace basalt::docs {

std::string ReferenceMarkdown();

}  // namespace basalt::docs
