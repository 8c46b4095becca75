#include "server/controllers/install/install_controller.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "server/controllers/storage/disk_resources.h"
#include "server/engine/blocking.h"
#include "server/gpt/format_mark.h"

namespace basalt::install {
namespace {

constexpr absl::Duration kFormatLimit = absl::Minutes(5);
constexpr absl::Duration kLookEvery = absl::Seconds(10);

class Impl : public InstallController {
 public:
  explicit Impl(InstallDeps deps) : deps_(std::move(deps)) {}
  ~Impl() override {
    if (timer_ != 0) deps_.executor.CancelTimer(timer_);
  }

  std::string name() const override { return "install"; }
  void Start() override {
    Look([this](absl::Status status) {
      if (!status.ok()) note_ = std::string(status.message());
      // Disks come and go, and a medium is told apart from them.
      timer_ = deps_.executor.After(kLookEvery, [this] {
        timer_ = 0;
        if (!installing_) Start();
      });
    });
  }
  std::string Note() const override { return note_; }

  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig*,
                                              const v1::MachineConfig& to) const override {
    if (absl::Status can = Able(); !can.ok()) return can;
    absl::StatusOr<InstallPlan> plan = PlanInstall(to, facts_, ids_, deps_.medium.esp);
    if (!plan.ok() && !absl::IsUnimplemented(plan.status())) return plan.status();
    engine::ControllerPlan out;
    if (!plan.ok()) {
      out.steps.push_back({.controller = name(),
                           .description = "install",
                           .effect = v1::EFFECT_REBOOT,
                           .unimplemented = std::string(plan.status().message())});
      return out;
    }
    out.steps.push_back(
        {.controller = name(), .description = plan->text, .effect = v1::EFFECT_REBOOT});
    out.warnings.push_back(
        "what else the config says is checked and carried out by the node that starts from the "
        "disk; nodectl status follows it");
    return out;
  }

  void Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
               engine::Done done) override {
    progress_ = std::move(progress);
    // The plan was of what was seen a while ago.
    Look([this, to, done = std::move(done)](absl::Status status) {
      if (status.ok()) status = Able();
      if (status.ok()) status = PlanInstall(to, facts_, ids_, deps_.medium.esp).status();
      done(std::move(status));
    });
  }
  void CancelPrepare() override {}

  void Execute(const v1::MachineConfig* to, engine::Done done) override {
    // The way back of an install that failed: the disk starts nothing, and is installed anew.
    if (to == nullptr || !to->system().has_install()) return done(absl::OkStatus());
    if (installing_) return done(absl::UnavailableError("an install is under way"));
    absl::StatusOr<InstallPlan> plan =
        Able().ok() ? PlanInstall(*to, facts_, ids_, deps_.medium.esp) : Able();
    if (!plan.ok()) return done(plan.status());
    installing_ = true;
    job_ = {
        .plan = *std::move(plan), .medium = deps_.medium, .random = deps_.random.Bytes(5 * 16 + 4)};
    note_ = absl::StrCat("installing onto ", job_.plan.disk.device);
    Changed();
    engine::OnPool<absl::StatusOr<std::string>>(
        deps_.executor,
        [block = deps_.block, files = deps_.fat_files, job = job_, &executor = deps_.executor,
         this] {
          return WriteDisk(*block, files, job,
                           [&executor, this](const std::string& what, int64_t now, int64_t total) {
                             executor.Post([this, what, now, total] { Told(what, now, total); });
                           });
        },
        [this, done = std::move(done)](absl::StatusOr<std::string> state) {
          if (!state.ok()) return End(state.status(), done);
          Format(*state, done);
        });
  }

  void Erase(engine::Done done) override { done(absl::OkStatus()); }
  std::vector<engine::Condition> Observe() const override { return {}; }
  absl::Duration Deadline(const v1::MachineConfig&, const std::string&) const override {
    return absl::ZeroDuration();
  }
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override;
  void CollectGarbage(const std::vector<const v1::MachineConfig*>&) override {}

