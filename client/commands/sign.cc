// nodectl sign and verify: documents without a node.
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/commands/medium.h"
#include "client/commands/planning.h"
#include "client/commands/preview.h"
#include "client/commands/sealing.h"
#include "client/commands/sign_other.h"
#include "client/commands/sign_set.h"
#include "client/commands/signers.h"
#include "client/commands/signing.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/policy.h"
#include "machineconfig/sign/sshsig.h"
#include "machineconfig/validate/validate.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

absl::StatusOr<sign::VerifiedChain> ReadTrust(const std::string& file) {
  absl::StatusOr<std::string> json = ReadFile(file);
  if (!json.ok()) return json.status();
  absl::StatusOr<v1::TrustChain> chain = sign::ChainFromJson(*json);
  if (!chain.ok()) {
    return api::WithDetail(
        api::Coded(chain.status().code(), "bad-trust",
                   absl::StrCat(file, " is no trust chain: ", chain.status().message()),
                   "the trust.json that `nodectl init` made"),
        "file", file);
  }
  absl::StatusOr<sign::VerifiedChain> verified = sign::VerifyChain(*chain);
  if (!verified.ok()) return api::InFile(verified.status(), file);
  return verified;
}

absl::Status Usage(absl::string_view reason, const std::string& what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what, hint);
}

// Does a word of the command line ask for other bytes than are in the file?
bool AsksForChanges(const SigningOptions& o) {
  return !o.mode.empty() || !o.confirm_within.empty() || !o.reason.empty();
}

// A signature that exists needs no key of ours beside it, unless one is asked for.
bool UsesKeys(const SignOptions& o) {
  return o.attach.empty() || !o.signing.keys.empty() || !o.signing.sign_command.empty();
}

// What is in the file is what is signed: a signed document that gets one more signature, or a
// completed config whose signature exists already.
absl::StatusOr<SignedConfig> TakeAsItIs(Session& session, const Input& input,
                                        const SignOptions& options) {
  if (AsksForChanges(options.signing)) {
    return Usage(
        "signed-already",
        absl::StrCat(input.file, input.is_envelope ? " is signed" : " is what was signed",
                     ": --mode, --confirm-within and --reason have nothing left to change"),
        "change the source and sign it anew");
  }
  SignedConfig out;
  if (input.is_envelope) {
    // Signatures first, as everywhere: one more signature does not make a bad document good.
    if (absl::Status s = CheckSignatures(session, input); !s.ok()) return s;
    absl::StatusOr<Document> read = ReadDocument(input);
    if (!read.ok()) return read.status();
    // The one before was warned as well, and this one may know better.
    PrintViolations(session.io(), "warning", read->warnings);
    out.document = std::move(read->envelope);
    out.config = std::move(read->config);
  } else {
    absl::StatusOr<v1::MachineConfig> config =
        validate::Load(input.text, input.file, validate::Stage::kComplete);
    if (!config.ok()) {
      PrintWarning(session.io(), absl::StrCat(input.file,
                                              " must be complete: what nodectl sign -f SOURCE "
                                              "--payload-only -o FILE wrote, and what was signed"));
      return config.status();
    }
    out.document.set_type(v1::DOCUMENT_TYPE_MACHINE_CONFIG);
    out.document.set_payload(input.text);
    out.config = *std::move(config);
  }
  if (absl::Status s = CheckCluster(session, input.file, out.config); !s.ok()) return s;
  const std::vector<std::string> plain = schema::PlaintextSecrets(out.config);
  if (UsesKeys(options) && !plain.empty() && !options.signing.allow_plaintext) {
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "plaintext-secrets",
        absl::StrCat(input.file, " holds secrets in the clear: ", absl::StrJoin(plain, ", ")),
        "--allow-plaintext signs it as it is");
  }
  out.digest = sign::DocumentDigest(out.document).ToString();
  return out;
}

