#include "server/controllers/network/converge.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::network {
namespace {

// A VLAN on a bond on devices that change names needs four; more is a quarrel with somebody else.
constexpr int kRounds = 8;

}  // namespace

absl::Status Execute(host::Network& network, const Operation& operation) {
  using Kind = Operation::Kind;
  switch (operation.kind) {
    case Kind::kMake:
      return network.Make(operation.make);
    case Kind::kRemoveLink:
      return network.Remove(operation.link);
    case Kind::kChange:
      return network.Change(operation.link, operation.change);
    case Kind::kAddAddress:
      return network.Add(operation.address);
    case Kind::kRemoveAddress:
      return network.Remove(operation.address);
    case Kind::kAddRoute:
      return network.Add(operation.route);
    case Kind::kRemoveRoute:
      return network.Remove(operation.route);
    case Kind::kAddRule:
      return network.Add(operation.rule);
    case Kind::kRemoveRule:
      return network.Remove(operation.rule);
    case Kind::kBridgeVlan:
      return network.SetBridgeVlan(operation.link, operation.vlan, operation.passes);
  }
  return absl::InternalError("an operation of no kind");
}

Convergence Converge(host::Network& network, const NetworkSpec& spec) {
  Convergence out;
  for (int round = 0;; ++round) {
    absl::StatusOr<host::NetworkState> state = network.Observe();
    if (!state.ok()) {
      out.status = api::Annotate(state.status(), "looking at the network");
      return out;
    }
    out.state = *std::move(state);
    Reconciliation left = Reconcile(ForDevices(spec, out.state), out.state);
    out.problems = std::move(left.problems);
    if (left.operations.empty()) {
      out.status = absl::OkStatus();
      return out;
    }
    if (round == kRounds) {
      if (out.status.ok()) {
        out.status = absl::UnavailableError(
            absl::StrCat(left.operations.front().text, ": something undoes it again"));
      }
      return out;
    }
    bool any = false;
    out.status = absl::OkStatus();
    for (const Operation& operation : left.operations) {
      absl::Status status = Execute(network, operation);
      if (status.ok()) {
        any = true;
        out.done.push_back(operation.text);
      } else if (out.status.ok()) {
        out.status = api::Annotate(status, operation.text);
      }
    }
    if (!any) return out;
  }
}

}  // namespace basalt::network
