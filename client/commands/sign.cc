// nodectl sign and verify: documents without a node.
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/commands/signing.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/sign/document.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

constexpr absl::Duration kHelloForFloor = absl::Seconds(3);

// The node's floor, when the node is known and answers: otherwise the last signed file is the
// guide.
std::optional<v1::HelloReply> AskFloor(Session& session, const InventoryNode* node) {
  if (node == nullptr || node->fingerprint.empty()) return std::nullopt;
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return std::nullopt;
  absl::StatusOr<v1::HelloReply> hello = (*client)->Hello(kHelloForFloor);
  // Ignoring: signing works offline; a generation below the floor is refused by the node by name.
  if (!hello.ok()) return std::nullopt;
  return *hello;
}

absl::StatusOr<sign::VerifiedChain> ReadTrust(const std::string& file) {
  absl::StatusOr<std::string> json = ReadFile(file);
  if (!json.ok()) return json.status();
  absl::StatusOr<v1::TrustChain> chain = sign::ChainFromJson(*json);
  if (!chain.ok()) {
    return api::Coded(chain.status().code(), "bad-trust",
                      absl::StrCat(file, " is no trust chain: ", chain.status().message()),
                      "the trust.json that `nodectl init` made");
  }
  absl::StatusOr<sign::VerifiedChain> verified = sign::VerifyChain(*chain);
  if (!verified.ok()) return api::Annotate(verified.status(), file);
  return verified;
}

}  // namespace

absl::StatusOr<int> RunSign(Session& session, const SignOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  if (inputs->size() > 1 && !options.output_file.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "one-at-a-time",
                      absl::StrCat("-o names one file, and there are ", inputs->size(), " sources"),
                      "sign them one by one");
  }
  for (const Input& input : *inputs) {
    if (input.is_envelope) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "signed-already",
                        absl::StrCat(input.file, " is a signed document, not a source"));
    }
    absl::StatusOr<Document> source = ReadDocument(input);
    if (!source.ok()) return source.status();
    PrintViolations(io, "warning", source->warnings);
    absl::StatusOr<const Inventory*> inventory = session.inventory();
    if (!inventory.ok()) return inventory.status();
    const std::string name = source->config.metadata().name();
    const InventoryNode* node = (*inventory)->Find(options.node.empty() ? name : options.node);
    absl::StatusOr<SignedConfig> made = SignConfig(session, input.file, source->config, node,
                                                   AskFloor(session, node), options.signing);
    if (!made.ok()) return AtNode(made.status(), name);
    absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
    if (!trust.ok()) return trust.status();
    absl::Status good = VerifyLocally(**trust, made->document, made->config);
    if (!good.ok()) {
      // One of several signers signs first: the file is made, and it is said what is still missing.
      if (api::Reason(good) != "too-few-signers") return AtNode(good, name);
      PrintWarning(io, absl::StrCat("no node will accept it yet: ", good.message()));
    }
    // Whoever delivers it has no directory like this one: `rollback` will look for it here.
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    absl::Status kept = KeepCopy(**context, made->config, made->document);
    if (!kept.ok()) return kept;
    for (const std::string& line : made->filled_in) io.err << "  filled in " << line << "\n";
    const std::string json = sign::ToDsseJson(made->document);
    if (options.output_file.empty() || options.output_file == "-") {
      io.out << json << "\n";
      continue;
    }
    absl::Status written = WriteFileAtomically(options.output_file, json + "\n", 0600);
    if (!written.ok()) return written;
    io.err << "signed " << made->digest << " for " << name << ", generation "
           << made->config.metadata().generation() << ": " << options.output_file << "\n";
  }
  return 0;
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
      return api::Coded(absl::StatusCode::kInvalidArgument, "not-signed",
                        absl::StrCat(input.file, " is not a signed document"),
                        absl::StartsWith(absl::StripLeadingAsciiWhitespace(input.text), "[")
                            ? "a trust chain? It is what documents are verified with: --trust FILE"
                            : "nodectl sign -f FILE -o FILE.json");
    }
    absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(input.text);
    if (!document.ok()) return api::Annotate(document.status(), input.file);
    absl::StatusOr<sign::VerifiedDocument> verified =
        sign::Verify(*document, document->type(), trust->policy);
    if (!verified.ok()) return api::Annotate(verified.status(), input.file);
    if (document->type() == v1::DOCUMENT_TYPE_MACHINE_CONFIG) {
      absl::StatusOr<Document> read = ReadDocument(input);
      if (!read.ok()) return read.status();
      if (absl::Status s = VerifyLocally(*trust, *document, read->config); !s.ok()) {
        return api::Annotate(s, input.file);
      }
    }
    std::vector<std::string> signers;
    for (const sign::Signer& signer : verified->signers()) signers.push_back(signer.name);
    if (io.json()) {
      nlohmann::ordered_json out;
      out["file"] = input.file;
      out["type"] = std::string(sign::TypeWord(document->type()));
      out["digest"] = verified->digest().ToString();
      out["signers"] = signers;
      io.out << out.dump() << "\n";
    } else {
      io.out << input.file << ": good, signed by " << absl::StrJoin(signers, ", ") << ", "
             << verified->digest().ToString() << "\n";
    }
  }
  return 0;
}

}  // namespace basalt::client
