// One signature over many machine configs. What is signed is a ConfigSet: the cluster, how many
// files there are, and the RFC 6962 root above them; a leaf is the PAE of one file. Each node gets
// its own file, the signatures of the set and the proof that the file is in it, as one
// SignedDocument of the file's type: its payload, and so its identity, are those of a file that was
// signed alone. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"
#include "basalt/v1/trust.pb.h"

namespace basalt::sign {

inline constexpr size_t kMaxSetPayload = 4096;  // a ConfigSet: some 200 bytes
inline constexpr size_t kMaxSetPath = 63;       // of a set as large as its size can say

// What the signatures of a document are over: the set it is part of, else itself. Valid while the
// document is.
struct SignedPart {
  v1::DocumentType type;
  absl::string_view payload;
};
SignedPart WhatIsSigned(const v1::SignedDocument& document);

// A set that nobody has signed yet, and the proof of each of its files.
struct NewSet {
  v1::SignedDocument set;  // type configset
  std::vector<v1::SetProof> proofs;
};
// Of at least one payload, each a complete machine config of `cluster`, in the order in which they
// stand in the set. The payloads are not looked into.
NewSet MakeSet(absl::string_view cluster, const std::vector<absl::string_view>& payloads);

// The set of a document as one of its own, with its signatures: to verify it alone, or to sign it
// once more. The document has a set proof.
v1::SignedDocument SetOf(const v1::SignedDocument& member);

// What a node gets: `payload` under the signatures of `set`.
v1::SignedDocument MemberOf(const v1::SignedDocument& set, const v1::SetProof& proof,
                            absl::string_view payload);

// What can be said without keys and without parsing: the set has a size, and the path the form of a
// path. Reasons: bad-proof, unsupported-proof (a type that is never part of a set).
absl::Status CheckProofShape(const v1::SignedDocument& document);

// Is the payload in the set, and is the set of `cluster`? Asked once the signatures over the set
// have passed, because it parses the set; the payload is not parsed. Returns the set. Reasons:
// bad-proof, wrong-cluster, and those of validation (the signers' own mistake).
absl::StatusOr<v1::ConfigSet> CheckProof(const v1::SignedDocument& document,
                                         absl::string_view cluster);

}  // namespace basalt::sign
