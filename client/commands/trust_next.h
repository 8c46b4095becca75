// From an edited policy to the next version of the chain: shown, signed by root keys, and kept.
// Shared by the verbs of `nodectl trust` that change something. Not thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/trust.pb.h"
#include "client/commands/commands.h"
#include "client/commands/session.h"
#include "machineconfig/sign/keys.h"

namespace basalt::client {

struct NextVersion {
  v1::TrustPolicy policy;
  // Keys at hand that have to sign beside those that the options name: the new root of a rotation.
  std::vector<sign::PrivateKey> signers;
  // Files to make once it is certain that something changes: generated keys, 0600.
  std::vector<std::pair<std::string, std::string>> new_files;
};

struct Outcome {
  bool complete = false;  // it is in trust.json
  int code = 0;
};

// Shows what `next` changes, and, unless it is a dry run, has it signed. Complete it becomes the
// chain of the context; otherwise trust.next.json, and it is said who has to sign yet. Reasons
// also: pending-policy (another next version awaits signatures), no-root-key.
absl::StatusOr<Outcome> MakeNext(Session& session, const TrustEditOptions& options,
                                 const NextVersion& next);

// Signatures of the keys that the options name; without any, of root keys whose files lie here,
// until enough have signed. no-root-key when there is none.
absl::Status AddRootSignatures(Session& session, const SigningOptions& options,
                               v1::SignedDocument& document);

// What a person is told when the chain has a new version.
void PrintDelivery(Session& session, int64_t version);

}  // namespace basalt::client
