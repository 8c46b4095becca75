// The controller's state and its steps, shared by its sources.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "server/controllers/extensions/decide.h"
#include "server/controllers/extensions/extensions_controller.h"

namespace basalt::extensions {

inline constexpr char kManifests[] = "state/extensions/manifests";
inline constexpr char kFiles[] = "data/extensions";
inline constexpr int64_t kMostManifest = 2 << 20;

class ControllerImpl : public ExtensionsController {
 public:
  static constexpr absl::Duration kLookEvery = absl::Seconds(30);
  // What the data disk has lost is fetched again: when the network is likely up, then patiently.
  static constexpr absl::Duration kMendFirst = absl::Seconds(10);
  static constexpr absl::Duration kMendAgain = absl::Minutes(5);

  explicit ControllerImpl(ExtensionsDeps deps);
  ~ControllerImpl() override;

  std::string name() const override { return kName; }
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
    return absl::ZeroDuration();  // it is there or it is not
  }
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override;
  void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) override;

  void Load() override;
  absl::Status FitImage(const v1::MachineConfig& config,
                        const sign::ImageManifest& image) const override;
  void OnServiceEvent(const host::ServiceEvent& event) override;

 private:
  // What blocking steps share with the loop's object, and may outlive it with; one step at a time.
  struct Machine {
    std::mutex mu;
    std::shared_ptr<host::ExtensionMounts> mounts;
  };
  // A Prepare under way: one extension after the other.
  struct Job {
    uint64_t serial = 0;
    v1::MachineConfig config;
    std::vector<Wanted> wanted;
    size_t at = 0;
    std::string kernel;  // that will run
    engine::OnProgress progress;
    engine::Done done;
  };
  using JobPtr = std::shared_ptr<Job>;

  // How one of the wanted was found.
  struct State {
    Wanted wanted;
    std::string word;     // as in Extension.state
    std::string message;  // why it is not active
  };
  // What an execute came to.
  struct Outcome {
    std::map<std::string, std::string> failed;  // by id
    std::vector<host::AttachedExtension> attached;
    bool left_behind = false;  // something that goes is still in use
  };

  std::string FileOf(const sign::ExtensionManifest& manifest) const;
  std::string KernelFor(const v1::MachineConfig& config) const;
  std::string IdOf(const Wanted& wanted) const;  // "": not known
  State StateOf(const Wanted& wanted) const;

  // --- prepare.cc
  bool Current(const Job& job) const { return job_ && job_->serial == job.serial; }
  void Finish(const JobPtr& job, absl::Status status);
  void FetchManifest(const JobPtr& job);
  void ReadManifest(const JobPtr& job);
  void FetchFile(const JobPtr& job);
  void CheckTogether(const JobPtr& job);

  static Outcome Change(Machine& machine, const std::vector<host::ExtensionSource>& sources);
  void Take(Outcome outcome);
  bool UnloadWhatGoes(const std::set<std::string>& stay);
  void LoadModules();
  void Look();
  bool Lost() const;
  void Mend();

  ExtensionsDeps deps_;
  std::shared_ptr<Machine> machine_;
  std::function<void()> on_change_ = [] {};
  KnownExtensions known_;
  std::optional<v1::MachineConfig> config_;  // that was executed last
  std::vector<Wanted> wanted_;               // by it
  std::vector<host::AttachedExtension> attached_;
  std::map<std::string, std::string> failed_;  // by id
  std::map<std::string, std::string> module_failed_;
  bool wants_reboot_ = false;
  JobPtr job_;
  uint64_t last_serial_ = 0;
  engine::Executor::TimerId look_ = 0;
  engine::Executor::TimerId mend_ = 0;
  bool mended_ = false;  // once in this life
};

}  // namespace basalt::extensions
