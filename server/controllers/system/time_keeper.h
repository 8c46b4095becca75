// Keeps the clock: runs chronyd, says whether the time can be relied on, and finds the way back
// from a time that no server may have told in good faith. Loop thread only.
//
//   clock of the kernel                  is called         K3s and certificates
//   -----------------------------------  ----------------  -----------------------------------
//   kept, a likely time                  synchronised      go on
//   not kept                             unsynchronised    wait; with allowUnsynced at most
//                                                          bootTimeout after the boot
//   kept, ten years beyond the image     unlikely          as above; the clock is set back and
//                                                          the servers are asked again later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "basalt/v1/system.pb.h"
#include "server/controllers/system/chrony.h"
#include "server/engine/controller.h"
#include "server/host/clock.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/host/wall_clock.h"

namespace basalt::system {

class TimeKeeper {
 public:
  // After a time that nobody can have meant: others may answer by then.
  static constexpr absl::Duration kAskAgain = absl::Minutes(2);

  TimeKeeper(host::Clock& clock, host::WallClock& wall_clock, host::Supervisor& supervisor,
             host::Vfs& vfs, absl::Time build_time, std::string program)
      : clock_(clock),
        wall_clock_(wall_clock),
        supervisor_(supervisor),
        vfs_(vfs),
        build_time_(build_time),
        program_(std::move(program)),
        floor_(build_time) {}

  // What is wanted from now on. `signed_at`: of the config, before which it cannot be.
  absl::Status Apply(const v1::TimeSync& time, bool own_authorities,
                     std::optional<absl::Time> signed_at);
  // Makes the service as it is wanted: repeated on each of its events, and now and then.
  void Look();

  // nullopt when the config does without (allowUnsynced).
  std::optional<engine::Condition> Observe() const;
  bool UnsyncedAllowed() const;
  absl::Duration boot_timeout() const { return boot_timeout_; }
  bool settled() const;  // there is nothing to wait for
  void Describe(v1::SystemStatus* status) const;

  bool Synchronised() const;

 private:
  bool Unlikely() const;
  // Whom to ask, written down when it is somebody else than before.
  absl::Status Choose();
  std::optional<host::ServiceStatus> Service() const;
  absl::Status Start();

  host::Clock& clock_;
  host::WallClock& wall_clock_;
  host::Supervisor& supervisor_;
  host::Vfs& vfs_;
  const absl::Time build_time_;
  const std::string program_;

  absl::Time floor_;
  v1::TimeSync wanted_;
  std::string authorities_;
  TimeSources sources_;
  std::string config_;
  bool allow_unsynced_ = false;
  absl::Duration boot_timeout_ = absl::Minutes(2);
  absl::Duration start_after_;  // boot clock
  std::string problem_;         // why the service does not run
  bool lied_to_ = false;
};

}  // namespace basalt::system
