#include "server/controllers/system/plan.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/format/time.h"
#include "server/controllers/system/chrony.h"
#include "server/controllers/system/windows.h"

namespace basalt::system {
namespace {

using engine::ControllerPlan;
using google::protobuf::util::MessageDifferencer;

void Add(ControllerPlan* plan, std::string what, v1::Effect effect = v1::EFFECT_LIVE) {
  plan->steps.push_back(
      {.controller = kName, .description = std::move(what), .effect = effect, .unimplemented = {}});
}

// The step is called as the field, so that the answer to an apply names it.
void Refuse(ControllerPlan* plan, absl::string_view path, absl::string_view why) {
  plan->steps.push_back({.controller = absl::StrCat(kName, ".", path),
                         .description = "apply what it says",
                         .effect = v1::EFFECT_LIVE,
                         .unimplemented = std::string(why)});
}

// Fields that nothing carries out here, each with what stands in the way. A line goes when the
// field is done.
struct Refusal {
  const char* path;  // below `system`
  const char* why;
};
constexpr Refusal kRefusals[] = {
    {"install", "this release of noded does not install itself from a boot medium"},
    {"kernel.arguments",
     "the command line stands in the kernel image, under its signature: it is the profile of an "
     "image that says it (`argument` lines)"},
    {"firmware", "the image has no boot files of a board that could be told"},
    {"udevRules", "the image has no udevd, and devices have the kernel's own names"},
    {"watchdog.also", "noded-init looks at noded alone yet, not at a gateway or at K3s"},
    {"logs.retention", "nothing is kept on disk yet: the last 256 KiB of each service, in memory"},
    {"logs.sinks", "this release of noded sends its logs nowhere"},
};

// The message of `path`'s last name, and its field: "kernel.arguments" of System.
const google::protobuf::Message* Walk(const google::protobuf::Message& system,
                                      absl::string_view path,
                                      const google::protobuf::FieldDescriptor** field) {
  const google::protobuf::Message* at = &system;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const auto* descriptor = at->GetDescriptor();
    *field = nullptr;
    for (int k = 0; k < descriptor->field_count(); ++k) {
      if (descriptor->field(k)->json_name() == names[i]) *field = descriptor->field(k);
    }
    if (*field == nullptr) return nullptr;
    if (i + 1 < names.size()) at = &at->GetReflection()->GetMessage(*at, *field);
  }
  return at;
}

bool Says(const google::protobuf::Message& message,
          const google::protobuf::FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  return field->is_repeated() ? reflection->FieldSize(message, field) > 0
                              : reflection->HasField(message, field);
}

bool SameField(const v1::System& a, const v1::System& b, absl::string_view path) {
  const google::protobuf::FieldDescriptor* field = nullptr;
  const google::protobuf::Message* in_a = Walk(a, path, &field);
  const google::protobuf::Message* in_b = Walk(b, path, &field);
  MessageDifferencer differ;
  return differ.CompareWithFields(*in_a, *in_b, {field}, {field});
}

void PlanRefusals(const v1::System& from, const v1::System& to, ControllerPlan* plan) {
  for (const Refusal& refusal : kRefusals) {
    const google::protobuf::FieldDescriptor* field = nullptr;
    const google::protobuf::Message* message = Walk(to, refusal.path, &field);
    if (message == nullptr || !Says(*message, field) || SameField(from, to, refusal.path)) continue;
    Refuse(plan, refusal.path, refusal.why);
  }
}

void PlanHostName(const v1::MachineConfig* from, const v1::MachineConfig& to,
                  ControllerPlan* plan) {
  if (from != nullptr && from->metadata().name() == to.metadata().name()) return;
  Add(plan, absl::StrCat("call the machine ", to.metadata().name()));
}

void PlanTime(const v1::MachineConfig* from, const v1::TimeSync& to, const v1::TimeSync& last,
              ControllerPlan* plan) {
  auto asked = [](const v1::TimeSync& time) {
    return time.servers().empty() ? "those that DHCP names, else 0. to 3.pool.ntp.org"
                                  : absl::StrJoin(SourcesOf(time, {}).Names(), ", ");
  };
  if (from == nullptr || asked(to) != asked(last)) {
    Add(plan, absl::StrCat("ask for the time: ", asked(to)));
  }
  if (to.allow_unsynced() == last.allow_unsynced() &&
      (to.boot_timeout() == last.boot_timeout() || !to.allow_unsynced())) {
    return;
  }
  Add(plan, to.allow_unsynced() ? absl::StrCat("let K3s start ", to.boot_timeout(),
                                               " after a boot, also when nobody has told the time")
                                : "let K3s wait until the clock is synchronised");
}

void PlanAuthorities(const v1::System& from, const v1::System& to, ControllerPlan* plan) {
  std::map<std::string, std::string> before, after;
  for (const v1::CaCertificate& ca : from.ca_certificates()) before[ca.name()] = ca.certificate();
  for (const v1::CaCertificate& ca : to.ca_certificates()) after[ca.name()] = ca.certificate();
  for (const auto& [name, certificate] : after) {
    const auto last = before.find(name);
    if (last == before.end()) {
      Add(plan, absl::StrCat("trust the authority ", name));
    } else if (last->second != certificate) {
      Add(plan, absl::StrCat("trust another certificate of the authority ", name));
    }
  }
  for (const auto& [name, unused] : before) {
    if (after.count(name) == 0) Add(plan, absl::StrCat("trust the authority ", name, " no more"));
  }
}

// Without its password, and without saying whether that changed.
void PlanProxy(const v1::Proxy& from, const v1::System& to, bool had, ControllerPlan* plan) {
  if (MessageDifferencer::Equals(from, to.proxy()) && had == to.has_proxy()) return;
  if (!to.has_proxy()) return Add(plan, "reach the outside without a proxy");
  Add(plan, absl::StrCat("reach the outside by ",
                         to.proxy().has_https() ? to.proxy().https() : to.proxy().http()));
}

void PlanConsole(const v1::System& from, const v1::System& to, ControllerPlan* plan) {
  auto on = [](const v1::System& system) {
    return !system.console().has_status() || system.console().status();
  };
  if (on(from) != on(to)) {
    Add(plan, on(to) ? "show the node on the screen" : "show nothing on the screen");
  }
  const std::string blank = to.console().blank_after();
  if (blank == from.console().blank_after()) return;
  Add(plan, blank.empty()
                ? "leave the screen on"
                : absl::StrCat("turn the screen off when nothing has changed for ", blank));
}

absl::Status PlanWatchdog(const v1::System& from, const v1::System& to, const KernelFacts& facts,
                          ControllerPlan* plan) {
  if (to.has_watchdog() && !facts.watchdog) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-watchdog",
                      "system.watchdog: this machine has no watchdog", "remove the section");
  }
  const std::string device = to.watchdog().device();
  if (!device.empty() && device != "/dev/watchdog" && device != "/dev/watchdog0") {
    Refuse(plan, "watchdog.device",
           "noded-init keeps the first one, which cannot be closed without a reset");
  }
  const absl::Duration timeout = WatchdogTimeout(to);
  if (timeout != WatchdogTimeout(from)) {
    Add(plan, absl::StrCat("reset the machine when nobody has fed its watchdog for ",
                           absl::FormatDuration(timeout)));
  }
  return absl::OkStatus();
}

