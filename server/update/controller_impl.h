// The controller's state and its steps, shared by its sources.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "server/update/boot_change.h"
#include "server/update/decide.h"
#include "server/update/image_controller.h"
#include "server/update/record.h"

namespace basalt::update {

class ControllerImpl : public ImageController {
 public:
  explicit ControllerImpl(ImageControllerDeps deps);
  ~ControllerImpl() override;

  std::string name() const override { return "system.image"; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override;
  void Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
               engine::Done done) override;
  void CancelPrepare() override;
  void Execute(const v1::MachineConfig* to, engine::Done done) override;
  bool WantsReboot() const override { return wants_reboot_; }
  void Erase(engine::Done done) override;
  std::vector<engine::Condition> Observe() const override;
  absl::Duration Deadline(const v1::MachineConfig&, const std::string&) const override {
    return absl::ZeroDuration();  // it runs or it does not
  }
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override;
  void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) override;

  void Load() override;
  void RollBack(const v1::Action& action, engine::Done done) override;
  std::vector<engine::Condition> TrialConditions(
      std::vector<engine::Condition> others) const override;
  std::string KernelReleaseFor(const v1::MachineConfig& config) const override;
  void OnServiceEvent(const host::ServiceEvent& event) override;

 private:
  // What blocking steps share with the loop's object, and may outlive it with: the disk, one step
  // at a time.
  struct Machine {
    std::mutex mu;
    std::shared_ptr<host::BootDisk> disk;
    host::Vfs* vfs = nullptr;
  };
  // The image that a config names.
  struct Wanted {
    std::string digest;  // hex
    std::string version;
    std::vector<std::string> urls;
    int64_t generation = 0;
  };
  // A Prepare under way.
  struct Job {
    uint64_t serial = 0;
    Wanted wanted;
    v1::MachineConfig config;
    sign::ImageManifest manifest;
    engine::OnProgress progress;
    engine::Done done;
    std::unique_ptr<SlotCopy> copy;
    std::shared_ptr<host::UniqueFd> kernel;
  };
  using JobPtr = std::shared_ptr<Job>;
  // What an execute is about, beside its situation.
  struct Attempt {
    std::string version;
    std::string digest;
    std::string running_version;
    int64_t epoch_floor = 0;
  };
  // What an execute came to.
  struct Outcome {
    absl::Status status;
    stored::ImageRecord record;
    std::optional<BootView> view;
    bool wants_reboot = false;
  };

  static std::optional<Wanted> WantedBy(const v1::MachineConfig* config);
  const sign::ImageManifest* Known(const std::string& digest) const;
  std::string DigestOfRoot(const std::string& root) const;  // "": no manifest of it is known
  std::string running_root() const { return deps_.disk->running_root(); }
  int64_t EpochFloor() const;
  absl::Status FitsRest(const v1::MachineConfig& config, const sign::ImageManifest& image) const;
  Fits FitsOf(const Job& job) const;
  v1::Artifact ArtifactOf(const Job& job, const sign::ImageFile& file) const;

  // --- prepare.cc
  bool Current(const Job& job) const { return job_ && job_->serial == job.serial; }
  void Finish(const JobPtr& job, absl::Status status);
  void ReadManifest(const JobPtr& job);
  void CheckDisk(const JobPtr& job);
  void Fetch(const JobPtr& job);
  void CheckFetched(const JobPtr& job);
  void MakeRoom(const JobPtr& job);
  void CopySlot(const JobPtr& job);
  void CopyKernel(const JobPtr& job);
  void Prepared(const JobPtr& job);

  // --- execute.cc, in the pool
  static Outcome Do(Machine& machine, Move move, const Situation& now, const Attempt& attempt);
  static Outcome Back(Machine& machine, const Situation& now, const Attempt& attempt);
  static absl::Status Change(Machine& machine, host::BootFiles& files, Move move,
                             const Situation& now, const Attempt& attempt, Outcome& out);
  static absl::StatusOr<BootView> Look(Machine& machine);
  void Take(Outcome outcome);
  void Refresh();

  ImageControllerDeps deps_;
  std::shared_ptr<Machine> machine_;
  std::function<void()> on_change_ = [] {};
  std::map<std::string, sign::ImageManifest> known_;  // by digest
  stored::ImageRecord record_;
  bool record_damaged_ = false;
  std::optional<BootView> view_;
  std::optional<Wanted> wanted_;  // by the config that was executed last
  std::string prepared_root_;
  int64_t prepared_generation_ = 0;
  bool wants_reboot_ = false;
  JobPtr job_;
  uint64_t last_serial_ = 0;
  engine::Executor::TimerId refresh_ = 0;
};

}  // namespace basalt::update
