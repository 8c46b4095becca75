#include "server/k3s/release_check.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "server/k3s/one_shot.h"

namespace basalt::k3s {
namespace {

constexpr char kService[] = "k3s-version";
// Reading 70 MB off a slow card takes most of it.
constexpr absl::Duration kLimit = absl::Seconds(60);

absl::Status NotRunnable(absl::string_view why) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "k3s-not-runnable",
                    absl::StrCat("the K3s artifact does not run on this machine: ", why),
                    "k3s.artifacts names one binary for each architecture: "
                    "nodectl k3s pin -f FILE --version V writes them");
}

class RealCheck : public ReleaseCheck {
 public:
  RealCheck(engine::Executor& executor, host::Supervisor& supervisor,
            artifacts::ArtifactStore& store)
      : store_(store), run_(executor, supervisor, kService) {}

  void Check(const std::string& sha256, const std::string& version, engine::Done done) override {
    const std::string known = absl::StrCat(sha256, " ", version);
    if (passed_.count(known) > 0) return done(absl::OkStatus());
    store_.Open(sha256, [this, known, version, done = std::move(done)](
                            absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
      if (!file.ok()) return done(file.status());
      run_.Run({.program = *file, .argv = {"k3s", "--version"}, .env = {"PATH=/usr/bin:/bin"}},
               kLimit, [this, known, version, done](absl::StatusOr<OneShotResult> result) {
                 absl::Status status = Judge(result, version);
                 if (status.ok()) passed_.insert(known);
                 done(std::move(status));
               });
    });
  }

  void OnServiceEvent(const host::ServiceEvent& event) override { run_.OnServiceEvent(event); }

 private:
  static absl::Status Judge(const absl::StatusOr<OneShotResult>& result,
                            const std::string& version) {
    if (!result.ok()) return NotRunnable(result.status().message());
    const std::string release = ReleaseIn(result->output);
    if (result->signal != 0 || result->exit_code != 0 || release.empty()) {
      const std::string said(absl::StripAsciiWhitespace(result->output));
      return NotRunnable(
          absl::StrCat("k3s --version ",
                       result->signal != 0 ? absl::StrCat("died of signal ", result->signal)
                                           : absl::StrCat("ended with status ", result->exit_code),
                       said.empty() ? "" : absl::StrCat(" and said: ", said.substr(0, 200))));
    }
    if (release == version) return absl::OkStatus();
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "wrong-k3s-release",
        absl::StrCat("the K3s artifact is ", release, ", and k3s.version is ", version),
        "write the version that the artifact is, or pin the other one: nodectl k3s pin");
  }

  artifacts::ArtifactStore& store_;
  OneShot run_;
  std::set<std::string> passed_;
};

}  // namespace

std::unique_ptr<ReleaseCheck> MakeReleaseCheck(engine::Executor& executor,
                                               host::Supervisor& supervisor,
                                               artifacts::ArtifactStore& store) {
  return std::make_unique<RealCheck>(executor, supervisor, store);
}

std::string ReleaseIn(const std::string& output) {
  const std::vector<std::string> words = absl::StrSplit(output.substr(0, output.find('\n')),
                                                        absl::ByAnyChar(" \r"), absl::SkipEmpty());
  return words.size() >= 3 && words[1] == "version" ? words[2] : "";
}

}  // namespace basalt::k3s