void PlanMaintenance(const v1::Maintenance& from, const v1::Maintenance& to, ControllerPlan* plan) {
  if (MessageDifferencer::Equals(from, to)) return;
  absl::TimeZone unused;
  if (!LoadZone(to.time_zone(), &unused)) {
    Refuse(plan, "maintenance.timeZone",
           "the image has no table of time zones: give the times in UTC");
    return;
  }
  if (to.windows().empty()) return Add(plan, "never reboot by itself");
  std::vector<std::string> windows;
  for (const v1::MaintenanceWindow& window : to.windows()) {
    windows.push_back(absl::StrCat(window.name(), " ", window.from(), " to ", window.to()));
  }
  Add(plan, absl::StrCat("reboot for a staged config only inside ", absl::StrJoin(windows, ", ")));
}

}  // namespace

absl::Duration WatchdogTimeout(const v1::System& system) {
  return format::ParseDuration(system.watchdog().timeout()).value_or(absl::Minutes(1));
}

absl::StatusOr<ControllerPlan> PlanSystem(const v1::MachineConfig* from,
                                          const v1::MachineConfig& to, const KernelFacts& facts) {
  ControllerPlan plan;
  const v1::System none;
  const v1::System& last = from == nullptr ? none : from->system();
  const v1::System& next = to.system();
  PlanRefusals(last, next, &plan);
  PlanHostName(from, to, &plan);
  if (absl::Status status = PlanKernel(last.kernel(), next.kernel(), facts, &plan); !status.ok()) {
    return status;
  }
  PlanTime(from, next.time(), last.time(), &plan);
  PlanAuthorities(last, next, &plan);
  PlanProxy(last.proxy(), next, last.has_proxy(), &plan);
  PlanConsole(last, next, &plan);
  if (absl::Status status = PlanWatchdog(last, next, facts, &plan); !status.ok()) return status;
  PlanMaintenance(last.maintenance(), next.maintenance(), &plan);
  return plan;
}

}  // namespace basalt::system
