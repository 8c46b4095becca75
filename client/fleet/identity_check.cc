#include "client/fleet/identity_check.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/x509.h"

namespace basalt::client {
namespace {

std::string When(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// gRPC wraps what happened in what it was doing: "failed to connect to all addresses; last error:
// UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: Connection refused".
absl::string_view Cause(absl::string_view text) {
  for (absl::string_view wrapping : {"Failed to connect to remote host: ", "last error: "}) {
    const size_t at = text.rfind(wrapping);
    if (at != absl::string_view::npos) text.remove_prefix(at + wrapping.size());
  }
  if (absl::StartsWith(text, "DNS resolution failed")) return "no such host name in the DNS";
  return text;
}

}  // namespace

absl::Status CheckIdentity(const Dial& dial, absl::string_view leaf_pem, absl::Time now) {
  absl::StatusOr<sign::CertificateInfo> leaf = sign::ReadCertificate(leaf_pem);
  if (!leaf.ok()) return leaf.status();
  if (dial.trust_any) return absl::OkStatus();
  if (!dial.fingerprint.empty()) {
    if (leaf->spki.Hex() == dial.fingerprint) return absl::OkStatus();
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "fingerprint-mismatch",
        absl::StrCat(dial.endpoint, " is not the node that was pinned: expected fingerprint ",
                     dial.fingerprint, ", got ", leaf->spki.Hex(), "; nothing was sent"),
        absl::StrCat("if the node was installed anew, compare the fingerprint on its console and "
                     "pin it again: nodectl pin ",
                     dial.name, " --node ", dial.endpoint, " --fingerprint FINGERPRINT"));
  }
  const std::string uri = absl::StrCat("basalt://", dial.cluster, "/", dial.name);
  const bool named = std::find(leaf->uris.begin(), leaf->uris.end(), uri) != leaf->uris.end();
  if (!dial.ca_pem.empty() && !dial.cluster.empty() && !dial.name.empty() && named &&
      leaf->server_auth && !leaf->is_ca && leaf->not_before <= now && now <= leaf->not_after &&
      sign::IssuedBy(leaf_pem, dial.ca_pem)) {
    return absl::OkStatus();
  }
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "not-pinned",
      absl::StrCat(dial.name, " is not pinned and shows no certificate of your authority for ", uri,
                   "; it shows fingerprint ", leaf->spki.Hex(), "; nothing was sent"),
      absl::StrCat("compare that with the node's console, then: nodectl pin ", dial.name,
                   " --node ", dial.endpoint, " --fingerprint FINGERPRINT"));
}

absl::StatusOr<std::string> SpkiFingerprint(absl::string_view leaf_pem) {
  absl::StatusOr<sign::CertificateInfo> leaf = sign::ReadCertificate(leaf_pem);
  if (!leaf.ok()) return leaf.status();
  return leaf->spki.Hex();
}

absl::Status CheckOwnCertificate(absl::string_view pem, absl::Time now) {
  if (pem.empty()) return absl::OkStatus();
  absl::StatusOr<sign::CertificateInfo> own = sign::ReadCertificate(pem);
  if (!own.ok()) return own.status();
  if (now > own->not_after) {
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "certificate-expired",
        absl::StrCat("your certificate (", own->common_name, ") expired at ", When(own->not_after)),
        "issue a new one from your authority and name it in context.yaml");
  }
  if (now < own->not_before) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "certificate-not-yet-valid",
                      absl::StrCat("your certificate (", own->common_name, ") is valid from ",
                                   When(own->not_before), " on, and here it is ", When(now)),
                      "check the clock of this machine");
  }
  return absl::OkStatus();
}

absl::Status Translate(const Dial& dial, const absl::Status& status, absl::Time now) {
  if (status.ok()) return status;
  if (api::Reason(status) == "needs-role" && api::Hint(status).empty()) {
    return api::Coded(status.code(), "needs-role", status.message(),
                      "`certificate` in context.yaml names what is shown to nodes; its subject has "
                      "the role (O=basalt:CLUSTER:ROLE)");
  }
  if (!api::Reason(status).empty()) return status;
  const absl::string_view text = Cause(status.message());
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    return api::Coded(status.code(), "timeout",
                      absl::StrCat(dial.endpoint, " did not answer in time"),
                      "is the node busy, or does a firewall drop the packets?");
  }
  if (status.code() != absl::StatusCode::kUnavailable) return status;
  if (absl::StrContains(text, "refused") || absl::StrContains(text, "No route") ||
      absl::StrContains(text, "unreachable") || absl::StrContains(text, "DNS")) {
    return api::Coded(status.code(), "unreachable",
                      absl::StrCat("nothing answers at ", dial.endpoint, " (", text, ")"),
                      "is the node up, and is the endpoint in inventory.yaml right?");
  }
  if (absl::StrContains(text, "timed out") || absl::StrContains(text, "timeout")) {
    return api::Coded(status.code(), "unreachable",
                      absl::StrCat("no connection to ", dial.endpoint, " in time (", text, ")"),
                      "is the node up, and does a firewall drop the packets?");
  }
  if (absl::StrContains(text, "wrong version number") || absl::StrContains(text, "http request")) {
    return api::Coded(
        status.code(), "not-a-node",
        absl::StrCat("what answers at ", dial.endpoint, " does not speak TLS (", text, ")"),
        "is it the port of the node's API? The node writes it to run/endpoint");
  }
  if (absl::StrContains(text, "protocol version") ||
      absl::StrContains(text, "unsupported protocol")) {
    return api::Coded(
        status.code(), "tls-version",
        absl::StrCat("what answers at ", dial.endpoint, " speaks no TLS 1.3 (", text, ")"),
        "a node speaks nothing older: is something between you and it?");
  }
  if (absl::Status own = CheckOwnCertificate(dial.certificate_pem, now); !own.ok()) return own;
  return api::Coded(
      status.code(), "connection-closed",
      absl::StrCat(dial.endpoint, " closed the connection during or after the handshake (", text,
                   ")"),
      dial.certificate_pem.empty() ? "the node wants a client certificate: name one in context.yaml"
                                   : "it may refuse your certificate (another authority, denied, "
                                     "or the node's clock is off), "
                                     "or it is at its limit of connections");
}

}  // namespace basalt::client
