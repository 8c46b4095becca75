#include "tests/support/controller/fake_controller.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace basalt::testing {

absl::StatusOr<engine::ControllerPlan> FakeController::Plan(const v1::MachineConfig* from,
                                                            const v1::MachineConfig& to) const {
  engine::ControllerPlan plan;
  std::string before = from == nullptr ? "" : from->k3s().version();
  const std::string token = from == nullptr ? "" : from->k3s().token().plain();
  if (before != to.k3s().version() || token != to.k3s().token().plain()) {
    plan.steps.push_back({.controller = "k3s",
                          .description = absl::StrCat("run ", to.k3s().version()),
                          .effect = v1::EFFECT_RESTART_K3S});
  }
  return plan;
}

void FakeController::Prepare(const v1::MachineConfig&, engine::OnProgress progress,
                             engine::Done done) {
  ++prepares;
  progress("download k3s", 1, 2);
  if (hold_prepare) {
    held_prepare = std::move(done);
    return;
  }
  done(prepare_result);
}

void FakeController::Execute(const v1::MachineConfig* to, engine::Done done) {
  wanted_ = to == nullptr ? "" : to->k3s().version();
  absl::Status result;
  if (!execute_results.empty()) {
    result = execute_results.front();
    execute_results.erase(execute_results.begin());
  }
  const std::string token = to == nullptr ? "" : to->k3s().token().plain();
  if (result.ok() && (world_.running != wanted_ || world_.token != token)) {
    world_.running = wanted_;
    world_.token = token;
    ++world_.changes;
  }
  if (hold_execute) {
    held_execute = [done = std::move(done), result](absl::Status) { done(result); };
    return;
  }
  done(result);
}

std::vector<engine::Condition> FakeController::Observe() const {
  if (wanted_.empty()) return {};
  engine::Condition ready{.type = "K3sReady"};
  ready.hopeless = world_.hopeless.count(world_.running) > 0;
  ready.holds =
      world_.running == wanted_ && !ready.hopeless && world_.unhealthy.count(world_.running) == 0;
  ready.reason = ready.holds ? "Ready" : "NotReady";
  ready.code = "k3s-not-ready";
  return {ready};
}

void FakeController::CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) {
  world_.kept.clear();
  for (const v1::MachineConfig* config : kept) world_.kept.push_back(config->k3s().version());
}

}  // namespace basalt::testing
