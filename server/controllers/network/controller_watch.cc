// What is observed: drift that is corrected, conditions, resources.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "server/controllers/network/controller_impl.h"
#include "server/controllers/network/mark.h"

namespace basalt::network {
namespace {

constexpr char kConfigured[] = "NetworkConfigured";
constexpr char kAddressed[] = "AddressesAssigned";
constexpr absl::Duration kConfiguredWithin = absl::Seconds(20);
constexpr absl::Duration kAddressedWithin = absl::Seconds(60);

bool HasAddress(const host::NetworkState& state, int link, bool v6) {
  return std::any_of(state.addresses.begin(), state.addresses.end(), [&](const auto& a) {
    const bool link_local = a.ip.size() == 16 && static_cast<unsigned char>(a.ip[0]) == 0xfe &&
                            (static_cast<unsigned char>(a.ip[1]) & 0xc0) == 0x80;
    return a.link == link && (a.ip.size() == 16) == v6 && !link_local;
  });
}

std::string TypeOf(const host::Link& link) {
  if (link.kind.empty() || link.kind == "veth") return "device";
  return link.kind;
}

}  // namespace

void ControllerImpl::ScheduleLook(absl::Duration delay) {
  if (look_timer_ != 0) return;  // one look is for everything that comes until then
  look_timer_ = deps_.executor.After(delay, [this] {
    look_timer_ = 0;
    Look();
  });
}

void ControllerImpl::Look() {
  if (busy_ > 0 || epoch_ == 0) return;  // an Execute looks at its end
  Convergence now = Converge(deps_.network, spec_);
  corrections_ = now.done.empty() && now.status.ok() ? 0 : corrections_ + 1;
  const bool more = !now.done.empty() || !now.status.ok();
  last_ = std::move(now);
  firewall_status_ = SetFirewall();
  tunnel_status_ = SetTunnels();
  // A lease that came or went since, and a device that was plugged in or pulled.
  WriteNames().IgnoreError();  // ignoring: the next look tries again
  const DhcpPlan dhcp = PlanDhcp(ForDevices(spec_, last_.state), Present(last_.state), HostName());
  std::optional<host::ServiceStatus> service = FindDhcp();
  if (service && service->tag != dhcp.tag) {
    const uint64_t epoch = epoch_;
    ++busy_;
    StopDhcpThen(dhcp.tag, [this, epoch, dhcp](absl::Status) {
      --busy_;
      if (epoch == epoch_) dhcp_status_ = StartDhcp(dhcp);
    });
  } else if (!service) {
    dhcp_status_ = StartDhcp(dhcp);
  }
  // Whoever undoes what was corrected must not keep the node busy.
  if (more && look_timer_ == 0) {
    const int doubled = std::min(corrections_, kMostDoublings);
    ScheduleLook(kLookAfter * (1 << doubled));
  }
  Changed();
}

void ControllerImpl::Changed() {
  std::vector<engine::Condition> now = Observe();
  if (now == last_conditions_ && last_.state == last_state_) return;
  last_conditions_ = std::move(now);
  last_state_ = last_.state;
  if (on_change_) on_change_();
}

std::vector<engine::Condition> ControllerImpl::Observe() const {
  if (!config_ || !config_->has_network()) return {};
  engine::Condition configured{.type = kConfigured, .holds = true, .reason = "AsConfigured"};
  if (!last_.problems.empty()) {
    const Problem& problem = last_.problems.front();
    configured.holds = false;
    configured.reason = "LinkMissing";
    configured.code = problem.code;
    configured.message = absl::StrCat(problem.message, "; ", problem.remedy);
  } else {
    for (const absl::Status& status :
         {last_.status, firewall_status_, tunnel_status_, dhcp_status_}) {
      if (status.ok() || !configured.holds) continue;
      configured.holds = false;
      configured.reason = "Refused";
      configured.code = api::Reason(status).empty() ? "network-refused" : api::Reason(status);
      configured.message = std::string(status.message());
    }
  }
  engine::Condition addressed{.type = kAddressed, .holds = true, .reason = "Assigned"};
  std::vector<std::string> waiting;
  bool asks = false;
  for (const LinkSpec& spec : spec_.links) {
    if (!spec.dhcp.asks()) continue;
    asks = true;
    const host::Link* link = last_.state.Find(spec.name);
    // Without a cable nobody can answer; that is told of the link.
    if (link == nullptr || !link->carrier) continue;
    if ((spec.dhcp.v4 && !HasAddress(last_.state, link->index, false)) ||
        (spec.dhcp.v6 && !HasAddress(last_.state, link->index, true))) {
      waiting.push_back(spec.name);
    }
  }
  if (!waiting.empty()) {
    addressed.holds = false;
    addressed.reason = "NoLease";
    addressed.code = "no-lease";
    addressed.message =
        absl::StrCat("no DHCP server has answered on ", absl::StrJoin(waiting, ", "));
  }
  std::vector<engine::Condition> out = {configured};
  if (asks) out.push_back(addressed);
  return out;
}

absl::Duration ControllerImpl::Deadline(const v1::MachineConfig&,
                                        const std::string& condition) const {
  return condition == kAddressed ? kAddressedWithin : kConfiguredWithin;
}

std::vector<v1::Resource> ControllerImpl::Resources() const {
  std::vector<v1::Resource> out;
  auto add = [&out](const std::string& name) -> v1::Link& {
    v1::Resource& resource = out.emplace_back();
    resource.set_kind("Link");
    resource.set_name(name);
    return *resource.mutable_link();
  };
  for (const Problem& problem : last_.problems) {
    v1::Link& link = add(problem.link);
    link.set_state("missing");
    link.set_message(absl::StrCat(problem.message, "; ", problem.remedy));
  }
  for (const host::Link& is : last_.state.links) {
    if (!is.device && !ReadMark(is.alias).ours) continue;
    v1::Link& link = add(is.name);
    link.set_type(TypeOf(is));
    link.set_state(!is.up ? "down" : !is.carrier ? "no-carrier" : "up");
    link.set_mac(is.mac);
    link.set_mtu(is.mtu);
    link.set_driver(is.driver);
    link.set_path(is.path);
    if (auto key = public_keys_.find(is.name); key != public_keys_.end()) {
      link.set_public_key(key->second);
    }
    for (const host::Address& address : last_.state.addresses) {
      if (address.link == is.index) link.add_addresses(Text(address.ip, address.prefix));
    }
    for (const host::Route& route : last_.state.routes) {
      if (route.link == is.index && !route.via.empty()) link.add_routes(Text(route));
    }
  }
  std::sort(out.begin(), out.end(),
            [](const v1::Resource& a, const v1::Resource& b) { return a.name() < b.name(); });
  return out;
}

}  // namespace basalt::network
