// Checks on Ed25519 encodings that OpenSSL leaves out (RFC 8032 section 5.1.3, and the small-order
// points of every strict verifier). Pure, thread-safe.
#pragma once

#include "absl/strings/string_view.h"

namespace basalt::sign {

enum class PointCheck { kGood, kNonCanonical, kSmallOrder, kNotOnCurve };

// `raw32`: an encoded public key.
PointCheck CheckEd25519Point(absl::string_view raw32);

// R of a 64-byte signature is not in its canonical encoding, or a point of small order: OpenSSL
// accepts the latter, and whoever signs honestly never makes either.
bool HasWeakR(absl::string_view signature64);

// S < L of a 64-byte signature: the other encodings of S would verify elsewhere.
bool HasCanonicalS(absl::string_view signature64);

}  // namespace basalt::sign