// Nodes that do not answer are waited for together, not each.
Reached ReachInTime(Session& session, const InventoryNode* node, Patience& patience) {
  if (!patience.left()) {
    Reached out;
    out.why_not = "other nodes did not answer";
    if (node != nullptr) out.name = node->name;
    return out;
  }
  const absl::Time start = absl::Now();
  Reached out = Reach(session, node);
  if (!out.hello) patience.Spend(absl::Now() - start);
  return out;
}

// What is shown must be about the machine that is signed for.
absl::Status CheckMachine(const Input& input, const v1::MachineConfig& config,
                          const InventoryNode* node) {
  if (node == nullptr) return absl::OkStatus();
  return CheckTarget({.file = input.file, .config = config, .is_signed = input.is_envelope}, *node);
}

// With its secrets, where they open for us.
v1::MachineConfig Opened(Session& session, const SignOptions& options, const SignedConfig& made) {
  if (made.opened.has_metadata()) return made.opened;
  v1::MachineConfig opened = made.config;
  OpenForComparison(session, options.signing.identities, opened);
  return opened;
}

// Each signer sees what the signature would change. `before` is set to what it was compared with,
// where that is a config that is known here.
absl::Status Show(Session& session, const SignOptions& options, const SignedConfig& made,
                  const Reached& reached, std::optional<v1::MachineConfig>& before) {
  return ShowConfig(session, made.config, Opened(session, options, made), reached, options.yes,
                    options.signing.identities, &before);
}

// Do the grants of those who signed cover what would change? The node asks that against what it
// runs; here it is asked against what is known of that.
absl::Status CheckScope(const sign::VerifiedChain& trust, const v1::SignedDocument& document,
                        const v1::MachineConfig& opened,
                        const std::optional<v1::MachineConfig>& before) {
  if (!before) return absl::OkStatus();
  auto verified = sign::Verify(document, document.type(), trust.policy);
  if (!verified.ok()) return verified.status();
  const v1::MachineConfig from = schema::Resolve(*before), to = schema::Resolve(opened);
  return sign::AuthorizeConfig(trust.policy, verified->signers(), diff::Diff(&from, to), &from, to);
}

absl::StatusOr<SignedConfig> Complete(Session& session, Input& input, const SignOptions& options,
                                      Patience& patience, Reached& reached) {
  absl::StatusOr<Document> source = ReadDocument(input);
  if (!source.ok()) return source.status();
  PrintViolations(session.io(), "warning", source->warnings);
  absl::Status opened = OpenSealed(session, options.signing.identities, input, *source);
  if (!opened.ok()) return opened;
  absl::StatusOr<const Inventory*> inventory = session.inventory();
  if (!inventory.ok()) return inventory.status();
  const std::string name = source->config.metadata().name();
  // A first config is for a machine that nobody can ask, whatever had its name before.
  const InventoryNode* node = options.signing.medium_id.empty()
                                  ? MachineOf(**inventory, options.node, source->config)
                                  : nullptr;
  if (absl::Status s = CheckMachine(input, source->config, node); !s.ok()) return s;
  // Its floor, when it answers: otherwise the last signed file is the guide. A generation below the
  // floor is refused by the node by name.
  reached = ReachInTime(session, node, patience);
  absl::StatusOr<SignedConfig> made =
      CompleteConfig(session, input.file, source->config, node, reached.hello, options.signing);
  return made.ok() ? made : AtNode(made.status(), name);
}

absl::Status WriteOut(Io& io, const std::string& file, const std::string& text) {
  if (file.empty() || file == "-") {
    io.out << text;
    return absl::OkStatus();
  }
  return WriteFileAtomically(file, text, 0600);
}

}  // namespace

absl::StatusOr<int> RunSign(Session& session, const SignOptions& options) {
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  SignOptions with_medium = options;
  if (!options.medium.empty()) {
    if (inputs->size() != 1) {
      return Usage("one-at-a-time", "a medium has the config of one node", "sign each for its own");
    }
    absl::StatusOr<Medium> medium = ReadMedium(options.medium);
    if (!medium.ok()) return medium.status();
    with_medium.signing.medium_id = medium->id;
    with_medium.signing.medium_recipient = medium->recipient;
  }
  return SignInputs(session, with_medium, *std::move(inputs));
}

