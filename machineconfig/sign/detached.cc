#include "machineconfig/sign/detached.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/sshsig.h"

namespace basalt::sign {

std::string SchemeName(v1::SignatureScheme scheme) {
  switch (scheme) {
    case v1::SIGNATURE_SCHEME_DSSE:
      return "DSSE";
    case v1::SIGNATURE_SCHEME_SSHSIG:
      return "SSHSIG";
    case v1::SIGNATURE_SCHEME_MINISIGN:
      return "minisign";
    default:
      return absl::StrCat("number ", static_cast<int>(scheme));
  }
}

absl::StatusOr<v1::Signature> ReadDetachedSignature(absl::string_view text) {
  v1::Signature out;
  if (absl::StartsWith(text, "-----BEGIN SSH SIGNATURE-----")) {
    absl::StatusOr<std::string> blob = UnarmorSshSignature(text);
    if (!blob.ok()) return blob.status();
    if (auto parsed = ParseSshSignature(*blob); !parsed.ok()) return parsed.status();
    out.set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
    out.set_signature(*std::move(blob));
    return out;
  }
  if (absl::StartsWith(text, "untrusted comment:")) {
    // A file that went through Windows, or whose last line lost its end: the stored form has both.
    std::string lines = absl::StrReplaceAll(text, {{"\r\n", "\n"}});
    if (!absl::EndsWith(lines, "\n")) lines.push_back('\n');
    if (auto parsed = ParseMinisignSignature(lines); !parsed.ok()) return parsed.status();
    out.set_scheme(v1::SIGNATURE_SCHEME_MINISIGN);
    out.set_signature(std::move(lines));
    return out;
  }
  return api::Coded(absl::StatusCode::kInvalidArgument, "unknown-scheme",
                    "neither an SSH signature nor a minisign signature",
                    "the FILE.sig that ssh-keygen -Y sign writes, or the FILE.minisig of minisign "
                    "-S");
}

std::string DetachedText(const v1::Signature& signature) {
  switch (signature.scheme()) {
    case v1::SIGNATURE_SCHEME_SSHSIG:
      return ArmorSshSignature(signature.signature());
    case v1::SIGNATURE_SCHEME_MINISIGN:
      return signature.signature();
    default:
      return "";
  }
}

}  // namespace basalt::sign
