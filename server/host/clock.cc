#include "server/host/clock.h"

#include <sys/random.h>
#include <time.h>

#include <cstdlib>
#include <fstream>

#include "absl/time/clock.h"

namespace basalt::host {
namespace {

class SystemClock : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  absl::Duration SinceBoot() override {
    timespec ts{};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return absl::DurationFromTimespec(ts);
  }
  std::string BootId() override {
    std::ifstream in("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(in, id);
    return id;
  }
  bool Synced() override { return absl::Now() >= absl::FromUnixSeconds(BASALT_BUILD_TIME); }
};

class SystemRandom : public Random {
 public:
  std::string Bytes(size_t n) override {
    std::string out(n, '\0');
    size_t have = 0;
    while (have < n) {
      ssize_t got = getrandom(out.data() + have, n - have, 0);
      if (got > 0) have += static_cast<size_t>(got);
      // EINTR is the only error getrandom has for a valid buffer and no flags.
    }
    return out;
  }
};

}  // namespace

Clock& RealClock() {
  static SystemClock clock;
  return clock;
}

Random& RealRandom() {
  static SystemRandom random;
  return random;
}

}  // namespace basalt::host
