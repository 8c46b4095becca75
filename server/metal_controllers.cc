#include "server/metal_controllers.h"

#include "server/first_network.h"
#include "server/host/block.h"
#include "server/host/network.h"
#include "server/host/resolve.h"

namespace basalt {
namespace {

constexpr absl::Duration kNetworkWithin = absl::Seconds(30);

}  // namespace

absl::StatusOr<std::unique_ptr<MetalControllers>> MetalControllers::Make(const Parts& parts) {
  auto out = std::make_unique<MetalControllers>();
  out->storage_ = storage::MakeStorageController(
      {.executor = parts.executor,
       .vfs = parts.vfs,
       .clock = parts.clock,
       .random = host::RealRandom(),
       .platform = parts.platform},
      {.block = host::MakeBlockDevices(),
       .tools = storage::MakeTools(parts.executor, parts.supervisor)});
  absl::StatusOr<std::unique_ptr<host::Network>> network = host::OpenNetwork();
  if (!network.ok()) return network.status();
  out->kernel_network_ = *std::move(network);
  absl::StatusOr<std::unique_ptr<host::PacketFilter>> filter = host::OpenPacketFilter();
  if (!filter.ok()) return filter.status();
  out->packet_filter_ = *std::move(filter);
  absl::StatusOr<std::unique_ptr<host::Wireguard>> tunnels = host::OpenWireguard();
  if (!tunnels.ok()) return tunnels.status();
  out->wireguard_ = *std::move(tunnels);
  out->network_ = network::MakeNetworkController({.executor = parts.executor,
                                                  .vfs = parts.vfs,
                                                  .random = host::RealRandom(),
                                                  .supervisor = parts.supervisor,
                                                  .network = *out->kernel_network_,
                                                  .filter = *out->packet_filter_,
                                                  .wireguard = *out->wireguard_,
                                                  .resolve = &host::ResolveAddress,
                                                  .dhcp_program = kDhcpClient,
                                                  .dhcp_hook = parts.dhcp_hook});
  out->storage_->Start();
  return out;
}

std::vector<engine::Controller*> MetalControllers::all() const {
  return {storage_.get(), network_.get()};
}

void MetalControllers::OnServiceEvent(const host::ServiceEvent& event) {
  storage_->OnServiceEvent(event);
  network_->OnServiceEvent(event);
}

void MetalControllers::Start(engine::Executor& executor, bool configured) {
  // With a config its Execute sets the network up. Where that is not reached, because a controller
  // before it fails, a node that asks for addresses is better than one in the dark.
  executor.After(configured ? kNetworkWithin : absl::ZeroDuration(), [this] { network_->Start(); });
}

}  // namespace basalt
