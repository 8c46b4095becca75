#include "server/k3s/rule_sweep.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/engine/blocking.h"
#include "server/host/fd.h"
#include "server/k3s/one_shot.h"
#include "server/k3s/packet_rules.h"

namespace basalt::k3s {
namespace {

constexpr char kService[] = "iptables";
constexpr absl::Duration kLimit = absl::Seconds(30);  // for one tool
// The tools open it by name; supervised processes get their descriptors from 3 on.
constexpr char kFile[] = "/proc/self/fd/3";

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
      : executor_(executor), tool_(executor, supervisor, kService) {}

  void Sweep(std::vector<std::string> dirs, Done done) override {
    tool_.Forget();
    if (done_) std::exchange(done_, nullptr)("");  // superseded: the new one does all of it
    done_ = std::move(done);
    ++sweep_;
    notes_.clear();
    places_ = FindPlaces(dirs);
    if (places_.empty()) notes_.push_back("no iptables is here, so its rules were not looked at");
    NextPlace();
  }

  void OnServiceEvent(const host::ServiceEvent& event) override { tool_.OnServiceEvent(event); }

 private:
  void NextPlace() {
    if (places_.empty()) {
      if (done_) std::exchange(done_, nullptr)(absl::StrJoin(notes_, "; "));
      return;
    }
    auto file = MakeFile("");
    Tool("save", {"-c", "-f", kFile}, file, [this, file] {
      OnPool<SweptRules>(
          executor_, [file] { return ReadAndSweep(file->get()); },
          [this, sweep = sweep_](SweptRules rules) {
            if (sweep != sweep_) return;
            if (rules.removed == 0) return PlaceDone();
            Tool("restore", {"-c", "-w", "5", kFile}, MakeFile(rules.text),
                 [this] { PlaceDone(); });
          });
    });
  }

  void PlaceDone() {
    places_.pop_front();
    NextPlace();
  }

  void GiveUp(const std::string& why) {
    notes_.push_back(absl::StrCat("K3s's rules may be left in ", places_.front().name, ": ", why));
    PlaceDone();
  }

  // Null: no memory for it.
  static std::shared_ptr<host::UniqueFd> MakeFile(const std::string& text) {
    auto file = std::make_shared<host::UniqueFd>(memfd_create("rules", MFD_CLOEXEC));
    bool whole = file->valid() && pwrite(file->get(), text.data(), text.size(), 0) ==
                                      static_cast<ssize_t>(text.size());
    return whole ? file : nullptr;
  }

  void Tool(const std::string& verb, std::vector<std::string> arguments,
            std::shared_ptr<host::UniqueFd> file, std::function<void()> then) {
    if (file == nullptr) return GiveUp("no memory for its rules");
    std::string name = absl::StrCat(places_.front().name, "-", verb);
    arguments.insert(arguments.begin(), name);
    auto program =
        std::make_shared<host::UniqueFd>(open(places_.front().tool.c_str(), O_RDONLY | O_CLOEXEC));
    tool_.Run({.program = std::move(program),
               .argv = std::move(arguments),
               .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
               .fds = {std::move(file)}},
              kLimit, [this, name, then = std::move(then)](absl::StatusOr<OneShotResult> result) {
                if (absl::IsDeadlineExceeded(result.status()))
                  return GiveUp(absl::StrCat(name, " does not end"));
                if (!result.ok()) return GiveUp(std::string(result.status().message()));
                if (result->signal == 0 && result->exit_code == 0) return then();
                GiveUp(absl::StrCat(name, " failed: ", absl::StripAsciiWhitespace(result->output)));
              });
  }

  engine::Executor& executor_;
  OneShot tool_;
  Done done_;
  std::deque<Place> places_;
  std::vector<std::string> notes_;
  uint64_t sweep_ = 0;
};

}  // namespace

std::unique_ptr<RuleSweep> MakeRuleSweep(engine::Executor& executor, host::Supervisor& supervisor) {
  return std::make_unique<RealSweep>(executor, supervisor);
}

}  // namespace basalt::k3s
