#include "server/host/wall_clock.h"

#include <sys/timex.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace basalt::host {
namespace {

class LinuxWallClock : public WallClock {
 public:
  ClockState State() override {
    timex state = {};
    const int result = adjtimex(&state);
    ClockState out;
    out.synchronised = result >= 0 && (state.status & STA_UNSYNC) == 0;
    if (result >= 0) out.most_error = absl::Microseconds(state.maxerror);
    return out;
  }
  absl::Status Forget() override {
    timex state = {};
    state.modes = ADJ_STATUS;
    state.status = STA_UNSYNC;
    return adjtimex(&state) >= 0 ? absl::OkStatus() : Failed();
  }
  absl::Status Set(absl::Time time) override {
    if (absl::Status status = Forget(); !status.ok()) return status;
    const timespec to = absl::ToTimespec(time);
    return clock_settime(CLOCK_REALTIME, &to) == 0 ? absl::OkStatus() : Failed();
  }

 private:
  static absl::Status Failed() {
    return absl::InternalError(absl::StrCat("setting the clock: ", std::strerror(errno)));
  }
};

class MachineClock : public Clock {
 public:
  absl::Time Now() override { return RealClock().Now(); }
  absl::Duration SinceBoot() override { return RealClock().SinceBoot(); }
  std::string BootId() override { return RealClock().BootId(); }
  bool Synced() override {
    return RealWallClock().State().synchronised &&
           IsLikely(Now(), absl::FromUnixSeconds(BASALT_BUILD_TIME));
  }
};

}  // namespace

WallClock& RealWallClock() {
  static LinuxWallClock clock;
  return clock;
}

bool IsLikely(absl::Time now, absl::Time built) {
  return now >= built && now <= built + kImageLife;
}

Clock& KeptClock() {
  static MachineClock clock;
  return clock;
}

}  // namespace basalt::host
