// Keeps noded running: starts it, starts it again, watches its feeds.
//
//   restart no. since it last ran 10 s   1      2        3        4    5    ...
//   waits                                0      200 ms   500 ms   1 s  2 s  ... 30 s
//
// So the first three come within one second, and a noded that crashes at once costs little. Exit 64
// of the very first noded means that it could not start as it was told to (a mistyped option, a
// port that is taken): the program ends with 64 instead, unless it is PID 1, which has nobody to
// tell. One thread, no allocation, CLOCK_BOOTTIME.
#pragma once

#include <cstdint>

#include "server/init/core/channel.h"
#include "server/init/core/os.h"

namespace basalt::init {

class Keeper {
 public:
  static constexpr int64_t kSettledNs = 10000000000;
  static constexpr int64_t kLongestDelayNs = 30000000000;
  static constexpr int64_t kFeedPeriodNs = 30000000000;  // a lapse is counted, without a watchdog

  // `watchdog_ns` 0: a noded that stops feeding is counted, not killed. `forever`: PID 1.
  Keeper(Os& os, Channel& channel, int64_t watchdog_ns, bool forever)
      : os_(os), channel_(channel), watchdog_ns_(watchdog_ns), forever_(forever) {}
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  int Start();  // the first one. 0 or errno; with `forever` always 0, and tried again
  bool OnExit(const Exited& exited);  // false: not noded
  void OnTime();
  int64_t NextDeadline() const;

  void BeginShutdown(int64_t grace_ns);  // SIGTERM, later SIGKILL; no restart
  void KillNow();
  bool running() const { return pid_ != 0; }
  // The watchdog killed it, and none that came after has fed yet.
  bool hung() const { return hung_ns_ > channel_.last_feed_ns(); }
  bool misconfigured() const { return misconfigured_; }

 private:
  int Launch();
  void TryAgain(int error);
  int64_t Delay() const;
  int64_t FeedDeadline() const;

  Os& os_;
  Channel& channel_;
  const int64_t watchdog_ns_;
  const bool forever_;
  int pid_ = 0;
  int64_t starts_ = 0;
  int restarts_ = 0;
  int64_t started_ns_ = 0;
  int64_t restart_ns_ = Os::kNever;
  int64_t kill_ns_ = Os::kNever;
  int64_t hung_ns_ = 0;
  int64_t counted_ns_ = 0;  // the feed whose lapse is counted already
  bool shutting_down_ = false;
  bool misconfigured_ = false;
};

}  // namespace basalt::init
