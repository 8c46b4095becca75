#include "server/controllers/network/controller_impl.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/network/names.h"
#include "server/controllers/network/plan.h"
#include "server/controllers/network/tunnels.h"

namespace basalt::network {
namespace {

constexpr char kHosts[] = "run/etc/hosts";
constexpr char kResolvConf[] = "run/etc/resolv.conf";
constexpr size_t kLeaseBytes = 16 << 10;

bool Alive(host::ServiceState state) {
  return state != host::ServiceState::kStopped && state != host::ServiceState::kFailed;
}

}  // namespace

std::unique_ptr<NetworkController> MakeNetworkController(const NetworkDeps& deps) {
  return std::make_unique<ControllerImpl>(deps);
}

ControllerImpl::ControllerImpl(const NetworkDeps& deps) : deps_(deps) {
  if (deps_.network.event_fd() >= 0) {
    deps_.executor.WatchFd(deps_.network.event_fd(), [this] {
      deps_.network.DrainEvents();
      ScheduleLook(kLookAfter);
    });
  }
}

ControllerImpl::~ControllerImpl() {
  if (deps_.network.event_fd() >= 0) deps_.executor.UnwatchFd(deps_.network.event_fd());
  for (engine::Executor::TimerId timer : {look_timer_, resolve_timer_}) {
    if (timer != 0) deps_.executor.CancelTimer(timer);
  }
}

absl::StatusOr<engine::ControllerPlan> ControllerImpl::Plan(const v1::MachineConfig* from,
                                                            const v1::MachineConfig& to) const {
  return PlanNetwork(from, to, {});
}

void ControllerImpl::Prepare(const v1::MachineConfig& to, engine::OnProgress, engine::Done done) {
  // Nothing is fetched; what the machine does not have is told by conditions, as it may come.
  done(absl::OkStatus());
}

void ControllerImpl::Start() {
  if (epoch_ == 0) Execute(nullptr, [](absl::Status) {});  // ignoring: conditions and links tell
}

std::optional<host::ServiceStatus> ControllerImpl::FindDhcp() const {
  absl::StatusOr<std::vector<host::ServiceStatus>> list = deps_.supervisor.List();
  if (!list.ok()) return std::nullopt;
  for (const host::ServiceStatus& service : *list) {
    if (service.name == kDhcpService) return service;
  }
  return std::nullopt;
}

std::set<std::string> ControllerImpl::Present(const host::NetworkState& state) const {
  std::set<std::string> present;
  for (const LinkSpec& link : ForDevices(spec_, state).links) {
    if (FindLink(link, state) != nullptr) present.insert(link.name);
  }
  return present;
}

void ControllerImpl::Execute(const v1::MachineConfig* to, engine::Done when_done) {
  ++busy_;
  engine::Done done = [this, when_done = std::move(when_done)](absl::Status status) {
    --busy_;
    when_done(std::move(status));
  };
  const uint64_t epoch = ++epoch_;
  corrections_ = 0;
  resolved_.clear();
  config_.reset();
  if (to != nullptr) config_ = *to;
  spec_ = SpecOf(to);
  // Before there is an address that could be reached without it.
  firewall_status_ = SetFirewall();
  absl::StatusOr<host::NetworkState> state = deps_.network.Observe();
  if (!state.ok()) return done(api::Annotate(state.status(), "looking at the network"));
  // A client that ends takes its addresses with it, so it ends before any is set. What will be
  // there once links are made and named is known well enough; if not, Finish starts another one.
  std::set<std::string> present = Present(*state);
  for (const LinkSpec& link : spec_.links) {
    if (!link.kind.empty() && link.kind != "wifi") present.insert(link.name);
  }
  const DhcpPlan dhcp = PlanDhcp(ForDevices(spec_, *state), present, HostName());
  StopDhcpThen(dhcp.tag, [this, epoch, done](absl::Status status) {
    if (epoch != epoch_) return done(absl::CancelledError("superseded by a newer configuration"));
    if (!status.ok()) return done(std::move(status));
    Finish(epoch, done);
  });
}

void ControllerImpl::Finish(uint64_t epoch, engine::Done done) {
  last_ = Converge(deps_.network, spec_);
  tunnel_status_ = SetTunnels();
  absl::Status status = last_.status;
  for (const absl::Status& other : {firewall_status_, tunnel_status_}) {
    if (status.ok()) status = other;
  }
  // What of the network is there is used, whatever failed.
  const NetworkSpec spec = ForDevices(spec_, last_.state);
  const DhcpPlan dhcp = PlanDhcp(spec, Present(last_.state), HostName());
  StopDhcpThen(dhcp.tag, [this, epoch, dhcp, status, done](absl::Status stopped) {
    if (epoch != epoch_) return done(absl::CancelledError("superseded by a newer configuration"));
    absl::Status all = status;
    if (all.ok()) all = stopped;
    dhcp_status_ = StartDhcp(dhcp);
    if (all.ok()) all = dhcp_status_;
    const absl::Status names = WriteNames();
    if (all.ok()) all = names;
    Changed();
    ScheduleLook(kLookAfter);
    done(std::move(all));
  });
}

void ControllerImpl::StopDhcpThen(const std::string& wanted_tag, Next next) {
  std::optional<host::ServiceStatus> service = FindDhcp();
  if (!service || !Alive(service->state) || service->tag == wanted_tag) {
    return next(absl::OkStatus());
  }
  if (absl::Status status = deps_.supervisor.Stop(kDhcpService);
      !status.ok() && !absl::IsNotFound(status)) {
    return next(api::Annotate(status, "stopping the DHCP client"));
  }
  if (stop_waiter_) std::exchange(stop_waiter_, nullptr)(absl::CancelledError("superseded"));
  stop_waiter_ = std::move(next);
  // It may have ended already: then no event comes.
  deps_.executor.Post([this] { Refresh(); });
}

void ControllerImpl::OnServiceEvent(const host::ServiceEvent& event) {
  if (event.name == kDhcpService || event.kind == host::ServiceEvent::Kind::kLost) Refresh();
}

void ControllerImpl::Refresh() {
  if (!stop_waiter_) return;
  std::optional<host::ServiceStatus> service = FindDhcp();
  if (service && Alive(service->state)) return;
  std::exchange(stop_waiter_, nullptr)(absl::OkStatus());
}

absl::Status ControllerImpl::StartDhcp(const DhcpPlan& plan) {
  if (plan.links.empty()) return absl::OkStatus();
  std::optional<host::ServiceStatus> service = FindDhcp();
  if (service && Alive(service->state) && service->tag == plan.tag) return absl::OkStatus();
  absl::Status status = WriteFile(kDhcpConfig, plan.config);
  if (!status.ok()) return status;
  host::ServiceSpec spec = DhcpService(plan, deps_.dhcp_hook, deps_.vfs.Absolute(kDhcpConfig));
  spec.exec_fd.reset(open(deps_.dhcp_program.c_str(), O_RDONLY | O_CLOEXEC));
  if (!spec.exec_fd.valid()) {
    return api::Coded(absl::StatusCode::kNotFound, "no-dhcp-client",
                      absl::StrCat(deps_.dhcp_program, ": ", std::strerror(errno)),
                      "give the interface an address, or the node an image with dhcpcd");
  }
  return api::Annotate(deps_.supervisor.Start(std::move(spec)), "starting the DHCP client");
}

absl::Status ControllerImpl::WriteFile(const std::string& path, const std::string& text) {
  absl::StatusOr<std::string> there = deps_.vfs.Read(path);
  if (there.ok() && *there == text) return absl::OkStatus();  // a node at rest writes nothing
  const std::string dir = path.substr(0, path.rfind('/'));
  absl::Status status = deps_.vfs.MakeDirs(dir, 0755);
  if (status.ok()) status = deps_.vfs.ReplaceVolatile(path, text, 0644);
  return status.ok() ? status : api::Annotate(status, absl::StrCat("writing ", path));
}

absl::Status ControllerImpl::WriteNames() {
  absl::Status status = WriteFile(kHosts, HostsText(config()));
  const std::string dir = absl::StrCat("run/", dhcp::kLeaseDir);
  const dhcp::Lease own = ConfiguredNames(config());
  if (status.ok()) {
    status = WriteFile(absl::StrCat(dir, "/", dhcp::kConfigFile), dhcp::ToText(own));
  }
  if (!status.ok()) return status;
  // The same that noded-dhcp makes of the same files when a lease comes.
  std::vector<dhcp::Lease> leases = {own};
  for (const std::string& name : deps_.vfs.List(dir).value_or(std::vector<std::string>{})) {
    if (!dhcp::IsLeaseFile(name)) continue;
    leases.push_back(
        dhcp::FromText(deps_.vfs.Read(absl::StrCat(dir, "/", name), kLeaseBytes).value_or("")));
  }
  return WriteFile(kResolvConf, dhcp::ResolvConf(leases));
}

void ControllerImpl::Erase(engine::Done done) {
  absl::Status status;
  for (const std::string& name : deps_.vfs.List(kKeyDir).value_or(std::vector<std::string>{})) {
    if (status.ok()) status = deps_.vfs.Remove(absl::StrCat(kKeyDir, "/", name));
  }
  if (status.ok() && deps_.vfs.Exists(kKeyDir)) status = deps_.vfs.SyncDir(kKeyDir);
  done(std::move(status));
}

}  // namespace basalt::network
