#include "server/engine/gate.h"

#include <algorithm>

namespace basalt::engine {

GateVerdict JudgeGate(const std::set<std::string>& held_before, absl::Duration started,
                      absl::Duration now, const std::vector<Condition>& conditions,
                      const std::function<absl::Duration(const std::string&)>& deadline) {
  GateVerdict verdict;
  for (const Condition& condition : conditions) {
    if (condition.holds) continue;
    absl::Duration until = started + deadline(condition.type);
    bool over = condition.hopeless || now >= until;
    if (!over) {
      verdict.waiting.push_back(condition);
      verdict.wake = std::min(verdict.wake, until);
      continue;
    }
    if (held_before.count(condition.type) > 0) {
      verdict.kind = GateVerdict::Kind::kFail;
      verdict.waiting.clear();
      verdict.unhealthy = {condition};
      return verdict;
    }
    verdict.unhealthy.push_back(condition);
  }
  if (!verdict.waiting.empty()) {
    verdict.kind = GateVerdict::Kind::kWait;
    verdict.unhealthy.clear();
  }
  return verdict;
}

}  // namespace basalt::engine
