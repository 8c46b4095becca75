#include "client/commands/sign_other.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/preview.h"
#include "client/commands/signers.h"
#include "client/commands/signing.h"
#include "client/commands/trust_next.h"
#include "client/commands/trust_words.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/next_policy.h"
#include "machineconfig/sign/sshsig.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

v1::DocumentType TypeOf(const Input& input) {
  if (!input.is_envelope) {
    const std::string kind = yaml::PeekHeader(input.text).kind;
    return kind == "TrustPolicy" ? v1::DOCUMENT_TYPE_TRUST_POLICY
           : kind == "Action"    ? v1::DOCUMENT_TYPE_ACTION
                                 : v1::DOCUMENT_TYPE_UNSPECIFIED;
  }
  absl::StatusOr<v1::SignedDocument> envelope = sign::FromDsseJson(input.text);
  return envelope.ok() ? envelope->type() : v1::DOCUMENT_TYPE_UNSPECIFIED;
}

absl::StatusOr<v1::SignedDocument> DocumentOf(const Input& input) {
  if (input.is_envelope) return sign::FromDsseJson(input.text);
  v1::SignedDocument out;
  out.set_type(TypeOf(input));
  out.set_payload(input.text);
  return out;
}

absl::Status WriteOut(Session& session, const SignOptions& options,
                      const v1::SignedDocument& document, mode_t mode) {
  const std::string text = sign::ToDsseJson(document);
  if (options.output_file.empty() || options.output_file == "-") {
    session.io().out << text;
    return absl::OkStatus();
  }
  return WriteFileAtomically(options.output_file, text, mode);
}

// The bytes that were signed, for whoever signs them elsewhere.
absl::Status WritePayload(Session& session, const SignOptions& options, const Input& input,
                          const v1::SignedDocument& document) {
  if (options.output_file.empty() || options.output_file == "-") {
    session.io().out << document.payload();
  } else if (absl::Status s = WriteFileAtomically(options.output_file, document.payload(), 0600);
             !s.ok()) {
    return s;
  }
  session.io().err << "to sign: ssh-keygen -Y sign -n " << sign::SshNamespace(document.type())
                   << " -f KEY FILE, or minisign -S -t " << sign::MinisignComment(document.type())
                   << " -m FILE; then nodectl sign -f " << input.file << " --attach SIGNATURE\n";
  return absl::OkStatus();
}

bool UsesKeys(const SignOptions& o) {
  return o.attach.empty() || !o.signing.keys.empty() || !o.signing.sign_command.empty();
}

absl::Status SignPolicy(Session& session, const SignOptions& options, v1::SignedDocument document) {
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  // Checks the signatures that are there, too.
  if (absl::Status s = ShowPolicy(session, document); !s.ok()) return s;
  // Whoever signs sources by the dozen does not expect one to be a policy, and root keys that lie
  // beside the context's key are taken unasked.
  if (UsesKeys(options) && options.signing.keys.empty() && options.signing.sign_command.empty()) {
    absl::Status sure = Confirm(session.io(),
                                "It is a trust policy: who may sign from now on. Sign "
                                "it with the root keys that lie here?",
                                options.yes);
    if (!sure.ok()) return sure;
  }
  if (absl::Status s = AttachSignatures(options.attach, document); !s.ok()) return s;
  if (UsesKeys(options)) {
    absl::Status signed_too = AddRootSignatures(session, options.signing, document);
    if (!signed_too.ok()) return signed_too;
  }
  absl::StatusOr<sign::NextPolicy> next = sign::CheckNext(**trust, document);
  if (!next.ok()) return next.status();
  if (absl::Status s = WriteOut(session, options, document, 0644); !s.ok()) return s;
  Io& io = session.io();
  const std::string file = options.output_file.empty() ? "FILE" : options.output_file;
  if (next->complete()) {
    io.err << "version " << next->policy.version() << " has its signatures: nodectl trust adopt -f "
           << file << "\n";
  } else {
    io.err << "signed; awaits signatures: " << absl::StrJoin(MissingWords(*next), "; ") << "\n";
  }
  return absl::OkStatus();
}

absl::Status SignAction(Session& session, const SignOptions& options, v1::SignedDocument document) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  const v1::TrustPolicy& policy = (*trust)->policy;
  if (document.signatures_size() > 0) {
    auto good = sign::Verify(document, v1::DOCUMENT_TYPE_ACTION, policy);
    if (!good.ok()) return good.status();
  }
  absl::StatusOr<v1::Action> action = validate::LoadAction(document.payload(), "");
  if (!action.ok()) return action.status();
  if (action->cluster() != (*context)->cluster) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "wrong-cluster",
                      absl::StrCat("it is for cluster ", action->cluster(), ", the context is ",
                                   (*context)->cluster),
                      "choose the context of that cluster with --context");
  }
  if (absl::Status s = ShowAction(session, *action, options.yes); !s.ok()) return s;
  if (absl::Status s = AttachSignatures(options.attach, document); !s.ok()) return s;
  if (UsesKeys(options)) {
    absl::Status signed_too = AddSignatures(session, options.signing, document);
    if (!signed_too.ok()) return signed_too;
  }
  auto verified = sign::Verify(document, v1::DOCUMENT_TYPE_ACTION, policy);
  if (!verified.ok()) return verified.status();
  absl::Status granted = sign::AuthorizeAction(policy, verified->signers(), *action);
  if (!granted.ok()) {
    if (!AwaitsSigners(granted)) return granted;
    WarnOfMissing(session, granted);
  }
  return WriteOut(session, options, document, 0600);
}

}  // namespace

bool IsPolicyOrAction(const Input& input) {
  const v1::DocumentType type = TypeOf(input);
  return type == v1::DOCUMENT_TYPE_TRUST_POLICY || type == v1::DOCUMENT_TYPE_ACTION;
}

absl::Status SignPolicyOrAction(Session& session, const Input& input, const SignOptions& options) {
  const SigningOptions& o = options.signing;
  if (!o.mode.empty() || !o.confirm_within.empty() || !o.reason.empty()) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kInvalidArgument, "signed-already",
                   absl::StrCat(input.file,
                                " is signed as it stands: --mode, --confirm-within and "
                                "--reason have nothing to change"),
                   "they are for machine configs"),
        "file", input.file);
  }
  absl::StatusOr<v1::SignedDocument> document = DocumentOf(input);
  if (!document.ok()) return api::InFile(document.status(), input.file);
  if (options.payload_only) return WritePayload(session, options, input, *document);
  const bool is_policy = document->type() == v1::DOCUMENT_TYPE_TRUST_POLICY;
  return api::InFile(is_policy ? SignPolicy(session, options, *std::move(document))
                               : SignAction(session, options, *std::move(document)),
                     input.file);
}

}  // namespace basalt::client
