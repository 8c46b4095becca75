// Is the node no less healthy than before? Pure.
//
// | held before | holds now | deadline or hopeless | then                                         |
// | ----------- | --------- | -------------------- | -------------------------------------------- |
// | yes         | yes       | -                    | fine                                         |
// | yes         | no        | no                   | wait: an intended restart breaks it a moment |
// | yes         | no        | yes                  | fail: revert                                 |
// | no          | yes       | -                    | fine                                         |
// | no          | no        | no                   | wait                                         |
// | no          | no        | yes                  | commit, and say that it is not healthy       |
//
// A condition that held and that the new config does not ask for any more is not looked at.
#pragma once

#include <functional>
#include <map>
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
using Deadlines = std::function<absl::Duration(const std::string&)>;
GateVerdict JudgeGate(const std::set<std::string>& held_before, absl::Duration started,
                      absl::Duration now, const std::vector<Condition>& conditions,
                      const Deadlines& deadline);

// What held before a change. A K3s that is still coming up, after a boot or after a config that was
// taken back, is not an unhealthy one: what it is expected to be counts as held until its own
// deadline, or the next bad config would find nothing that it could break. Boot clock.
class Baseline {
 public:
  void Observe(const std::vector<Condition>& conditions, absl::Duration now);
  // These held and were broken on purpose: they have until their deadline to hold again.
  void Expect(const std::set<std::string>& types, absl::Duration now);
  std::set<std::string> Held(const std::vector<Condition>& conditions, absl::Duration now,
                             const Deadlines& deadline) const;

 private:
  // Of each that ever held: since when it does not; infinite while it does.
  std::map<std::string, absl::Duration> lost_;
};

}  // namespace basalt::engine
