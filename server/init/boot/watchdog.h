// The watchdog of the machine: petted only while noded shows that it is alive.
//
//   time since noded last said something     done
//   (since the boot, until it first does)
//   ------------------------------------     ----------------------------------------------------
//   up to kPatience                          petted every quarter of what the device waits
//   beyond                                   never petted again, and an orderly restart is asked
//                                            for; when that hangs too, the device ends it
//
// "Something" is HELLO or FEED; after a noded that hung it is FEED alone, so that one which hangs
// after each start does not count. noded that hangs is killed and started again long before
// (Settings::watchdog_ns); this is for when that does not help. Without a device the orderly
// restart is all there is, and the console says so. One thread, CLOCK_BOOTTIME.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

class Watchdog {
 public:
  static constexpr int64_t kTimeout = 60000000000;
  static constexpr int64_t kPatience = 180000000000;

  explicit Watchdog(Machine& machine) : machine_(machine) {}

  void Open();  // and pets it. Says what there is
  // What the device really waits comes back; it is petted as often as that wants. 0 or errno.
  int SetTimeout(int64_t* timeout_ns);
  // `sign_ns`: when noded last said something, 0 never yet. Pets when it is time to.
  void OnTime(int64_t sign_ns);
  int64_t NextDeadline(int64_t sign_ns) const;
  bool lost(int64_t sign_ns) const;  // patience is at its end
  bool armed() const { return armed_; }

 private:
  int64_t Limit(int64_t sign_ns) const;

  Machine& machine_;
  bool armed_ = false;
  int64_t opened_ns_ = 0;
  int64_t period_ns_ = 0;
  int64_t next_ns_ = Os::kNever;
};

}  // namespace basalt::init
