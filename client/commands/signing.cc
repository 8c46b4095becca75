#include "client/commands/signing.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/inputs.h"
#include "client/commands/sealing.h"
#include "client/commands/signers.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/merge/set_path.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

// Generations of which copies are kept, the newest last; none when nothing was signed for it yet.
std::vector<int64_t> Copies(const Context& context, const std::string& node) {
  std::vector<int64_t> out;
  absl::StatusOr<std::vector<std::string>> files =
      ListFiles(JoinPath(context.signed_directory, node));
  if (!files.ok()) return out;
  for (absl::string_view file : *files) {
    int64_t generation = 0;
    if (absl::EndsWith(file, ".json") &&
        absl::SimpleAtoi(file.substr(0, file.size() - 5), &generation)) {
      out.push_back(generation);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

// 0 when the copy cannot be read: then it is no guide.
int64_t EpochOf(const Context& context, const std::string& node, int64_t generation) {
  absl::StatusOr<std::string> text = ReadFile(context.SignedFile(node, generation));
  if (!text.ok()) return 0;
  absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(*text);
  if (!document.ok()) return 0;
  absl::StatusOr<v1::MachineConfig> config = validate::LoadAccepted(document->payload());
  return config.ok() ? config->metadata().epoch() : 0;
}

}  // namespace

std::vector<std::string> FillIn(v1::MachineConfig& config, const FillFacts& facts) {
  std::vector<std::string> out;
  v1::Metadata& metadata = *config.mutable_metadata();
  if (!metadata.has_epoch()) {
    metadata.set_epoch(facts.epoch);
    out.push_back(absl::StrCat("metadata.epoch: ", facts.epoch));
  }
  if (!metadata.has_generation()) {
    metadata.set_generation(sign::DefaultGeneration(facts.now, facts.floor_generation));
    out.push_back(absl::StrCat("metadata.generation: ", metadata.generation()));
  }
  if (!metadata.has_signed_at()) {
    metadata.set_signed_at(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", facts.now, absl::UTCTimeZone()));
    out.push_back(absl::StrCat("metadata.signedAt: ", metadata.signed_at()));
  }
  const v1::Target& target = config.target();
  const bool named =
      target.has_machine_id() || target.has_serial() || target.has_mac() || target.has_medium_id();
  if (!named && !facts.medium_id.empty()) {
    config.mutable_target()->set_medium_id(facts.medium_id);
    out.push_back(absl::StrCat("target.mediumId: ", facts.medium_id));
  } else if (!named && !facts.machine_id.empty()) {
    config.mutable_target()->set_machine_id(facts.machine_id);
    out.push_back(absl::StrCat("target.machineId: ", facts.machine_id));
  }
  return out;
}

absl::Status SetApplyOptions(v1::MachineConfig& config, const SigningOptions& options) {
  const std::pair<absl::string_view, const std::string&> fields[] = {
      {"metadata.apply.mode", options.mode},
      {"metadata.apply.confirmWithin", options.confirm_within}};
  for (const auto& [path, value] : fields) {
    if (value.empty()) continue;
    absl::Status status = merge::SetPath(absl::StrCat(path, "=", value), config);
    if (!status.ok()) return status;
  }
  if (!options.reason.empty()) config.mutable_metadata()->set_reason(options.reason);
  return absl::OkStatus();
}

int64_t LastSigned(const Context& context, const std::string& node, int64_t epoch) {
  const std::vector<int64_t> copies = Copies(context, node);
  for (auto it = copies.rbegin(); it != copies.rend(); ++it) {
    if (EpochOf(context, node, *it) == epoch) return *it;  // nearly always the first
  }
  return 0;
}

int64_t SignedBefore(const Context& context, const std::string& node, int64_t epoch,
                     int64_t generation) {
  std::pair<int64_t, int64_t> best = {0, 0};
  const std::vector<int64_t> copies = Copies(context, node);
  for (auto it = copies.rbegin(); it != copies.rend(); ++it) {
    const std::pair<int64_t, int64_t> copy = {EpochOf(context, node, *it), *it};
    if (copy < std::make_pair(epoch, generation)) best = std::max(best, copy);
    if (best.first == epoch) break;  // what follows is older
  }
  return best.second;
}

absl::Status VerifyLocally(const sign::VerifiedChain& trust, const v1::SignedDocument& document,
                           const v1::MachineConfig& config) {
  absl::StatusOr<sign::VerifiedDocument> verified =
      sign::Verify(document, v1::DOCUMENT_TYPE_MACHINE_CONFIG, trust.policy);
  if (!verified.ok()) return verified.status();
  if (absl::Status s = sign::CheckPlaintext(trust.policy, config); !s.ok()) return s;
  // A document without changes still needs the threshold of one grant.
  return sign::AuthorizeConfig(trust.policy, verified->signers(), {}, nullptr, config);
}

absl::Status CheckCluster(Session& session, const std::string& file,
                          const v1::MachineConfig& config) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  if (config.metadata().cluster() == (*context)->cluster) return absl::OkStatus();
  return api::WithDetail(
      api::Coded(absl::StatusCode::kInvalidArgument, "wrong-cluster",
                 absl::StrCat(file, " is for cluster ", config.metadata().cluster(),
                              ", the context is ", (*context)->cluster),
                 "choose the context of that cluster with --context"),
      "file", file);
}

absl::StatusOr<SignedConfig> CompleteConfig(Session& session, const std::string& file,
                                            v1::MachineConfig config, const InventoryNode* node,
                                            const std::optional<v1::HelloReply>& hello,
                                            const SigningOptions& options) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  if (absl::Status s = SetApplyOptions(config, options); !s.ok()) return s;
  if (absl::Status s = CheckCluster(session, file, config); !s.ok()) return s;
  const std::string name = config.metadata().name();
  // Nobody can be asked yet: the medium stands for the machine.
  const bool for_medium = !options.medium_id.empty();
  const InventoryNode medium{.name = name, .recipient = options.medium_recipient};
  if (for_medium) node = &medium;
  FillFacts facts;
  facts.now = absl::Now();
  facts.epoch = (*trust)->policy.epoch();
  facts.floor_generation = LastSigned(**context, name, facts.epoch);
  // A floor of an older epoch says nothing about this one.
  if (hello && hello->floor_epoch() == facts.epoch) {
    facts.floor_generation = std::max(facts.floor_generation, hello->floor_generation());
  }
  if (node != nullptr) facts.machine_id = node->fingerprint;
  if (facts.machine_id.empty() && hello) facts.machine_id = hello->machine_id();

  if (for_medium) facts.medium_id = options.medium_id;
  SignedConfig out;
  out.filled_in = FillIn(config, facts);
  if (for_medium && config.target().has_machine_id()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "not-for-a-first-config",
                      absl::StrCat(file,
                                   ": target.machineId names a node that exists already, and "
                                   "a medium makes a new one"),
                      "leave target out: the medium is its target");
  }
  if (!config.has_target()) {
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "not-pinned",
        absl::StrCat(file, " names no target, and node ", name, " is not pinned"),
        absl::StrCat("nodectl pin ", name, " --node HOST:PORT --fingerprint FINGERPRINT"));
  }
  validate::Findings findings = validate::Validate(config, validate::Stage::kComplete, {}, file);
  if (!findings.ok()) return api::Invalid(findings.errors);

  out.opened = config;
  absl::Status sealed = SealForNode(session, file, node, hello, options.allow_plaintext, config);
  if (!sealed.ok()) return sealed;
  out.document.set_type(v1::DOCUMENT_TYPE_MACHINE_CONFIG);
  out.document.set_payload(yaml::Emit(config));
  out.config = std::move(config);
  out.digest = sign::DocumentDigest(out.document).ToString();
  return out;
}

