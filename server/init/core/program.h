// noded-init as one value: services, channel, noded and the order of an orderly end. The event loop
// (server/init/loop.cc) only waits and calls in here, so everything that decides is tested with a
// fake Os and a stepped clock.
//
//   running --SIGTERM/SIGINT--> services stop (their grace, at most stop_limit; 5 s after SIGKILL
//   the rest is given up) --> noded stops (10 s, then SIGKILL, 5 s) --> done
//
// A second signal kills what is left at once. Every other signal is read and ignored.
//
// As PID 1 what ends it is defined for a machine, and `done` means that the machine is next:
//
//   SIGTERM, SIGPWR, END power off     power off
//   SIGINT (Ctrl-Alt-Del), END reboot  reboot
//   a duty that is due                 reboot: no sign of life, or a trial that nobody called good
#pragma once

#include <cstdint>

#include "server/init/core/channel.h"
#include "server/init/core/keeper.h"
#include "server/init/core/os.h"
#include "server/init/core/supervisor.h"

namespace basalt::init {

struct Settings {
  int64_t watchdog_ns = 0;
  int64_t stop_limit_ns = 90000000000;
  int init_pid = 0;
  Duties* duties = nullptr;  // of PID 1
};

class Program {
 public:
  static constexpr int64_t kNodedGraceNs = 10000000000;
  static constexpr int64_t kGiveUpNs = 5000000000;  // after SIGKILL: a process in D state

  Program(Os& os, const Settings& settings);

  int Start();  // the first noded. 0 or errno
  // Reaps all that ended, adopted children too. First thing of every turn.
  void ReapAll();
  void OnSignal(int signal);
  void OnReadable(uint64_t token);
  // Fires what is due and moves the shutdown on. Last thing of every turn.
  void OnTime();
  int64_t NextDeadline() const;

  bool done() const { return phase_ == Phase::kDone; }
  // 0; 64 when the first noded asked for it; 1 when a process outlived SIGKILL.
  int exit_code() const { return exit_code_; }
  bool reboot() const { return reboot_; }  // of PID 1: how it is to end
  const Supervisor& supervisor() const { return supervisor_; }

 private:
  enum class Phase { kRunning, kStoppingServices, kStoppingNoded, kDone };
  void BeginShutdown();
  void DoDuties();
  void Hurry();
  void Advance();

  Os& os_;
  const Settings settings_;
  Supervisor supervisor_;
  Channel channel_;
  Keeper keeper_;
  Phase phase_ = Phase::kRunning;
  int64_t kill_ns_ = Os::kNever;     // services that are left get SIGKILL
  int64_t give_up_ns_ = Os::kNever;  // of the phase
  int64_t sign_ns_ = 0;              // when noded last said something
  bool reboot_ = false;
  bool hurried_ = false;
  int exit_code_ = 0;
};

}  // namespace basalt::init
