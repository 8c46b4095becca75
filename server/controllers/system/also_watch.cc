#include "server/controllers/system/also_watch.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/format/time.h"

namespace basalt::system {
namespace {

constexpr char kGateway[] = "gateway";
constexpr char kK3s[] = "k3s";

std::string Words(absl::Duration time) {
  return absl::FormatDuration(absl::Trunc(time, absl::Seconds(1)));
}

}  // namespace

void AlsoWatch::Apply(const v1::Watchdog& watchdog) {
  patience_ = format::ParseDuration(watchdog.patience()).value_or(absl::Minutes(15));
  std::map<std::string, Watched> next;
  for (const std::string& what : watchdog.also()) {
    const auto before = watched_.find(what);
    next[what] =
        before == watched_.end() ? Watched{.good = clock_.SinceBoot()} : std::move(before->second);
  }
  watched_.swap(next);
  given_up_ = false;
}

std::optional<bool> AlsoWatch::Well(const std::string& what, std::string* text) {
  if (what == kGateway) {
    if (gateway_ == nullptr) return std::nullopt;
    const host::GatewayState state = gateway_->Look();
    *text = absl::StrCat("the gateway (", state.text, ") does not answer");
    return state.answers;
  }
  if (what != kK3s) return std::nullopt;
  absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
  if (!list.ok()) return std::nullopt;
  for (const host::ServiceStatus& service : *list) {
    if (service.name != kK3s || service.state == host::ServiceState::kStopped ||
        service.state == host::ServiceState::kStopping) {
      continue;
    }
    *text = absl::StrCat("K3s is not alive (", host::ToString(service.state), ")");
    return service.state == host::ServiceState::kRunning;
  }
  return std::nullopt;
}

void AlsoWatch::Look() {
  if (watched_.empty() || ordered_) return;
  const absl::Duration now = clock_.SinceBoot();
  std::string overdue;
  bool all_well = true;
  for (auto& [what, watched] : watched_) {
    const std::optional<bool> well = Well(what, &watched.text);
    watched.well = well.value_or(true);
    if (watched.well) watched.good = now;
    all_well = all_well && well.value_or(false);
    if (now - watched.good >= patience_) {
      overdue = absl::StrCat(watched.text, ", for ", Words(now - watched.good));
    }
  }
  if (all_well) {
    given_up_ = false;
    // Absent but after such a restart: a node at rest writes nothing.
    if (vfs_.Exists(kRestartsFile)) vfs_.Remove(kRestartsFile).IgnoreError();
  }
  if (overdue.empty() || given_up_) return;
  if (Restarts() >= kRestarts) {
    given_up_ = true;
    return;
  }
  Order(overdue);
}

int AlsoWatch::Restarts() const {
  int restarts = 0;
  const std::string text = vfs_.Read(kRestartsFile, 64).value_or("");
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &restarts) ? restarts : 0;
}

void AlsoWatch::Order(const std::string& why) {
  // A restart that is not counted could come for ever.
  if (absl::Status counted = vfs_.Replace(kRestartsFile, absl::StrCat(Restarts() + 1, "\n"));
      !counted.ok()) {
    given_up_ = true;
    return;
  }
  ordered_ = true;
  std::fprintf(stderr, "noded: system.watchdog: %s; the machine restarts\n", why.c_str());
  // Ignoring a failure: the watchdog is fed no more.
  platform_.Reboot().IgnoreError();
}

std::optional<engine::Condition> AlsoWatch::Alarm() const {
  std::string message;
  for (const auto& [what, watched] : watched_) {
    if (watched.well) continue;
    absl::StrAppend(&message, message.empty() ? "" : "; ", watched.text);
  }
  if (message.empty()) return std::nullopt;
  return engine::Condition{
      .type = "WatchdogWaits",
      .holds = true,
      .reason = given_up_  ? "RestartsDidNotHelp"
                : ordered_ ? "Restarting"
                           : "Failing",
      .message =
          given_up_
              ? absl::StrCat(message, "; ", kRestarts, " restarts did not help, and no more come")
              : absl::StrCat(message, "; after ", Words(patience_), " of it the machine restarts")};
}

}  // namespace basalt::system