absl::StatusOr<SignedConfig> SignConfig(Session& session, const std::string& file,
                                        v1::MachineConfig config, const InventoryNode* node,
                                        const std::optional<v1::HelloReply>& hello,
                                        const SigningOptions& options) {
  absl::StatusOr<SignedConfig> out =
      CompleteConfig(session, file, std::move(config), node, hello, options);
  if (!out.ok()) return out;
  if (absl::Status s = AddSignatures(session, options, out->document); !s.ok()) return s;
  return out;
}

absl::Status KeepCopy(const Context& context, const v1::MachineConfig& config,
                      const v1::SignedDocument& document) {
  return KeepCopies(context, {{&config, &document}});
}

absl::Status KeepCopies(const Context& context, const std::vector<CopyToKeep>& copies) {
  std::vector<FileToWrite> files;
  for (const CopyToKeep& copy : copies) {
    const v1::Metadata& metadata = copy.config->metadata();
    files.push_back({context.SignedFile(metadata.name(), metadata.generation()),
                     sign::ToDsseJson(*copy.document)});
    absl::Status made = MakeDirectory(DirectoryOf(files.back().path), 0700);
    if (!made.ok()) return made;
  }
  if (absl::Status s = WriteFilesAtomically(files, 0600); !s.ok()) return s;
  for (const CopyToKeep& copy : copies) {
    const v1::Metadata& metadata = copy.config->metadata();
    const std::vector<int64_t> kept = Copies(context, metadata.name());
    for (size_t i = 0; i + kKeptCopies < kept.size(); ++i) {
      // An old generation that is sent again stays until something newer comes.
      if (kept[i] == metadata.generation()) continue;
      absl::Status removed = RemoveFile(context.SignedFile(metadata.name(), kept[i]));
      if (!removed.ok()) return removed;
    }
  }
  return absl::OkStatus();
}

bool AwaitsSigners(const absl::Status& verdict) {
  const std::string reason = api::Reason(verdict);
  return reason == "too-few-signers" || reason == "label-scope";
}

void WarnOfMissing(Session& session, const absl::Status& verdict) {
  const std::string hint = api::Hint(verdict);
  PrintWarning(session.io(), absl::StrCat("no node will accept it yet: ", verdict.message(),
                                          hint.empty() ? "" : "; ", hint));
}

}  // namespace basalt::client
