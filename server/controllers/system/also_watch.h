// `system.watchdog.also`: the machine restarts when its gateway does not answer, or K3s is not
// alive, for `patience`. Loop thread only.
//
//   all of it is well                      nothing; what was counted is forgotten
//   something fails, less than patience    the alarm says since when
//   ... longer, the first three times      counted on STATE, an orderly restart is ordered, and the
//                                          watchdog is fed no more: it ends what the restart does
//                                          not
//   ... the fourth time                    left alone: three restarts did not help, and a machine
//                                          that restarts for ever cannot be mended from afar
//
// K3s counts once it was started in this boot: while it waits for a clock, nobody restarts.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "basalt/v1/system.pb.h"
#include "server/engine/controller.h"
#include "server/host/clock.h"
#include "server/host/gateway.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::system {

inline constexpr char kRestartsFile[] = "state/watchdog-restarts";

class AlsoWatch {
 public:
  static constexpr int kRestarts = 3;

  AlsoWatch(host::Clock& clock, host::Supervisor& supervisor, host::Vfs& vfs,
            host::Platform& platform, host::Gateway* gateway)
      : clock_(clock), supervisor_(supervisor), vfs_(vfs), platform_(platform), gateway_(gateway) {}

  void Apply(const v1::Watchdog& watchdog);
  // Every now and then. Orders the restart.
  void Look();
  // False: nobody may say to noded-init that all is well.
  bool MayFeed() const { return !ordered_; }
  std::optional<engine::Condition> Alarm() const;

 private:
  struct Watched {
    absl::Duration good;  // boot clock: when it was well last, or was first looked at
    bool well = true;
    std::string text;
  };
  // nullopt: nothing to be said of it.
  std::optional<bool> Well(const std::string& what, std::string* text);
  int Restarts() const;
  void Order(const std::string& why);

  host::Clock& clock_;
  host::Supervisor& supervisor_;
  host::Vfs& vfs_;
  host::Platform& platform_;
  host::Gateway* const gateway_;
  absl::Duration patience_ = absl::Minutes(15);
  std::map<std::string, Watched> watched_;
  bool ordered_ = false;
  bool given_up_ = false;
};

}  // namespace basalt::system