absl::StatusOr<int> SignInputs(Session& session, const SignOptions& options,
                               std::vector<Input> inputs) {
  Io& io = session.io();
  if (options.payload_only && !options.attach.empty()) {
    return Usage("one-at-a-time", "--payload-only comes before signing, --attach after it",
                 "nodectl sign --help shows the three steps");
  }
  const bool for_set = IsForSet(inputs, options);
  std::optional<Input> set_file;
  if (for_set) {
    if (absl::Status s = PrepareSet(options, inputs, set_file); !s.ok()) return s;
  }
  Patience patience;
  std::vector<SetItem> items;
  std::vector<api::Violation> wrong;
  for (Input& input : inputs) {
    if (IsPolicyOrAction(input)) {
      if (for_set) {
        return Usage(
            "one-at-a-time",
            absl::StrCat(input.file, " is no machine config, and a set holds nothing else"),
            "sign it alone: nodectl sign -f FILE");
      }
      if (absl::Status s = SignPolicyOrAction(session, input, options); !s.ok()) return s;
      continue;
    }
    Reached reached;
    std::optional<v1::MachineConfig> before;
    const bool as_it_is = input.is_envelope || !options.attach.empty();
    absl::StatusOr<SignedConfig> made = as_it_is
                                            ? TakeAsItIs(session, input, options)
                                            : Complete(session, input, options, patience, reached);
    if (!made.ok() && for_set && !api::Violations(made.status()).empty()) {
      // The mistakes of all files at once, and nothing is signed.
      const std::vector<api::Violation> found = api::Violations(made.status());
      wrong.insert(wrong.end(), found.begin(), found.end());
      continue;
    }
    if (!made.ok()) return made.status();
    const std::string name = made->config.metadata().name();
    if (!for_set) {
      for (const std::string& line : made->filled_in) io.err << "  filled in " << line << "\n";
    } else if (!made->filled_in.empty()) {
      io.err << "  " << name << ": filled in " << absl::StrJoin(made->filled_in, ", ") << "\n";
    }
    if (!options.payload_only && !for_set && UsesKeys(options)) {
      if (as_it_is) {
        absl::StatusOr<const Inventory*> inventory = session.inventory();
        if (!inventory.ok()) return inventory.status();
        const InventoryNode* node = MachineOf(**inventory, options.node, made->config);
        if (absl::Status s = CheckMachine(input, made->config, node); !s.ok()) return s;
        reached = ReachInTime(session, node, patience);
      }
      if (absl::Status sure = Show(session, options, *made, reached, before); !sure.ok()) {
        return sure;
      }
    }
    if (for_set) {
      items.push_back({input.file, input.is_envelope, *std::move(made)});
      continue;
    }
    if (options.payload_only) {
      absl::Status written = WriteOut(io, options.output_file, made->document.payload());
      if (!written.ok()) return written;
      io.err << "to sign for " << name << ": ssh-keygen -Y sign -n "
             << sign::SshNamespace(made->document.type()) << " -f KEY FILE, or minisign -S -t "
             << sign::MinisignComment(made->document.type()) << " -m FILE; then nodectl sign -f "
             << (input.is_envelope ? input.file : "FILE") << " --attach SIGNATURE\n";
      continue;
    }
    if (absl::Status s = AttachSignatures(options.attach, made->document); !s.ok()) return s;
    if (UsesKeys(options)) {
      absl::Status signed_too = AddSignatures(session, options.signing, made->document);
      if (!signed_too.ok()) return signed_too;
    }
    absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
    if (!trust.ok()) return trust.status();
    absl::Status good = VerifyLocally(**trust, made->document, made->config);
    if (!good.ok()) {
      // The file is made, and it is said what is still missing.
      if (!AwaitsSigners(good)) return AtNode(good, name);
      WarnOfMissing(session, good);
    } else if (absl::Status scope =
                   CheckScope(**trust, made->document, Opened(session, options, *made), before);
               !scope.ok()) {
      WarnOfMissing(session, scope);
    }
    // Whoever delivers it has no directory like this one: `rollback` will look for it here.
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    absl::Status kept = KeepCopy(**context, made->config, made->document);
    if (!kept.ok()) return kept;
    absl::Status written = WriteOut(io, options.output_file, sign::ToDsseJson(made->document));
    if (!written.ok()) return written;
    if (options.output_file.empty() || options.output_file == "-") continue;
    io.err << "signed " << made->digest << " for " << name << ", generation "
           << made->config.metadata().generation() << ": " << options.output_file << "\n";
  }
  if (!wrong.empty()) return api::Invalid(wrong);
  if (!for_set) return 0;
  if (!options.payload_only && UsesKeys(options)) {
    // Nothing is asked before every file is known to be right.
    for (const SetItem& item : items) {
      absl::StatusOr<const Inventory*> inventory = session.inventory();
      if (!inventory.ok()) return inventory.status();
      const InventoryNode* node = MachineOf(**inventory, "", item.made.config);
      absl::Status machine = CheckMachine({.file = item.file, .is_envelope = item.signed_before},
                                          item.made.config, node);
      if (!machine.ok()) return machine;
      const Reached reached = ReachInTime(session, node, patience);
      std::optional<v1::MachineConfig> before;
      if (absl::Status sure = Show(session, options, item.made, reached, before); !sure.ok()) {
        return sure;
      }
    }
  }
  absl::Status done = SignSet(session, options, std::move(items), set_file);
  return done.ok() ? absl::StatusOr<int>(0) : done;
}

