// What PID 1 does for its machine while it supervises: pets the watchdog, says that the boot is
// good once noded says so, and gives up a trial that nobody called good.
#pragma once

#include "server/init/boot/boot.h"
#include "server/init/boot/boot_entry.h"
#include "server/init/boot/watchdog.h"
#include "server/init/core/duties.h"

namespace basalt::init {

class MachineDuties : public Duties {
 public:
  // A new system that is not healthy by then is restarted, and the loader counts.
  static constexpr int64_t kTrialNs = 900000000000;

  explicit MachineDuties(Machine& machine)
      : machine_(machine), watchdog_(machine), entry_(machine) {}

  void Start();  // boots

  int Healthy() override;
  int SetWatchdog(int64_t* timeout_ns) override;
  void Tell(BootReply* reply) const override;
  const char* OnTime(int64_t sign_ns) override;
  int64_t NextDeadline(int64_t sign_ns) const override;

 private:
  Machine& machine_;
  Watchdog watchdog_;
  BootEntry entry_;
  BootReport boot_;
  int64_t trial_until_ns_ = Os::kNever;
};

}  // namespace basalt::init
