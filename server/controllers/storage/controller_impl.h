// The controller. One Execute at a time, the newest wins; what waits for a disk is in the pool and
// owns what it needs. Everything else on the loop thread.
//
// Execute:  look at everything → unmount what is not wanted so → one volume after the other
//           (made, formatted or checked, mounted, grown) → swap → the limit of DATA → look again
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/controllers/storage/facts.h"
#include "server/controllers/storage/plan.h"
#include "server/controllers/storage/storage_controller.h"
#include "server/controllers/storage/swap_plan.h"
#include "server/controllers/storage/volume_plan.h"

namespace basalt::storage {

inline constexpr char kLimitPath[] = "state/data-limit";  // noded-init reads it at boot

class ControllerImpl : public StorageController {
 public:
  ControllerImpl(const StorageDeps& deps, StorageParts parts);
  ~ControllerImpl() override;

  std::string name() const override { return "storage"; }
  void Start() override;
  void OnServiceEvent(const host::ServiceEvent& event) override;
  void LookAgain() override {
    Look([this](absl::Status) { Changed(); });
  }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override;
  void Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
               engine::Done done) override;
  void CancelPrepare() override { ++prepare_epoch_; }
  void Execute(const v1::MachineConfig* to, engine::Done done) override;
  void Erase(engine::Done done) override;
  std::vector<engine::Condition> Observe() const override;
  absl::Duration Deadline(const v1::MachineConfig& to, const std::string& condition) const override;
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override;
  void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) override;

 private:
  using Next = std::function<void(absl::Status)>;
  using Work = std::function<absl::Status(host::BlockDevices& block)>;

  std::string DataPath() const { return deps_.vfs.Absolute("data"); }
  std::string SwapFile() const { return deps_.vfs.Absolute("data/swap/file"); }
  MachineFacts Machine() const;

  // Each runs `next` on the loop, unless a newer Execute has begun: then `done` says so.
  Next Guarded(uint64_t epoch, engine::Done done, std::function<void()> next);
  void Look(Next next);  // everything anew
  void OnPool(Work work, Next next);
  void Tool(std::vector<std::string> argv, absl::Duration limit, int most_code,
            const std::string& what, Next next);

  void Run(uint64_t epoch, engine::Done done);
  void Release(uint64_t epoch, std::vector<VolumePlan> plans, engine::Done done);
  void DoVolumes(uint64_t epoch, std::deque<VolumePlan> rest, engine::Done done);
  void Make(VolumePlan volume, Next next);
  void Format(const VolumePlan& volume, Next next);
  void Mount(const VolumePlan& volume, bool fresh, Next next);
  void Grow(const VolumePlan& volume, Next next);
  void GrowFileSystem(const VolumePlan& volume, uint64_t size, Next next);
  void DoSwap(uint64_t epoch, engine::Done done);
  absl::Status WriteLimit();
  void Finish(uint64_t epoch, absl::Status status, engine::Done done);

  std::vector<std::string> StillMounted() const;  // what no config asks for any more
  void Watch();
  void ScheduleTrim(absl::Duration delay);
  void Changed();

  StorageDeps deps_;
  StorageParts parts_;
  std::function<void()> on_change_;
  StorageFacts facts_;
  VolumeRecord record_;
  v1::Storage wanted_;  // what Execute was last told, without what cannot be done
  bool executed_ = false;
  std::string algorithm_;  // of the compressed memory that this noded set up
  std::string error_;      // of the last Execute
  uint64_t epoch_ = 0;
  uint64_t prepare_epoch_ = 0;
  int busy_ = 0;
  bool looking_ = false;
  bool looked_ = false;  // the facts are of this machine
  engine::Executor::TimerId watch_timer_ = 0, trim_timer_ = 0;
  std::vector<engine::Condition> last_conditions_;  // as they were told of
  StorageFacts last_facts_;
};

}  // namespace basalt::storage