absl::StatusOr<int> RunVerify(Session& session, const VerifyOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  std::string file = options.trust;
  if (file.empty()) {
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    file = (*context)->trust;
  }
  absl::StatusOr<sign::VerifiedChain> trust = ReadTrust(file);
  if (!trust.ok()) return trust.status();
  for (const Input& input : *inputs) {
    if (!input.is_envelope) {
      return api::WithDetail(
          api::Coded(absl::StatusCode::kInvalidArgument, "not-signed",
                     absl::StrCat(input.file, " is not a signed document"),
                     absl::StartsWith(absl::StripLeadingAsciiWhitespace(input.text), "[")
                         ? "a trust chain? It is what documents are verified with: --trust FILE"
                         : "nodectl sign -f FILE -o FILE.json"),
          "file", input.file);
    }
    absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(input.text);
    if (!document.ok()) return api::InFile(document.status(), input.file);
    absl::StatusOr<sign::VerifiedDocument> verified =
        sign::Verify(*document, document->type(), trust->policy);
    if (!verified.ok()) return api::InFile(verified.status(), input.file);
    if (document->type() == v1::DOCUMENT_TYPE_MACHINE_CONFIG) {
      absl::StatusOr<Document> read = ReadDocument(input);
      if (!read.ok()) return read.status();
      if (absl::Status s = VerifyLocally(*trust, *document, read->config); !s.ok()) {
        return api::InFile(s, input.file);
      }
    }
    std::vector<std::string> signers;
    for (const sign::Signer& signer : verified->signers()) signers.push_back(signer.name);
    if (io.json() || io.format == Format::kYaml) {
      nlohmann::ordered_json out;
      out["file"] = input.file;
      out["type"] = std::string(sign::TypeWord(document->type()));
      out["digest"] = verified->digest().ToString();
      out["signers"] = signers;
      if (const auto& set = verified->set()) {
        out["set"] = {{"digest", set->set.ToString()}, {"index", set->index}, {"size", set->size}};
      }
      if (io.json()) {
        io.out << out.dump() << "\n";
      } else {
        io.out << "---\n" << JsonToYaml(out.dump());
      }
    } else if (io.format == Format::kName) {
      io.out << Escape(input.file) << "\n";
    } else {
      io.out << Escape(input.file) << ": good, signed by " << absl::StrJoin(signers, ", ") << ", "
             << verified->digest().ToString();
      if (const auto& set = verified->set()) {
        io.out << ", file " << set->index + 1 << " of " << set->size << " of set "
               << set->set.ToString();
      }
      io.out << "\n";
    }
  }
  return 0;
}

}  // namespace basalt::client
