#include "server/artifacts/artifact_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "server/artifacts/store_files.h"
#include "server/engine/blocking.h"
#include "server/fetch/fetch_protocol.h"

namespace basalt::artifacts {
namespace {

constexpr absl::Duration kProgressEvery = absl::Milliseconds(500);

absl::StatusCode CodeOf(fetch::Outcome outcome) {
  switch (outcome) {
    case fetch::Outcome::kTooLarge:
      return absl::StatusCode::kFailedPrecondition;
    case fetch::Outcome::kDiskFull:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

const char* HintOf(fetch::Outcome outcome) {
  switch (outcome) {
    case fetch::Outcome::kTooLarge:
      return "the size in the config is smaller than the file at the URL";
    case fetch::Outcome::kDiskFull:
      return "free space on the data disk, or use a larger one";
    case fetch::Outcome::kRedirectLoop:
      return "at most 5 redirects are followed: use the URL they lead to";
    default:
      return "check the URLs, the proxy in k3s.env and the network; a file:// URL or a mirror "
             "works too";
  }
}

bool Alive(host::ServiceState state) {
  return state == host::ServiceState::kStarting || state == host::ServiceState::kRunning ||
         state == host::ServiceState::kBackingOff || state == host::ServiceState::kStopping;
}

// One Ensure under way.
struct Job {
  uint64_t id = 0;
  std::string what;
  v1::Artifact artifact;
  std::vector<std::string> proxies;
  engine::OnProgress progress;
  engine::Done done;
  int first_url = 0;     // those before it had the wrong bytes
  bool resumed = false;  // the file had a beginning when the download started
  std::vector<std::string> tried;
  std::string service;
  std::shared_ptr<host::UniqueFd> partial;
  engine::Executor::TimerId timer = 0;
};

class RealStore : public ArtifactStore {
 public:
  RealStore(engine::Executor& executor, host::Supervisor& supervisor, StoreOptions options)
      : executor_(executor),
        supervisor_(supervisor),
        files_(std::make_shared<StoreFiles>(std::move(options.dir), std::move(options.digest_of))),
        fetch_program_(std::move(options.fetch_program)),
        services_(std::move(options.services)),
        most_bytes_(options.most_bytes) {}

  ~RealStore() override {
    if (job_ && job_->timer != 0) executor_.CancelTimer(job_->timer);
  }

  void Ensure(const std::string& what, const v1::Artifact& artifact,
              const std::vector<std::string>& proxies, engine::OnProgress progress,
              engine::Done done) override {
    Cancel();  // whoever waits for the last one is told
    job_ = std::make_unique<Job>();
    job_->id = ++last_id_;
    job_->what = what;
    job_->artifact = artifact;
    job_->proxies = proxies;
    job_->progress = std::move(progress);
    job_->done = std::move(done);
    uint64_t id = job_->id;
    Open(artifact.sha256(), [this, id](absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
      if (!Current(id)) return;
      if (file.ok()) return Finish(absl::OkStatus());
      if (absl::IsDataLoss(file.status())) files_->Remove(job_->artifact.sha256());
      StopLeftovers();
      if (leftovers_.empty()) Start();
    });
  }

  void Cancel() override {
    if (!job_) return;
    // Ignoring failure: it may have ended by itself, which is what is wanted.
    if (!job_->service.empty()) (void)supervisor_.Stop(job_->service);
    Finish(absl::CancelledError("the download was cancelled"));
  }

  void Open(const std::string& sha256, OpenDone done) override {
    if (auto it = verified_.find(sha256); it != verified_.end()) {
      absl::StatusOr<host::UniqueFd> fd = files_->OpenStamped(sha256, it->second);
      if (fd.ok()) return done(std::make_shared<host::UniqueFd>(std::move(*fd)));
      verified_.erase(it);
    }
    using Result = absl::StatusOr<VerifiedFile>;
    OnPool<Result>(
        executor_, [files = files_, sha256] { return files->OpenVerified(sha256); },
        [this, sha256, done = std::move(done)](Result file) {
          if (!file.ok()) return done(file.status());
          verified_[sha256] = file->stamp;
          done(std::make_shared<host::UniqueFd>(std::move(file->fd)));
        });
  }

  std::string Path(const std::string& sha256) const override { return files_->Path(sha256); }

  void OnServiceEvent(const host::ServiceEvent& event) override {
    if (!absl::StartsWith(event.name, services_)) return;
    if (event.kind != host::ServiceEvent::Kind::kExit) return;
    if (leftovers_.erase(event.name) > 0) {
      if (leftovers_.empty() && job_ && job_->service.empty()) Start();
      return;
    }
    if (job_ && event.name == job_->service) Ended();
  }

  void KeepOnly(std::set<std::string> digests) override {
    if (job_) digests.insert(job_->artifact.sha256());
    Submit(
        executor_, [files = files_, digests] { files->KeepOnly(digests); }, [] {});
  }

 private:
  bool Current(uint64_t id) const { return job_ && job_->id == id; }

  void Finish(absl::Status status) {
    if (job_->timer != 0) executor_.CancelTimer(job_->timer);
    engine::Done done = std::move(job_->done);
    job_.reset();
    done(std::move(status));
  }

  // Downloads that an earlier noded started write to the same files.
  void StopLeftovers() {
    absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
    if (!list.ok()) return;
    for (const host::ServiceStatus& service : *list) {
      if (absl::StartsWith(service.name, services_)) {
        if (Alive(service.state) && supervisor_.Stop(service.name).ok()) {
          leftovers_.insert(service.name);
        }
      }
    }
  }

  std::string NextName() {
    // Few names, used again: the supervisor keeps a slot for each it has seen.
    next_name_ = (next_name_ + 1) % 4;
    return absl::StrCat(services_, next_name_);
  }

  void Start() {
    absl::StatusOr<host::UniqueFd> partial = files_->OpenPartial(job_->artifact.sha256());
    if (!partial.ok()) return Finish(partial.status());
    job_->partial = std::make_shared<host::UniqueFd>(std::move(*partial));
    struct stat info {};
    fstat(job_->partial->get(), &info);
    job_->resumed = info.st_size > 0;
    host::ServiceSpec spec;
    spec.exec_fd = host::UniqueFd(open(fetch_program_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!spec.exec_fd.valid()) {
      return Finish(api::Coded(absl::StatusCode::kInternal, "artifact-download-failed",
                               absl::StrCat("cannot open ", fetch_program_),
                               "noded-fetch belongs beside noded"));
    }
    fetch::Arguments arguments{.limit = most_bytes_};
    if (job_->artifact.size() > 0) arguments.limit = arguments.expected = job_->artifact.size();
    for (int i = job_->first_url; i < job_->artifact.urls_size(); ++i) {
      arguments.urls.push_back(job_->artifact.urls(i));
    }
    spec.name = NextName();
    spec.tag = job_->artifact.sha256();
    spec.argv = fetch::ToArgv(arguments);
    spec.env = job_->proxies;
    spec.env.push_back("PATH=/usr/bin:/bin");
    spec.fds.push_back(host::UniqueFd(fcntl(job_->partial->get(), F_DUPFD_CLOEXEC, 3)));
    spec.stop_grace = absl::Seconds(2);
    job_->service = spec.name;
    if (absl::Status status = supervisor_.Start(std::move(spec)); !status.ok()) {
      return Finish(api::Annotate(status, "starting noded-fetch"));
    }
    if (job_->progress) job_->progress(job_->what, info.st_size, job_->artifact.size());
    Watch(job_->id);
  }

  void Watch(uint64_t id) {
    job_->timer = executor_.After(kProgressEvery, [this, id] {
      if (!Current(id)) return;
      absl::StatusOr<std::string> output = supervisor_.Output(job_->service, 4096);
      std::optional<fetch::Progress> at;
      if (output.ok()) at = fetch::LastProgress(*output);
      if (at && job_->progress) job_->progress(job_->what, at->done, at->total);
      Watch(id);
    });
  }

  // The event may be an older one of the same name: the list says how things are.
  void Ended() {
    absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
    if (!list.ok()) return;
    host::ServiceStatus now;
    for (const host::ServiceStatus& service : *list) {
      if (service.name == job_->service) now = service;
    }
    if (now.name.empty() || Alive(now.state) || now.tag != job_->artifact.sha256()) return;
    if (job_->timer != 0) executor_.CancelTimer(job_->timer);
    job_->timer = 0;
    std::string output = supervisor_.Output(job_->service, 64 << 10).value_or("");
    job_->service.clear();
    for (std::string& attempt : fetch::Attempts(output)) job_->tried.push_back(std::move(attempt));
    fetch::Outcome outcome =
        now.signal != 0 ? fetch::Outcome::kFailed : fetch::FromExit(now.exit_code);
    if (outcome != fetch::Outcome::kOk) {
      // What there is of it stays, to be continued; but not on a full disk.
      if (outcome == fetch::Outcome::kDiskFull || outcome == fetch::Outcome::kTooLarge) {
        files_->RemovePartial(job_->artifact.sha256());
      }
      return Fail(outcome, fetch::LastError(output));
    }
    // Its word alone: what downloads is the one process here that strangers speak to.
    const int from = fetch::FromIndex(output);
    const int given = job_->artifact.urls_size() - job_->first_url;
    Check(job_->first_url + (from > 0 && from < given ? from : 0));
  }

  void Fail(fetch::Outcome outcome, const std::string& why) {
    std::string urls = absl::StrJoin(job_->artifact.urls(), ", ");
    Finish(api::Coded(
        CodeOf(outcome), fetch::Reason(outcome),
        absl::StrCat(job_->what, ": ", why.empty() ? "noded-fetch ended without a word" : why,
                     "; tried ", urls),
        HintOf(outcome)));
  }

  void Check(int url) {
    uint64_t id = job_->id;
    OnPool<absl::Status>(
        executor_,
        [files = files_, sha256 = job_->artifact.sha256(), fd = job_->partial] {
          return files->Commit(sha256, fd->get());
        },
        [this, id, url](absl::Status status) {
          if (!Current(id)) return;
          if (status.ok() || !absl::IsDataLoss(status)) return Finish(std::move(status));
          job_->tried.push_back(absl::StrCat(job_->artifact.urls(url), ": ", status.message()));
          // What was continued may have been the beginning of something else; what a mirror had
          // wrong another may have right.
          if (job_->resumed) return Start();
          if (url + 1 < job_->artifact.urls_size()) {
            job_->first_url = url + 1;
            return Start();
          }
          Finish(api::Coded(absl::StatusCode::kDataLoss, "artifact-digest-mismatch",
                            absl::StrCat(job_->what, ": ", status.message(), "; tried ",
                                         absl::StrJoin(job_->artifact.urls(), ", ")),
                            "the config pins another file than the URLs have"));
        });
  }

  engine::Executor& executor_;
  host::Supervisor& supervisor_;
  std::shared_ptr<StoreFiles> files_;
  const std::string fetch_program_;
  const std::string services_;
  const int64_t most_bytes_;
  std::unique_ptr<Job> job_;
  uint64_t last_id_ = 0;
  int next_name_ = 0;
  std::map<std::string, FileStamp> verified_;
  std::set<std::string> leftovers_;
};

}  // namespace

std::unique_ptr<ArtifactStore> MakeArtifactStore(engine::Executor& executor,
                                                 host::Supervisor& supervisor,
                                                 StoreOptions options) {
  return std::make_unique<RealStore>(executor, supervisor, std::move(options));
}

}  // namespace basalt::artifacts
