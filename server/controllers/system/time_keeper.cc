#include "server/controllers/system/time_keeper.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "machineconfig/format/time.h"
#include "server/fetch/outside.h"

namespace basalt::system {
namespace {

constexpr char kRunDirectory[] = "/run/chrony";
constexpr char kLeases[] = "run/dhcp";  // of noded-dhcp: a file for each

bool Runs(host::ServiceState state) {
  return state == host::ServiceState::kStarting || state == host::ServiceState::kRunning ||
         state == host::ServiceState::kBackingOff;
}

}  // namespace

absl::Status TimeKeeper::Apply(const v1::TimeSync& time, bool own_authorities,
                               std::optional<absl::Time> signed_at) {
  floor_ = build_time_;
  if (signed_at) floor_ = std::max(floor_, *signed_at);
  allow_unsynced_ = time.allow_unsynced();
  // Validated; without a section the default of the schema.
  boot_timeout_ = format::ParseDuration(time.boot_timeout()).value_or(absl::Minutes(2));
  wanted_ = time;
  authorities_ = vfs_.Absolute(own_authorities ? fetch::kAuthorities : fetch::kImageAuthorities);
  lied_to_ = false;
  start_after_ = absl::ZeroDuration();
  // A document of that time was accepted: it is not earlier now.
  if (!Synchronised() && clock_.Now() < floor_) {
    if (absl::Status status = wall_clock_.Set(floor_); !status.ok()) return status;
  }
  if (absl::Status status = Choose(); !status.ok()) return status;
  Look();
  return absl::OkStatus();
}

absl::Status TimeKeeper::Choose() {
  std::vector<std::string> leased;
  if (wanted_.servers().empty()) {
    for (const std::string& name : vfs_.List(kLeases).value_or(std::vector<std::string>{})) {
      const std::string lease = vfs_.Read(absl::StrCat(kLeases, "/", name)).value_or("");
      for (std::string& server : LeasedServers(lease)) leased.push_back(std::move(server));
    }
  }
  sources_ = SourcesOf(wanted_, leased);
  config_ = RenderChrony(sources_, kRunDirectory, authorities_);
  const absl::StatusOr<std::string> written = vfs_.Read(kChronyConfig);
  return written.ok() && *written == config_ ? absl::OkStatus()
                                             : vfs_.ReplaceVolatile(kChronyConfig, config_, 0644);
}

void TimeKeeper::Look() {
  if (authorities_.empty()) return;  // nobody has said yet whom to ask
  // A lease may have come, or gone. Ignoring a failure: each look tries again.
  Choose().IgnoreError();
  std::optional<host::ServiceStatus> service = Service();
  if (Unlikely() && start_after_ <= clock_.SinceBoot()) {
    // Setting it back while chronyd runs would only be answered with the same lie.
    lied_to_ = true;
    start_after_ = clock_.SinceBoot() + kAskAgain;
  }
  const bool wanted = clock_.SinceBoot() >= start_after_;
  if (service && Runs(service->state) &&
      (!wanted || service->tag != ChronyService("", config_).tag)) {
    // Ignoring a failure: the next look asks again. Its exit is an event.
    supervisor_.Stop(kTimeService).IgnoreError();
    service = Service();
  }
  if (service && (Runs(service->state) || service->state == host::ServiceState::kStopping)) return;
  if (!wanted) {
    if (Unlikely()) wall_clock_.Set(floor_).IgnoreError();  // ignoring: tried at each look
    return;
  }
  absl::Status status = Start();
  problem_ = status.ok() ? "" : std::string(status.message());
}

absl::Status TimeKeeper::Start() {
  host::ServiceSpec spec = ChronyService(vfs_.Absolute(kChronyConfig), config_);
  spec.exec_fd.reset(open(program_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!spec.exec_fd.valid()) {
    return absl::NotFoundError(absl::StrCat(program_, ": ", std::strerror(errno)));
  }
  // What other servers have said counts no more: those that are asked now have to answer.
  if (absl::Status status = wall_clock_.Forget(); !status.ok()) return status;
  return supervisor_.Start(std::move(spec));
}

bool TimeKeeper::Synchronised() const {
  return clock_.Synced() && host::IsLikely(clock_.Now(), build_time_);
}

bool TimeKeeper::Unlikely() const {
  return wall_clock_.State().synchronised && clock_.Now() > build_time_ + host::kImageLife;
}

std::optional<host::ServiceStatus> TimeKeeper::Service() const {
  absl::StatusOr<std::vector<host::ServiceStatus>> list = supervisor_.List();
  if (!list.ok()) return std::nullopt;
  for (const host::ServiceStatus& service : *list) {
    if (service.name == kTimeService) return service;
  }
  return std::nullopt;
}

bool TimeKeeper::settled() const { return Synchronised() && problem_.empty(); }

bool TimeKeeper::UnsyncedAllowed() const {
  return allow_unsynced_ && clock_.SinceBoot() >= boot_timeout_;
}

std::optional<engine::Condition> TimeKeeper::Observe() const {
  if (allow_unsynced_) return std::nullopt;
  engine::Condition condition = {
      .type = "TimeSynced", .holds = Synchronised(), .reason = {}, .message = {}, .code = {}};
  const std::string asked = absl::StrJoin(sources_.Names(), ", ");
  if (condition.holds) {
    condition.reason = "Synchronised";
    condition.message = absl::StrCat("kept by ", asked);
    return condition;
  }
  if (!problem_.empty()) {
    condition.reason = "TimeServiceFailed";
    condition.code = "time-service-failed";
    condition.message = absl::StrCat("nothing keeps the clock: ", problem_);
  } else if (lied_to_) {
    condition.reason = "TimeUnlikely";
    condition.code = "time-unlikely";
    condition.message = absl::StrCat(
        "the time servers told a time beyond any in which this image can run, and were not "
        "believed; asked again every ",
        absl::FormatDuration(kAskAgain), ": ", asked);
  } else {
    condition.reason = "Unsynchronised";
    condition.code = "time-unsynced";
    condition.message =
        clock_.SinceBoot() < boot_timeout_
            ? absl::StrCat("waiting for an answer of ", asked)
            : absl::StrCat("no time server has answered in ", absl::FormatDuration(boot_timeout_),
                           ", and K3s and certificates wait: ", asked,
                           " (system.time.allowUnsynced lets them start)");
  }
  return condition;
}

void TimeKeeper::Describe(v1::SystemStatus* status) const {
  const host::ClockState state = wall_clock_.State();
  status->set_clock(Synchronised()           ? "synchronised"
                    : lied_to_ || Unlikely() ? "unlikely"
                                             : "unsynchronised");
  if (Synchronised()) {
    // A power of ten, since it grows all the time and would be news each time.
    const double error = absl::ToDoubleSeconds(state.most_error);
    if (error > 0) status->set_clock_error_seconds(std::pow(10, std::ceil(std::log10(error))));
    status->set_clock_authenticated(sources_.authenticated);
  }
  for (const std::string& name : sources_.Names()) status->add_time_servers(name);
}

}  // namespace basalt::system
