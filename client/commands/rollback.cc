// nodectl rollback: old content as a new generation.
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/apply_report.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/commands/planning.h"
#include "client/commands/sign_other.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

// The kept copy is believed only when the node's own history knows its digest.
absl::Status CheckAgainstHistory(Session& session, const InventoryNode& node, int64_t generation,
                                 const v1::SignedDocument& document) {
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(node);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::HistoryReply> history = (*client)->History(0);
  if (!history.ok()) return history.status();
  const std::string digest = sign::DocumentDigest(document).ToString();
  for (const v1::Generation& known : history->generations()) {
    if (known.generation() != generation || known.digest() != digest) continue;
    if (known.state() == v1::APPLY_STATE_COMMITTED) return absl::OkStatus();
    return api::Coded(absl::StatusCode::kFailedPrecondition, "never-committed",
                      absl::StrCat("generation ", generation, " was never committed: it ended as ",
                                   StateWord(known.state())),
                      absl::StrCat("nodectl history -n ", node.name));
  }
  return api::Coded(absl::StatusCode::kNotFound, "unknown-generation",
                    absl::StrCat("the history of ", node.name, " has no generation ", generation,
                                 " with digest ", digest),
                    absl::StrCat("nodectl history -n ", node.name));
}

}  // namespace

absl::StatusOr<int> RunRollback(Session& session, const RollbackOptions& options) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<InventoryNode> node = session.Node(options.apply.node);
  if (!node.ok()) return node.status();
  const std::string file =
      options.file.empty() ? (*context)->SignedFile(node->name, options.generation) : options.file;
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) {
    return AtNode(api::Coded(absl::StatusCode::kNotFound, "no-copy",
                             absl::StrCat("no copy of generation ", options.generation, ": ",
                                          text.status().message()),
                             absl::StrCat("nodectl history -n ", node->name,
                                          " lists the generations. Nodes give out configs redacted "
                                          "only: name the signed file that was applied then, -f "
                                          "FILE.json")),
                  node->name);
  }
  const Input input{file, *text, true};
  if (absl::Status s = CheckSignatures(session, input); !s.ok()) return AtNode(s, node->name);
  absl::StatusOr<Document> document = ReadDocument(input);
  if (!document.ok()) return document.status();
  if (document->config.metadata().generation() != options.generation) {
    return api::Coded(
        absl::StatusCode::kInvalidArgument, "other-generation",
        absl::StrCat(file, " is generation ", document->config.metadata().generation(), ", not ",
                     options.generation));
  }
  absl::Status known = CheckAgainstHistory(session, *node, options.generation, document->envelope);
  if (!known.ok()) return AtNode(known, node->name);

  v1::MachineConfig config = document->config;
  v1::Metadata& metadata = *config.mutable_metadata();
  metadata.clear_generation();
  metadata.clear_signed_at();
  metadata.clear_not_before();
  metadata.clear_not_after();
  metadata.clear_base();
  metadata.clear_epoch();
  metadata.clear_apply();
  metadata.set_reason(absl::StrCat("rollback to ", options.generation));
  ApplyOptions apply = options.apply;
  // What could stand in the clear then may now, where the policy still has it so; what was sealed
  // is opened with our identity and sealed anew.
  apply.signing.allow_plaintext = true;
  const std::string name = absl::StrCat("rollback to ", options.generation);
  const Input input_of_then{name, yaml::Emit(config), false};
  if (options.to.empty()) return ApplyInputs(session, apply, {input_of_then});
  SignOptions sign;
  sign.node = node->name;
  sign.output_file = options.to;
  sign.yes = apply.yes;
  sign.signing = apply.signing;
  return SignInputs(session, sign, {input_of_then});
}

}  // namespace basalt::client