 private:
  absl::Status Able() const {
    if (!deps_.no_medium.empty()) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "no-medium", deps_.no_medium,
                        "write the medium anew");
    }
    if (looked_) return absl::OkStatus();
    return api::Coded(absl::StatusCode::kUnavailable, "disks-not-read",
                      "the disks of this machine are being read since noded started",
                      "again in a moment");
  }
  void Look(engine::Done done) {
    struct Seen {
      storage::StorageFacts facts;
      TableIds ids;
    };
    engine::OnPool<absl::StatusOr<Seen>>(
        deps_.executor,
        [block = deps_.block, data = deps_.vfs.Absolute("data"), before = facts_,
         looked = looked_]() -> absl::StatusOr<Seen> {
          auto facts = storage::LookAt(*block, data, looked ? &before : nullptr);
          if (!facts.ok()) return facts.status();
          TableIds ids = ReadTableIds(*block, *facts);
          return Seen{*std::move(facts), std::move(ids)};
        },
        [this, done = std::move(done)](absl::StatusOr<Seen> seen) {
          if (!seen.ok()) return done(seen.status());
          const bool changed = !looked_ || !(facts_ == seen->facts);
          facts_ = std::move(seen->facts);
          ids_ = std::move(seen->ids);
          looked_ = true;
          if (!installing_ && failed_.empty()) note_ = WhereInstalled(facts_, deps_.medium.esp);
          if (changed) Changed();
          done(absl::OkStatus());
        });
  }
  void Told(const std::string& what, int64_t now, int64_t total) {
    note_ = absl::StrCat("installing onto ", job_.plan.disk.device, ": ", what, " ",
                         total > 0 ? now * 100 / total : 0, "%");
  }
  void Format(const std::string& device, engine::Done done) {
    const uint64_t blocks = (job_.plan.layout.state.size - gpt::kMarkDistance) / 4096;
    deps_.tools->Run(
        {"/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", "STATE",
         device, absl::StrCat(blocks)},
        "", kFormatLimit,
        [this, device, done = std::move(done)](absl::StatusOr<storage::ToolResult> result) {
          if (!result.ok()) return End(result.status(), done);
          if (result->exit_code != 0) {
            return End(
                absl::UnavailableError(absl::StrCat("mke2fs ", device, ": exit code ",
                                                    result->exit_code, ": ", result->output)),
                done);
          }
          Finish(done);
        });
  }
  void Finish(engine::Done done) {
    engine::OnPool<absl::Status>(
        deps_.executor,
        [block = deps_.block, files = deps_.ext4_files, job = job_, &vfs = deps_.vfs] {
          return FinishDisk(*block, files, job, vfs);
        },
        [this, done = std::move(done)](absl::Status status) { End(std::move(status), done); });
  }
  void End(absl::Status status, const engine::Done& done) {
    installing_ = false;
    failed_ = status.ok() ? "" : std::string(status.message());
    note_ = status.ok() ? absl::StrCat("installed onto ", job_.plan.disk.device,
                                       ": take the medium out; the machine restarts")
                        : absl::StrCat("not installed: ", failed_);
    Changed();
    done(std::move(status));
  }
  void Changed() {
    if (on_change_) on_change_();
  }

  InstallDeps deps_;
  std::function<void()> on_change_;
  engine::OnProgress progress_;
  storage::StorageFacts facts_;
  TableIds ids_;
  InstallJob job_;
  bool looked_ = false, installing_ = false;
  std::string note_, failed_;
  engine::Executor::TimerId timer_ = 0;
};

std::vector<v1::Resource> Impl::Resources() const {
  return looked_ ? storage::DiskResources(facts_, {}) : std::vector<v1::Resource>();
}

}  // namespace

std::unique_ptr<InstallController> MakeInstallController(InstallDeps deps) {
  return std::make_unique<Impl>(std::move(deps));
}

}  // namespace basalt::install
