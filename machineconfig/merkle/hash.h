// The hashes of RFC 6962 section 2.1. A leaf and an inner node begin with different bytes, so that
// nobody can pass off one as the other. Pure, thread-safe.
#pragma once

#include "absl/strings/string_view.h"
#include "machineconfig/base/digest.h"

namespace basalt::merkle {

Digest LeafHash(absl::string_view leaf);                   // sha256(0x00 leaf)
Digest NodeHash(const Digest& left, const Digest& right);  // sha256(0x01 left right)
Digest EmptyRoot();                                        // sha256 of nothing

}  // namespace basalt::merkle
