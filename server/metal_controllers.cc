#include "server/metal_controllers.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/controllers/system/chrony.h"
#include "server/first_network.h"
#include "server/host/addresses.h"
#include "server/host/block.h"
#include "server/host/boot_disk.h"
#include "server/host/medium.h"
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
      parts.platform.hardware().architecture, parts.fetch_program, parts.policy);
  out->image_->Load();
  out->kernel_ = host::MakeKernel("");
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
                                    .has_watchdog = parts.boot.watchdog,
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
  out->MakeDiskOrders(parts);
  out->storage_->Start();
  return out;
}

void MetalControllers::MakeDiskOrders(const Parts& parts) {
  std::shared_ptr<host::BlockDevices> disks = host::MakeBlockDevices();
  struct stat root = {};
  if (stat("/", &root) != 0) root = {};
  const unsigned root_major = major(root.st_dev), root_minor = minor(root.st_dev);
  auto places = host::FindBootDisk("", root_major, root_minor);
  orders_ = install::MakeMachineOrders(
      {.executor = parts.executor,
       .vfs = parts.vfs,
       .supervisor = parts.supervisor,
       .block = disks,
       .files = install::MountedFiles(disks, "vfat"),
       .esp = places.ok() ? places->esp : "",
       .data_is_new = parts.boot.data_is_new,
       .boot_failure = parts.boot.data_reason,
       .on_change = [storage = storage_.get()] { storage->LookAgain(); }});
  auto medium = host::FindMedium("", root_major, root_minor);
  if (!medium.ok()) return;
  install_tools_ = storage::MakeTools(parts.executor, parts.supervisor);
  const bool first = medium->running == host::BootSlot::kA;
  install_ =
      install::MakeInstallController({.executor = parts.executor,
                                      .vfs = parts.vfs,
                                      .random = host::RealRandom(),
                                      .block = disks,
                                      .tools = install_tools_.get(),
                                      .fat_files = install::MountedFiles(disks, "vfat"),
                                      .ext4_files = install::MountedFiles(disks, "ext4"),
                                      .medium = {.slot = first ? medium->slot_a : medium->slot_b,
                                                 .esp = medium->esp,
                                                 .running_root = medium->running_root}});
  install_->Start();
}

std::vector<engine::Controller*> MetalControllers::all() const {
  if (install_ != nullptr) return {install_.get()};
  return {image_.get(), system_.get(), network_.get(), storage_.get()};
}

void MetalControllers::OnServiceEvent(const host::ServiceEvent& event) {
  image_->OnServiceEvent(event);
  system_->OnServiceEvent(event);
  storage_->OnServiceEvent(event);
  if (install_tools_ != nullptr) install_tools_->OnServiceEvent(event);
  network_->OnServiceEvent(event);
}

std::vector<engine::Condition> MetalControllers::TrialConditions(
    const engine::Controller& k3s) const {
  std::vector<engine::Condition> others;
  for (const engine::Controller* controller : std::initializer_list<const engine::Controller*>{
           system_.get(), network_.get(), storage_.get(), &k3s}) {
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
    system::ConsoleFacts facts = ConsoleFactsOf(node, *platform_, endpoints());
    if (install_ != nullptr) facts.note = install_->Note();
    return facts;
  });
}

void MetalControllers::Start(engine::Executor& executor, bool configured) {
  // With a config its Execute sets the network up. Where that is not reached, because a controller
  // before it fails, a node that asks for addresses is better than one in the dark.
  executor.After(configured ? kNetworkWithin : absl::ZeroDuration(), [this] { network_->Start(); });
}

}  // namespace basalt
