#include "server/metal_controllers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/controllers/system/chrony.h"
#include "server/first_network.h"
#include "server/host/addresses.h"
#include "server/host/block.h"
#include "server/host/network.h"
#include "server/host/resolve.h"

namespace basalt {
namespace {

constexpr absl::Duration kNetworkWithin = absl::Seconds(30);
constexpr char kScreen[] = "/dev/tty1";

// What the screen shows, from what everybody may read.
system::ConsoleFacts ConsoleFactsOf(engine::Node& node, const host::Platform& platform,
                                    const std::vector<std::string>& endpoints) {
  auto get = [&node](const char* kind, const char* name) {
    v1::GetRequest request;
    request.set_kind(kind);
    request.set_name(name);
    return node.Get(request).value_or(v1::GetReply()).resource();
  };
  system::ConsoleFacts facts;
  facts.machine = get("MachineStatus", "machine").machine_status();
  facts.config = get("ConfigStatus", "config").config_status();
  facts.clock = get("SystemStatus", "system").system_status().clock();
  facts.serial = platform.hardware().serial;
  const std::string& endpoint = endpoints.front();
  const std::string port = endpoint.substr(endpoint.rfind(':'));
  for (const std::string& address : host::OwnAddresses()) {
    const bool v6 = address.find(':') != std::string::npos;
    facts.addresses.push_back(absl::StrCat(v6 ? "[" : "", address, v6 ? "]" : "", port));
  }
  return facts;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetalControllers>> MetalControllers::Make(const Parts& parts) {
  auto out = std::make_unique<MetalControllers>();
  out->platform_ = &parts.platform;
  out->image_ = update::MakeRealImageController(
      parts.executor, parts.vfs, parts.clock, parts.supervisor,
      parts.platform.hardware().architecture, parts.fetch_program, parts.policy,
      [all = out.get()](const v1::MachineConfig& config, const sign::ImageManifest& image) {
        return all->extensions_->FitImage(config, image);
      });
  out->image_->Load();
  out->kernel_ = host::MakeKernel("");
  out->extensions_ = extensions::MakeRealExtensionsController(
      parts.executor, parts.vfs, *out->kernel_, parts.supervisor,
      parts.platform.hardware().architecture, parts.fetch_program, parts.policy,
      [image = out->image_.get()](const v1::MachineConfig& config) {
        return image->KernelReleaseFor(config);
      });
  out->extensions_->Load();
  out->screen_ = host::MakeScreen(
      kScreen, host::SerialConsole(parts.vfs.Read("sys/class/tty/console/active").value_or("")));
  out->system_ =
      system::MakeSystemController({.executor = parts.executor,
                                    .vfs = parts.vfs,
                                    .clock = parts.clock,
                                    .wall_clock = host::RealWallClock(),
                                    .kernel = *out->kernel_,
                                    .screen = *out->screen_,
                                    .platform = parts.platform,
                                    .supervisor = parts.supervisor,
                                    .has_watchdog = parts.has_watchdog,
                                    .build_time = absl::FromUnixSeconds(BASALT_BUILD_TIME),
                                    .time_program = system::kChronyd});
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
  return {image_.get(), extensions_.get(), system_.get(), network_.get(), storage_.get()};
}

void MetalControllers::OnServiceEvent(const host::ServiceEvent& event) {
  image_->OnServiceEvent(event);
  extensions_->OnServiceEvent(event);
  system_->OnServiceEvent(event);
  storage_->OnServiceEvent(event);
  network_->OnServiceEvent(event);
}

std::vector<engine::Condition> MetalControllers::TrialConditions(
    const engine::Controller& k3s) const {
  std::vector<engine::Condition> others;
  for (const engine::Controller* controller : std::initializer_list<const engine::Controller*>{
           extensions_.get(), system_.get(), network_.get(), storage_.get(), &k3s}) {
    for (engine::Condition& condition : controller->Observe()) {
      others.push_back(std::move(condition));
    }
  }
  return image_->TrialConditions(std::move(others));
}

void MetalControllers::RollBackImage(const v1::Action& action, engine::Done done) {
  image_->RollBack(action, std::move(done));
}

bool MetalControllers::UnsyncedAllowed() const { return system_->UnsyncedAllowed(); }

void MetalControllers::ShowConsole(engine::Node& node,
                                   std::function<std::vector<std::string>()> endpoints) {
  system_->Start([this, &node, endpoints = std::move(endpoints)] {
    return ConsoleFactsOf(node, *platform_, endpoints());
  });
}

void MetalControllers::Start(engine::Executor& executor, bool configured) {
  // With a config its Execute sets the network up. Where that is not reached, because a controller
  // before it fails, a node that asks for addresses is better than one in the dark.
  executor.After(configured ? kNetworkWithin : absl::ZeroDuration(), [this] { network_->Start(); });
}

}  // namespace basalt
