// Is the node no less healthy than before? Pure.
//
//   held before | holds now | deadline or hopeless | then
//   yes         | yes       | -                    | fine
//   yes         | no        | no                   | wait: an intended restart breaks it for a
//   moment yes         | no        | yes                  | fail: revert no          | yes       |
//   -                    | fine no          | no        | no                   | wait no          |
//   no        | yes                  | commit, and say that it is not healthy
//
// A condition that held and that the new config does not ask for any more is not looked at.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/engine/controller.h"

namespace basalt::engine {

struct GateVerdict {
  enum class Kind { kWait, kPass, kFail };
  Kind kind = Kind::kPass;
  std::vector<Condition> waiting;    // kWait: for these
  std::vector<Condition> unhealthy;  // kPass: those that do not hold; kFail: the one that failed
  absl::Duration wake = absl::InfiniteDuration();  // kWait: judge again then (boot clock)
};

// `started`: when the change had been made. `deadline`: how long after that a condition may take.
GateVerdict JudgeGate(const std::set<std::string>& held_before, absl::Duration started,
                      absl::Duration now, const std::vector<Condition>& conditions,
                      const std::function<absl::Duration(const std::string&)>& deadline);

}  // namespace basalt::engine
