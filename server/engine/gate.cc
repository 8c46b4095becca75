#include "server/engine/gate.h"

#include <algorithm>

namespace basalt::engine {

GateVerdict JudgeGate(const std::set<std::string>& held_before, absl::Duration started,
                      absl::Duration now, const std::vector<Condition>& conditions,
                      const Deadlines& deadline) {
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

void Baseline::Observe(const std::vector<Condition>& conditions, absl::Duration now) {
  for (const Condition& condition : conditions) {
    if (condition.holds) {
      lost_[condition.type] = absl::InfiniteDuration();
    } else if (auto it = lost_.find(condition.type); it != lost_.end()) {
      it->second = std::min(it->second, now);
    }
  }
}

void Baseline::Expect(const std::set<std::string>& types, absl::Duration now) {
  for (const std::string& type : types) lost_[type] = now;
}

std::set<std::string> Baseline::Held(const std::vector<Condition>& conditions, absl::Duration now,
                                     const Deadlines& deadline) const {
  std::set<std::string> held;
  for (const Condition& condition : conditions) {
    auto it = lost_.find(condition.type);
    bool coming =
        !condition.hopeless && it != lost_.end() && now < it->second + deadline(condition.type);
    if (condition.holds || coming) held.insert(condition.type);
  }
  return held;
}

}  // namespace basalt::engine
