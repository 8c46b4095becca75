// The verifying half of RFC 6962, by the algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2. A
// proof has one length for its sizes: one that is shorter or longer is refused. Size and root
// belong together: a proof alone does not say how many leaves there are, whoever states the root
// does. Pure, thread-safe.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "machineconfig/base/digest.h"

namespace basalt::merkle {

// Is the leaf with `leaf_hash` number `index` of the `size` leaves below `root`?
bool VerifyInclusion(const Digest& leaf_hash, uint64_t index, uint64_t size,
                     absl::Span<const Digest> path, const Digest& root);

// Do the `to` leaves below `to_root` begin with the `from` leaves below `from_root`? Of equal sizes
// the roots are compared; a tree without leaves is the beginning of every other.
bool VerifyConsistency(uint64_t from, uint64_t to, const Digest& from_root, const Digest& to_root,
                       absl::Span<const Digest> path);

}  // namespace basalt::merkle
