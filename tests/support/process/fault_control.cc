#include "tests/support/process/fault_control.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace basalt::testing {

FaultControl::FaultControl() {
  char pattern[] = "/tmp/basalt-fault-XXXXXX";
  int fd = mkostemp(pattern, O_CLOEXEC);
  path_ = pattern;
  EXPECT_EQ(ftruncate(fd, sizeof(FaultPlan)), 0);
  plan_ = static_cast<FaultPlan*>(
      mmap(nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  close(fd);
}

FaultControl::~FaultControl() {
  munmap(plan_, sizeof(FaultPlan));
  unlink(path_.c_str());
}

std::vector<std::string> FaultControl::Environment() const {
  return {"LD_PRELOAD=" FAULT_SHIM, std::string(kFaultPlanVariable) + "=" + path_};
}

void FaultControl::Arm(FaultOp op, FaultAction action, uint32_t at) {
  plan_->armed = 0;
  plan_->op = op;
  plan_->action = action;
  plan_->at = at;
  plan_->count = 0;
  plan_->struck = 0;
  plan_->armed = 1;
}

}  // namespace basalt::testing
