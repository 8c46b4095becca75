// A controller with memory: the world that it changes outlives it, as K3s outlives noded. Its spec
// is `k3s.version`; the test says whether that version gets healthy.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/engine/controller.h"

namespace basalt::testing {

// What stays when noded dies.
struct FakeWorld {
  std::string running;              // version; "" = nothing runs
  std::string token;                // the opened one that it runs with
  int erased = 0;                   // how often its data were
  int changes = 0;                  // how often an execute found something to do
  std::set<std::string> unhealthy;  // versions that never get ready
  std::set<std::string> hopeless;   // and say so at once
  std::vector<std::string> kept;    // versions that the last garbage collection kept
};

class FakeController : public engine::Controller {
 public:
  explicit FakeController(FakeWorld& world) : world_(world) {}

  std::string name() const override { return "k3s"; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override;
  void Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
               engine::Done done) override;
  void CancelPrepare() override { held_prepare = nullptr; }
  void Execute(const v1::MachineConfig* to, engine::Done done) override;
  void Erase(engine::Done done) override {
    ++world_.erased;
    done(erase_result);
  }
  std::vector<engine::Condition> Observe() const override;
  absl::Duration Deadline(const v1::MachineConfig&, const std::string&) const override {
    return absl::Seconds(120);
  }
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override { return {}; }
  void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) override;

  // The world changed behind its back.
  void Changed() { on_change_(); }

  absl::Status erase_result;
  absl::Status prepare_result;  // of every prepare
  int prepares = 0;
  std::vector<absl::Status> execute_results;  // of the next executes, one each; then OK
  bool hold_prepare = false;                  // keep it until the test calls held_prepare
  bool hold_execute = false;
  engine::Done held_prepare;
  engine::Done held_execute;

 private:
  FakeWorld& world_;
  std::string wanted_;
  std::function<void()> on_change_ = [] {};
};

}  // namespace basalt::testing
