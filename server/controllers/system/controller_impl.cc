#include "server/controllers/system/controller_impl.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/format/time.h"
#include "server/controllers/system/plan.h"
#include "server/fetch/outside.h"

namespace basalt::system {

ControllerImpl::ControllerImpl(const SystemDeps& deps)
    : deps_(deps),
      kernel_(deps.kernel, deps.vfs),
      time_(deps.clock, deps.wall_clock, deps.supervisor, deps.vfs, deps.build_time,
            deps.time_program),
      console_(deps.executor, deps.screen),
      also_(deps.clock, deps.supervisor, deps.vfs, deps.platform, deps.gateway) {}

ControllerImpl::~ControllerImpl() {
  if (timer_ != 0) deps_.executor.CancelTimer(timer_);
}

absl::StatusOr<engine::ControllerPlan> ControllerImpl::Plan(const v1::MachineConfig* from,
                                                            const v1::MachineConfig& to) const {
  std::vector<const v1::Kernel*> configs = {&to.system().kernel()};
  if (from != nullptr) configs.push_back(&from->system().kernel());
  KernelFacts facts = kernel_.Facts(configs);
  facts.memory = deps_.platform.hardware().memory_total;
  facts.watchdog = deps_.has_watchdog;
  return PlanSystem(from, to, facts);
}

void ControllerImpl::Prepare(const v1::MachineConfig& to, engine::OnProgress, engine::Done done) {
  if (to.system().ca_certificates().empty()) return done(absl::OkStatus());
  // What the bundle begins with has to be there, or K3s would trust nobody but the config's own.
  done(deps_.vfs.Read(fetch::kImageAuthorities).status());
}

void ControllerImpl::Execute(const v1::MachineConfig* to, engine::Done done) {
  told_ = true;
  absl::Status status = Apply(to);
  Publish();
  done(std::move(status));
}

absl::Status ControllerImpl::Apply(const v1::MachineConfig* to) {
  if (to == nullptr) {
    config_.reset();
  } else {
    config_ = *to;
  }
  const v1::System none;
  const v1::System& system = to == nullptr ? none : to->system();
  absl::Status status = ApplyHostName(to);
  if (status.ok()) status = kernel_.Apply(system.kernel());
  if (status.ok()) status = ApplyAuthorities(system);
  if (!status.ok()) return status;
  std::optional<absl::Time> signed_at;
  absl::Time parsed;
  if (to != nullptr &&
      absl::ParseTime(absl::RFC3339_full, to->metadata().signed_at(), &parsed, nullptr)) {
    signed_at = parsed;
  }
  status = time_.Apply(system.time(), system.ca_certificates_size() > 0, signed_at);
  ApplyWatchdog(system);
  also_.Apply(system.watchdog());
  console_.Apply(system.has_console() ? &system.console() : nullptr);
  found_ = kernel_.Find({});
  return status;
}

absl::Status ControllerImpl::ApplyHostName(const v1::MachineConfig* to) {
  const std::string name = to == nullptr ? kNoName : to->metadata().name();
  if (deps_.kernel.HostName() != name) {
    if (absl::Status status = deps_.kernel.SetHostName(name); !status.ok()) {
      return api::Annotate(status, "metadata.name");
    }
  }
  const std::string line = absl::StrCat(name, "\n");
  const absl::StatusOr<std::string> there = deps_.vfs.Read(kHostNameFile);
  if (there.ok() && *there == line) return absl::OkStatus();
  if (absl::Status status = deps_.vfs.MakeDirs("run/etc", 0755); !status.ok()) return status;
  return deps_.vfs.ReplaceVolatile(kHostNameFile, line, 0644);
}

absl::Status ControllerImpl::ApplyAuthorities(const v1::System& to) {
  if (to.ca_certificates().empty()) return deps_.vfs.Remove(fetch::kAuthorities);
  absl::StatusOr<std::string> image = deps_.vfs.Read(fetch::kImageAuthorities);
  if (!image.ok()) return api::Annotate(image.status(), "the image's authorities");
  const std::string text = fetch::AuthoritiesText(to, *image);
  const absl::StatusOr<std::string> there = deps_.vfs.Read(fetch::kAuthorities);
  if (there.ok() && *there == text) return absl::OkStatus();
  if (absl::Status status = deps_.vfs.MakeDirs("run/etc/ssl/certs", 0755); !status.ok()) {
    return status;
  }
  return deps_.vfs.ReplaceVolatile(fetch::kAuthorities, text, 0644);
}

void ControllerImpl::ApplyWatchdog(const v1::System& to) {
  watchdog_fault_.reset();
  if (!deps_.has_watchdog) {
    if (to.has_watchdog()) watchdog_fault_ = {"no-watchdog", "this machine has no watchdog"};
    return;
  }
  const absl::Duration timeout = WatchdogTimeout(to);
  absl::StatusOr<absl::Duration> really = deps_.supervisor.SetWatchdog(timeout);
  if (!really.ok()) {
    watchdog_fault_ = {"watchdog-failed", std::string(really.status().message())};
  } else if (*really != timeout && to.has_watchdog()) {
    watchdog_fault_ = {"watchdog-differs",
                       absl::StrCat("the device waits ", absl::FormatDuration(*really),
                                    " and takes no other time")};
  }
}

// What a config set goes with it in Execute; what it kept lies in memory.
void ControllerImpl::Erase(engine::Done done) { done(absl::OkStatus()); }

void ControllerImpl::Start(std::function<ConsoleFacts()> facts) {
  facts_ = facts;
  if (!told_) {
    // Without a config the clock is kept all the same: a document that comes is judged by it.
    absl::Status status = Apply(nullptr);
    (void)status;  // ignoring: each look tries again what can be had
  }
  Look();
  console_.Start(std::move(facts));
}

void ControllerImpl::Look() {
  if (timer_ != 0) deps_.executor.CancelTimer(timer_);
  time_.Look();
  kernel_.Look();
  also_.Look();
  found_ = kernel_.Find({});
  Publish();
  Maintain();
  timer_ = deps_.executor.After(time_.settled() ? kLookAtRest : kLookUnsettled, [this] {
    timer_ = 0;
    Look();
  });
}

std::optional<Window> ControllerImpl::MaintenanceWindow() const {
  absl::TimeZone zone;
  if (!config_ || !time_.Synchronised() ||
      !LoadZone(config_->system().maintenance().time_zone(), &zone)) {
    return std::nullopt;
  }
  return NextWindow(config_->system().maintenance(), zone, deps_.clock.Now());
}

// A staged config waits for a boot. Not twice in one window: what a boot did not bring in force the
// next one will not either.
void ControllerImpl::Maintain() {
  const std::optional<Window> window = MaintenanceWindow();
  const absl::Time now = deps_.clock.Now();
  if (!window || !window->Holds(now) || deps_.clock.SinceBoot() <= now - window->begin) return;
  if (!facts_ || facts_().config.staged_digest().empty()) return;
  // Ignoring a failure: the next look asks again.
  deps_.platform.Reboot().IgnoreError();
}

void ControllerImpl::OnServiceEvent(const host::ServiceEvent& event) {
  if (event.name == kTimeService || event.kind == host::ServiceEvent::Kind::kLost) Look();
}

void ControllerImpl::Publish() {
  std::vector<engine::Condition> conditions = Observe();
  std::vector<engine::Condition> alarms = Alarms();
  std::string status = Resources().front().SerializeAsString();
  if (conditions == last_conditions_ && alarms == last_alarms_ && status == last_status_) return;
  last_alarms_ = std::move(alarms);
  last_conditions_ = std::move(conditions);
  last_status_ = std::move(status);
  if (on_change_) on_change_();
}

std::vector<engine::Condition> ControllerImpl::Observe() const {
  if (!config_) return {};
  std::vector<engine::Condition> out;
  std::vector<Fault> faults = kernel_.faults();
  if (watchdog_fault_) {
    faults.push_back(
        {watchdog_fault_->code, absl::StrCat("system.watchdog: ", watchdog_fault_->message)});
  }
  engine::Condition& kernel = out.emplace_back();
  kernel.type = "KernelConfigured";
  kernel.holds = faults.empty();
  kernel.reason = kernel.holds ? "AsConfigured" : "NotAsConfigured";
  if (!kernel.holds) {
    kernel.code = faults.front().code;
    kernel.message = faults.front().message;
    if (faults.size() > 1) {
      absl::StrAppend(&kernel.message, "; and ", faults.size() - 1, " more");
    }
    // The kernel has said no: time changes nothing.
    kernel.hopeless = true;
  }
  if (std::optional<engine::Condition> time = time_.Observe()) out.push_back(*std::move(time));
  return out;
}

std::vector<engine::Condition> ControllerImpl::Alarms() const {
  std::optional<engine::Condition> alarm = also_.Alarm();
  if (!alarm) return {};
  return {*std::move(alarm)};
}

absl::Duration ControllerImpl::Deadline(const v1::MachineConfig& to,
                                        const std::string& condition) const {
  if (condition != "TimeSynced") return absl::ZeroDuration();
  return format::ParseDuration(to.system().time().boot_timeout()).value_or(absl::Minutes(2));
}

std::vector<v1::Resource> ControllerImpl::Resources() const {
  v1::Resource resource;
  resource.set_kind("SystemStatus");
  resource.set_name("system");
  v1::SystemStatus& status = *resource.mutable_system_status();
  status.set_host_name(deps_.kernel.HostName());
  time_.Describe(&status);
  if (const std::optional<Window> window = MaintenanceWindow()) {
    status.set_maintenance(system::Describe(*window, deps_.clock.Now()));
  }
  int held = 0;
  int known = 0;
  for (v1::KernelSetting& setting : HardeningReport(kernel_.wanted(), found_)) {
    held += setting.verdict() == "holds";
    known += setting.verdict() != "unknown";
    *status.add_hardening() = std::move(setting);
  }
  status.set_hardened(absl::StrCat(held, "/", known));
  return {resource};
}

std::unique_ptr<SystemController> MakeSystemController(const SystemDeps& deps) {
  return std::make_unique<ControllerImpl>(deps);
}

}  // namespace basalt::system
