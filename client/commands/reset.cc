// nodectl reset: a signed order to forget.
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/disk_verbs.h"
#include "client/commands/follow.h"
#include "client/commands/order.h"

namespace basalt::client {
namespace {

std::string Consequence(const ResetOptions& o) {
  const std::string how =
      o.method.empty() || o.method == "fast" ? "" : absl::StrCat(" (", o.method, ")");
  std::string what = "its config, its K3s and its data are erased";
  if (o.all || (o.state && o.data)) {
    what = absl::StrCat("everything that it keeps is erased", how,
                        o.forget_trust
                            ? ", and whom it trusts: it is a machine like any other then"
                            : "; it comes back as a new machine that trusts whom it trusts now");
  } else if (o.state) {
    what = absl::StrCat("its identity, config and secrets are erased", how,
                        "; it comes back as a new machine that trusts whom it trusts now");
  } else if (o.data) {
    what = absl::StrCat("K3s's data, images and local volumes of pods are erased", how,
                        "; K3s starts anew from the config that it has");
  }
  return absl::StrCat(what, o.power_off                              ? ", and it powers off"
                            : o.reboot || o.all || o.state || o.data ? ", and it restarts"
                                                                     : "");
}

}  // namespace

absl::StatusOr<int> RunReset(Session& session, const ResetOptions& options) {
  if (options.reboot && options.power_off) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "reboot, or power off?",
                      "one of --reboot and --power-off");
  }
  if (options.forget_trust && !options.all) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage",
                      "trust is forgotten only with everything else", "--all --forget-trust");
  }
  if (!options.method.empty() && !options.all && !options.state && !options.data) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "--wipe is about partitions",
                      "--state, --data or --all as well");
  }
  Order order{.verb = "reset",
              .arguments = {},
              .what = "Reset",
              .consequence = Consequence(options),
              .done = "reset",
              .command = "reset"};
  auto set = [&](bool on, const char* name, const char* value = "true") {
    if (on) order.arguments[name] = value;
  };
  set(options.all, "all");
  set(options.state, "state");
  set(options.data, "data");
  set(options.forget_trust, "forgetTrust");
  set(!options.graceful, "graceful", "false");
  set(!options.method.empty(), "wipe", options.method.c_str());
  set(options.reboot, "then", "reboot");
  set(options.power_off, "then", "power-off");
  SentOrder sent;
  absl::StatusOr<int> done = RunOrder(session, order, options.order, &sent);
  if (!done.ok() || !sent.sent || options.no_wait) return done;
  return FollowReset(session, sent, options.timeout);
}

}  // namespace basalt::client
