#include "server/rpc/slots.h"

#include <algorithm>

namespace basalt::rpc {
namespace {

constexpr absl::Duration kLately = absl::Hours(1);

}  // namespace

Slots::Slots(int connections, int per_source, int reserved)
    : connections_(connections),
      per_source_(per_source),
      // Where few connections fit at all, strangers keep most of them: a first config comes from
      // one.
      reserved_(std::clamp(reserved, 0, connections / 4)) {}

Slots::Verdict Slots::Take(const std::string& source, absl::Duration now) {
  auto known = authenticated_.find(source);
  bool lately = known != authenticated_.end() && now - known->second < kLately;
  if (open_ >= (lately ? connections_ : connections_ - reserved_)) return Verdict::kFull;
  auto [it, added] = by_source_.try_emplace(source, 0);
  if (it->second >= per_source_) return Verdict::kSourceFull;
  ++it->second;
  ++open_;
  return Verdict::kTaken;
}

void Slots::Release(const std::string& source) {
  auto it = by_source_.find(source);
  if (it == by_source_.end()) return;
  --open_;
  if (--it->second == 0) by_source_.erase(it);
}

void Slots::NoteAuthenticated(const std::string& source, absl::Duration now) {
  if (authenticated_.size() >= kMaxRemembered && authenticated_.count(source) == 0) {
    auto oldest =
        std::min_element(authenticated_.begin(), authenticated_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    authenticated_.erase(oldest);
  }
  authenticated_[source] = now;
}

}  // namespace basalt::rpc
