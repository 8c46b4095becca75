#include "server/k3s/rule_sweep.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/host/fd.h"
#include "server/k3s/blocking.h"
#include "server/k3s/packet_rules.h"

namespace basalt::k3s {
namespace {

constexpr char kService[] = "iptables";
constexpr absl::Duration kLimit = absl::Seconds(30);  // for one tool
// The tools open it by name; supervised processes get their descriptors from 3 on.
constexpr char kFile[] = "/proc/self/fd/3";

bool Alive(host::ServiceState state) {
  return state != host::ServiceState::kStopped && state != host::ServiceState::kFailed;
}

// One family of one kind: what has to be swept.
struct Place {
  std::string tool;  // path of the program that is all tools in one
  std::string name;  // "iptables-nft"
};

// The programs that do the work behind the names iptables-save and iptables-restore, which may be
// shell scripts that choose between them (K3s's own are).
std::deque<Place> FindPlaces(const std::vector<std::string>& dirs) {
  std::deque<Place> places;
  for (const char* kind : {"nft", "legacy"}) {
    for (const std::string& dir : dirs) {
      std::string tool = absl::StrCat(dir, "/xtables-", kind, "-multi");
      if (access(tool.c_str(), X_OK) != 0) continue;
      places.push_back({tool, absl::StrCat("iptables-", kind)});
      places.push_back({tool, absl::StrCat("ip6tables-", kind)});
      break;
    }
  }
  return places;
}

SweptRules ReadAndSweep(int fd) {
  std::string saved;
  char buffer[64 << 10];
  off_t at = 0;
  for (ssize_t n; (n = pread(fd, buffer, sizeof buffer, at)) > 0; at += n)
    saved.append(buffer, static_cast<size_t>(n));
  return SweepRules(saved);
}

class RealSweep : public RuleSweep {
 public:
  RealSweep(engine::Executor& executor, host::Supervisor& supervisor)
      : executor_(executor), supervisor_(supervisor) {}
  ~RealSweep() override { StopTimer(); }

  void Sweep(std::vector<std::string> dirs, Done done) override {
    StopTimer();
    running_.reset();
    if (done_) std::exchange(done_, nullptr)("");  // superseded: the new one does all of it
    done_ = std::move(done);
    notes_.clear();
    places_ = FindPlaces(dirs);
    if (places_.empty()) notes_.push_back("no iptables is here, so its rules were not looked at");
    NextPlace();
  }

  void OnServiceEvent(const host::ServiceEvent& event) override {
    // The event may be an older one, or was lost: the list says how things are.
    if (!running_ || (event.name != kService && event.kind != host::ServiceEvent::Kind::kLost))
      return;
    absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
    if (!list.ok()) return;
    for (const host::ServiceStatus& service : *list) {
      if (service.name != kService || Alive(service.state)) continue;
      // One that an earlier noded left is out of the way now.
      if (running_->waiting) return Run(running_->name, running_->argv, running_->file);
      if (service.tag == running_->tag) return Ended(service);
    }
  }

 private:
  struct Running {
    std::string tag, name;
    std::vector<std::string> argv;
    std::shared_ptr<host::UniqueFd> file;
    bool restore = false;
    bool waiting = false;  // for the name to be free
  };

  void StopTimer() {
    if (timer_ != 0) executor_.CancelTimer(std::exchange(timer_, 0));
  }

  void NextPlace() {
    running_.reset();
    StopTimer();
    if (places_.empty()) {
      if (done_) std::exchange(done_, nullptr)(absl::StrJoin(notes_, "; "));
      return;
    }
    Tool("save", {"-c", "-f", kFile}, "");
  }

  void GiveUp(const std::string& why) {
    notes_.push_back(absl::StrCat("K3s's rules may be left in ", places_.front().name, ": ", why));
    places_.pop_front();
    NextPlace();
  }

  void Tool(const std::string& verb, std::vector<std::string> arguments, const std::string& text) {
    auto file = std::make_shared<host::UniqueFd>(memfd_create("rules", MFD_CLOEXEC));
    if (!file->valid() ||
        pwrite(file->get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      return GiveUp("no memory for its rules");
    }
    std::string name = absl::StrCat(places_.front().name, "-", verb);
    arguments.insert(arguments.begin(), name);
    Run(name, std::move(arguments), std::move(file));
  }

  void Run(const std::string& name, std::vector<std::string> argv,
           std::shared_ptr<host::UniqueFd> file) {
    Running next{.tag = absl::StrCat(getpid(), "-", ++last_id_),
                 .name = name,
                 .argv = argv,
                 .file = file,
                 .restore = !absl::StrContains(name, "-save")};
    host::ServiceSpec spec;
    spec.name = kService;
    spec.tag = next.tag;
    spec.argv = std::move(argv);
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    spec.exec_fd = host::UniqueFd(open(places_.front().tool.c_str(), O_RDONLY | O_CLOEXEC));
    spec.fds.push_back(host::UniqueFd(fcntl(file->get(), F_DUPFD_CLOEXEC, 3)));
    spec.stop_grace = absl::Seconds(1);
    const bool again = running_ && running_->waiting;
    running_ = std::move(next);
    absl::Status status = supervisor_.Start(std::move(spec));
    if (absl::IsAlreadyExists(status) && !again && supervisor_.Stop(kService).ok()) {
      running_->waiting = true;
    } else if (!status.ok()) {
      return GiveUp(std::string(status.message()));
    }
    StopTimer();
    timer_ = executor_.After(kLimit, [this] {
      timer_ = 0;
      // Ignoring failure: it has ended by itself then, and its event was lost.
      (void)supervisor_.Stop(kService);
      GiveUp(absl::StrCat(running_->name, " does not end"));
    });
  }

  void Ended(const host::ServiceStatus& service) {
    StopTimer();
    Running ended = *std::exchange(running_, std::nullopt);
    if (service.signal != 0 || service.exit_code != 0) {
      std::string said = supervisor_.Output(kService, 1024).value_or("");
      absl::StripAsciiWhitespace(&said);
      return GiveUp(absl::StrCat(ended.name, " failed: ", said));
    }
    if (ended.restore) {
      places_.pop_front();
      return NextPlace();
    }
    uint64_t id = last_id_;
    OnPool<SweptRules>(
        executor_, [file = ended.file] { return ReadAndSweep(file->get()); },
        [this, id](SweptRules rules) {
          if (id != last_id_ || places_.empty()) return;
          if (rules.removed > 0) return Tool("restore", {"-c", "-w", "5", kFile}, rules.text);
          places_.pop_front();
          NextPlace();
        });
  }

  engine::Executor& executor_;
  host::Supervisor& supervisor_;
  Done done_;
  std::deque<Place> places_;
  std::vector<std::string> notes_;
  std::optional<Running> running_;
  engine::Executor::TimerId timer_ = 0;
  uint64_t last_id_ = 0;
};

}  // namespace

std::unique_ptr<RuleSweep> MakeRuleSweep(engine::Executor& executor, host::Supervisor& supervisor) {
  return std::make_unique<RealSweep>(executor, supervisor);
}

}  // namespace basalt::k3s
