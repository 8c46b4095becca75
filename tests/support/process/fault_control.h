// A test's end of a fault plan. Environment() goes into NodeOptions.
#pragma once

#include <sys/mman.h>

#include <string>
#include <vector>

#include "tests/support/process/fault_plan.h"

namespace basalt::testing {

class FaultControl {
 public:
  FaultControl();
  ~FaultControl();
  FaultControl(const FaultControl&) = delete;
  FaultControl& operator=(const FaultControl&) = delete;

  std::vector<std::string> Environment() const;  // LD_PRELOAD and where the plan is
  void Arm(FaultOp op, FaultAction action, uint32_t at);
  void Disarm() { plan_->armed = 0; }
  bool struck() const { return plan_->struck != 0; }
  uint32_t count() const { return plan_->count; }

 private:
  std::string path_;
  FaultPlan* plan_ = nullptr;
};

}  // namespace basalt::testing
