#include "client/commands/manifest_source.h"

#include <fcntl.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "client/commands/child.h"
#include "client/context/files.h"

namespace basalt::client {
namespace {

constexpr size_t kMostManifest = 2 << 20;

absl::StatusOr<std::string> Download(const std::string& url) {
  absl::StatusOr<std::string> fetch = FindSibling("noded-fetch");
  if (!fetch.ok()) return fetch.status();
  std::string temporary = "/tmp/nodectl-image.XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "file-error",
                      absl::StrCat("cannot make ", temporary));
  }
  auto remove = absl::MakeCleanup([&] {
    close(fd);
    unlink(temporary.c_str());
  });
  // Limit, size (unknown), seconds of stall; the bytes go to descriptor 3.
  absl::StatusOr<std::string> ran = RunChild({*fetch, absl::StrCat(kMostManifest), "0", "30", url},
                                             absl::Minutes(2), 64 << 10, fd);
  if (ran.ok()) return ReadFile(temporary, kMostManifest);
  return api::Coded(absl::StatusCode::kUnavailable, "image-unreachable",
                    absl::StrCat(url, ": ", ran.status().message()),
                    "a FILE with --url URL: the manifest is here, and nodes fetch it there");
}

}  // namespace

bool IsUrl(absl::string_view text) { return absl::StrContains(text, "://"); }

absl::StatusOr<std::string> ReadManifest(const std::string& source) {
  absl::string_view path = source;
  if (IsUrl(source) && !absl::ConsumePrefix(&path, "file://")) return Download(source);
  return ReadFile(std::string(path), kMostManifest);
}

absl::StatusOr<sign::VerifiedDocument> VerifyImageDocument(Session& session,
                                                           const std::string& text,
                                                           const std::string& name,
                                                           const v1::MachineConfig& config) {
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  const v1::TrustPolicy& policy = (*trust)->policy;
  absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(text);
  if (!document.ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "not-an-image",
                      absl::StrCat(name, ": ", document.status().message()),
                      "the signed manifest: ./dev image --key writes it as *.json");
  }
  auto verified = sign::Verify(*document, v1::DOCUMENT_TYPE_IMAGE, policy);
  if (!verified.ok()) return api::Annotate(verified.status(), name);
  absl::Status granted = sign::AuthorizeImage(policy, verified->signers(), config);
  if (!granted.ok()) return api::Annotate(granted, name);
  return verified;
}

}  // namespace basalt::client
