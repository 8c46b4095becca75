#include "server/serve.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "api/tls13.h"
#include "server/controllers/container/container_controller.h"
#include "server/controllers/network/endpoints.h"
#include "server/engine/node.h"
#include "server/engine/real_executor.h"
#include "server/first_network.h"
#include "server/host/clock.h"
#include "server/host/fd.h"
#include "server/host/kernel.h"
#include "server/host/platform.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/k3s/k3s_controller.h"
#include "server/metal.h"
#include "server/metal_controllers.h"
#include "server/rpc/server.h"
#include "server/trust/identity.h"
#include "server/trust/sealing_key.h"
#include "server/trust/trust_store.h"

namespace basalt {
namespace {

constexpr char kSupervisorFd[] = "BASALT_SUPERVISOR_FD";
constexpr rlim_t kDescriptors = 2048;
constexpr size_t kMaxSeed = 4 << 20;
constexpr char kMetalLock[] = "/run/noded.lock";
constexpr absl::Duration kFeedEvery = absl::Seconds(10);
constexpr absl::Duration kAskAgain = absl::Seconds(1);
constexpr absl::Duration kShutdownGrace = absl::Seconds(2);

absl::Status BadRoot(const std::string& what) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "bad-root", what,
                    "choose a --root of the node's own that you may write to");
}

// A mistyped --root must not close somebody's directory to everybody else.
absl::Status MakeRoot(const std::string& root) {
  std::error_code error;
  std::filesystem::create_directories(root, error);
  if (error) return BadRoot(absl::StrCat("cannot make ", root, ": ", error.message()));
  const bool ours = std::filesystem::exists(absl::StrCat(root, "/state"), error) ||
                    std::filesystem::is_empty(root, error);
  if (error) return BadRoot(absl::StrCat("cannot read ", root, ": ", error.message()));
  struct stat found {};
  if (stat(root.c_str(), &found) != 0) {
    return BadRoot(absl::StrCat("cannot read ", root, ": ", std::strerror(errno)));
  }
  if (ours) {
    if (chmod(root.c_str(), 0700) == 0) return absl::OkStatus();
    return BadRoot(absl::StrCat("cannot close ", root, " to others: ", std::strerror(errno)));
  }
  if ((found.st_mode & 022) != 0) {
    return BadRoot(absl::StrCat(root, " is not a node's directory, and others may write to it"));
  }
  return absl::OkStatus();
}

// One noded for a directory: two would overwrite each other's journal. The kernel gives the lock
// back when this process ends, however it ends.
absl::StatusOr<host::UniqueFd> LockRoot(const std::string& root, const std::string& path) {
  host::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return BadRoot(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  }
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "node-in-use",
                      absl::StrCat("another noded serves ", root),
                      absl::StrCat("its pid is in ", root, "/run/noded.pid"));
  }
  return fd;
}

absl::StatusOr<std::string> ReadSeed(const std::string& path) {
  if (path.empty()) return std::string();
  auto no_trust = [&](absl::string_view why) {
    return api::Coded(absl::StatusCode::kNotFound, "no-trust",
                      absl::StrCat("--trust ", path, ": ", why),
                      "`nodectl init DIR --cluster NAME` makes DIR/trust.json");
  };
  host::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return no_trust(std::strerror(errno));
  std::string seed(kMaxSeed + 1, '\0');
  size_t size = 0;
  while (size < seed.size()) {
    ssize_t n = read(fd.get(), seed.data() + size, seed.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return no_trust(std::strerror(errno));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > kMaxSeed) return no_trust("larger than any trust chain");
  seed.resize(size);
  return seed;
}

// "[::1]:6050" → "::1"; "127.0.0.1:0" → "127.0.0.1".
std::string HostOf(absl::string_view endpoint) {
  absl::string_view host = endpoint.substr(0, endpoint.rfind(':'));
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  return std::string(host);
}

std::string PortOf(absl::string_view endpoint) {
  return std::string(endpoint.substr(endpoint.rfind(':') + 1));
}

// Port 0 picks once: the pick is kept, so that a restart keeps the endpoint that pins and
// inventories hold.
constexpr char kEndpointFile[] = "state/endpoint";

std::string ListenAddress(host::Vfs& vfs, const std::string& wanted) {
  if (wanted.size() < 2 || wanted.substr(wanted.size() - 2) != ":0") return wanted;
  absl::StatusOr<std::string> kept = vfs.Read(kEndpointFile, 256);
  int port = 0;
  if (kept.ok() && HostOf(*kept) == HostOf(wanted) &&
      absl::SimpleAtoi(kept->substr(kept->rfind(':') + 1), &port) && port > 0 && port <= 65535) {
    return *kept;
  }
  return wanted;
}

absl::Status KeepEndpoint(host::Vfs& vfs, const std::string& endpoint) {
  absl::StatusOr<std::string> kept = vfs.Read(kEndpointFile, 256);
  return kept.ok() && *kept == endpoint ? absl::OkStatus() : vfs.Replace(kEndpointFile, endpoint);
}

absl::Status WriteEndpoint(host::Vfs& vfs, const std::string& endpoint) {
  return vfs.ReplaceVolatile("run/endpoint", absl::StrCat(endpoint, "\n"), 0644);
}

absl::Status WriteRunFiles(host::Vfs& vfs, const std::string& endpoint,
                           const std::string& machine_id, const std::string& recipient) {
  const std::pair<const char*, std::string> files[] = {{"run/fingerprint", machine_id},
                                                       {"run/recipient", recipient},
                                                       {"run/noded.pid", absl::StrCat(getpid())}};
  for (const auto& [path, text] : files) {
    if (absl::Status status = vfs.ReplaceVolatile(path, absl::StrCat(text, "\n"), 0644);
        !status.ok())
      return status;
  }
  return WriteEndpoint(vfs, endpoint);  // last: whoever waits for it finds the others
}

absl::StatusOr<host::UniqueFd> TerminationFd() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  // Before any thread exists, so that every one inherits the mask.
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  host::UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return absl::InternalError(absl::StrCat("signalfd: ", std::strerror(errno)));
  return fd;
}

// Each connection takes two descriptors; the accept loop lowers its cap to what it finds.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kDescriptors) return;
  limit.rlim_cur = std::min<rlim_t>(kDescriptors, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);  // ignoring: the cap is lowered then
}

// Opened secrets stand in this memory: no core dump holds them, and no process of another user may
// look (nor of the same user, without the rights of root). What noded starts is not its child, so
// nothing inherits the limit.
void KeepMemoryToItself() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{};
  setrlimit(RLIMIT_CORE, &none);  // ignoring a failure of either: they do not fail
}

// Hands the supervisor's events to whoever wants them, and proves to it that the loop turns.
class EventPump {
 public:
  using Listener = std::function<void(const host::ServiceEvent&)>;
  EventPump(engine::Executor& executor, host::Supervisor& supervisor, Listener listener,
            engine::Node& node)
      : executor_(executor), supervisor_(supervisor), listener_(std::move(listener)), node_(node) {}

  void Start() {
    executor_.WatchFd(supervisor_.event_fd(), [this] {
      supervisor_.DrainWakeups();
      Deliver();
    });
    Deliver();
    Feed();
  }

 private:
  void Deliver() {
    absl::StatusOr<std::vector<host::ServiceEvent>> events = supervisor_.Events(last_seq_);
    if (!events.ok()) {
      // It was too busy to answer in time, and may hold these events for told: nobody wakes us for
      // them again. Or it is gone, and this process goes with it.
      if (!std::exchange(asking_again_, true)) {
        executor_.After(kAskAgain, [this] {
          asking_again_ = false;
          Deliver();
        });
      }
      return;
    }
    for (const host::ServiceEvent& event : *events) {
      last_seq_ = std::max(last_seq_, event.seq);
      listener_(event);
    }
    if (!events->empty()) node_.OnServiceEvents();
  }
  void Feed() {
    // One that was not answered in time is no reason to fall silent.
    executor_.After(supervisor_.Feed().ok() ? kFeedEvery : kAskAgain, [this] { Feed(); });
  }

  engine::Executor& executor_;
  host::Supervisor& supervisor_;
  Listener listener_;
  engine::Node& node_;
  uint64_t last_seq_ = 0;
  bool asking_again_ = false;
};

}  // namespace

bool UnderSupervisor() { return std::getenv(kSupervisorFd) != nullptr; }

absl::Status BecomeSupervisor(const std::string& program, const ServeOptions& options) {
  std::vector<std::string> args = {options.init_program, "--", program};
  for (std::string& argument : ToArguments(options)) args.push_back(std::move(argument));
  std::vector<char*> argv;
  for (std::string& argument : args) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(options.init_program.c_str(), argv.data());
  return api::Coded(absl::StatusCode::kNotFound, "no-supervisor",
                    absl::StrCat("cannot start ", options.init_program, ": ", std::strerror(errno)),
                    "noded-init belongs beside noded; or name it with --init");
}

absl::Status Serve(const ServeOptions& options) {
  absl::StatusOr<host::UniqueFd> termination = TerminationFd();
  RaiseDescriptorLimit();
  KeepMemoryToItself();
  if (!termination.ok()) return termination.status();
  int channel = -1;
  if (!absl::SimpleAtoi(std::getenv(kSupervisorFd), &channel) ||
      fcntl(channel, F_SETFD, FD_CLOEXEC) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(kSupervisorFd, " names no open descriptor"));
  }
  unsetenv(kSupervisorFd);
  if (absl::Status status = options.own_namespaces ? host::CheckOwnNamespaces() : absl::OkStatus();
      !status.ok()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "shared-namespaces",
                      absl::StrCat("--own-namespaces: ", status.message()),
                      "start noded below `unshare --mount --net`, or without the flag");
  }
  const bool metal = options.platform == "metal";
  const bool container = options.platform == "container";
  const bool whole = metal || container;  // the root is this node's
  host::Clock& clock = metal ? host::KeptClock() : host::RealClock();
  if (absl::Status status = whole ? absl::OkStatus() : MakeRoot(options.root); !status.ok()) {
    return status;
  }
  absl::StatusOr<host::UniqueFd> lock =
      LockRoot(options.root, whole ? std::string(kMetalLock) : absl::StrCat(options.root, "/lock"));
  if (!lock.ok()) return lock.status();
  absl::StatusOr<std::unique_ptr<host::Supervisor>> supervisor =
      host::ConnectSupervisor(host::UniqueFd(channel));
  if (!supervisor.ok()) return supervisor.status();
  host::BootStatus boot;
  if (whole) {
    absl::StatusOr<host::BootStatus> found = AskPid1(**supervisor, container);
    if (!found.ok()) return found.status();
    boot = *std::move(found);
    if (metal && boot.state_missing) {
      if (absl::Status network = StartFirstNetwork(**supervisor, options.dhcp_program);
          !network.ok()) {
        std::fprintf(stderr, "noded: %s; going on without\n",
                     std::string(network.message()).c_str());
      }
      return WaitWithoutState(**supervisor, boot, termination->get());
    }
  }

  absl::StatusOr<std::unique_ptr<host::Vfs>> vfs = host::OpenVfs(options.root);
  if (!vfs.ok()) return vfs.status();
  std::unique_ptr<host::Platform> platform =
      metal       ? host::MakeMetal(**supervisor)
      : container ? host::MakeContainer(**supervisor, options.own_namespaces)
                  : host::MakeSandbox({.root = options.root,
                                       .k3s_address = HostOf(options.listen),
                                       .root_user = geteuid() == 0,
                                       .own_namespaces = options.own_namespaces});
  for (const std::string& dir : {platform->paths().state, platform->paths().data,
                                 platform->paths().run, platform->paths().etc}) {
    if (absl::Status status = (*vfs)->MakeDirs(dir); !status.ok()) return status;
  }
  absl::StatusOr<std::string> seed = ReadSeed(options.trust);
  if (!seed.ok() && !(*vfs)->Exists("state/trust")) return seed.status();
  absl::StatusOr<trust::TrustStore> trust = trust::TrustStore::Load(**vfs, seed.ok() ? *seed : "");
  if (!trust.ok()) return trust.status();
  absl::StatusOr<trust::Identity> identity = trust::Identity::Load(**vfs, clock);
  if (!identity.ok()) return identity.status();

  absl::StatusOr<trust::SealingKey> sealing = trust::SealingKey::Load(**vfs, *identity);
  if (!sealing.ok()) return sealing.status();

  if (absl::Status status = api::ForceTls13(); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<engine::RealExecutor>> executor = engine::MakeRealExecutor();
  if (!executor.ok()) return executor.status();
  std::unique_ptr<MetalControllers> machine;  // null in a sandbox
  std::vector<engine::Controller*> controllers;
  if (metal) {
    absl::StatusOr<std::unique_ptr<MetalControllers>> made = MetalControllers::Make(
        {.executor = **executor,
         .vfs = **vfs,
         .clock = clock,
         .platform = *platform,
         .supervisor = **supervisor,
         .has_watchdog = boot.watchdog,
         .dhcp_hook = options.dhcp_program,
         .fetch_program = options.fetch_program,
         .policy = [&trust]() -> const v1::TrustPolicy& { return trust->policy(); }});
    if (!made.ok()) return made.status();
    machine = *std::move(made);
    controllers = machine->all();
  }
  std::unique_ptr<host::Kernel> host_name;  // all that a container asks of the kernel
  std::unique_ptr<engine::Controller> inside;
  if (container) {
    host_name = host::MakeKernel("");
    inside = container::MakeContainerController(**vfs, *host_name);
    controllers.push_back(inside.get());
  }
  std::unique_ptr<k3s::K3sController> k3s =
      k3s::MakeK3sController({.executor = **executor,
                              .vfs = **vfs,
                              .clock = clock,
                              .random = host::RealRandom(),
                              .platform = *platform,
                              .supervisor = **supervisor,
                              .fetch_program = options.fetch_program,
                              .unsynced_allowed = [&machine] {
                                return machine != nullptr && machine->UnsyncedAllowed();
                              }});
  controllers.push_back(k3s.get());
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<engine::Node> node = engine::MakeNode({
      .executor = **executor,
      .vfs = **vfs,
      .clock = clock,
      .random = host::RealRandom(),
      .platform = *platform,
      .supervisor = **supervisor,
      .identity = *identity,
      .sealing = *sealing,
      .trust = *trust,
      .controllers = controllers,
      .version = BASALT_VERSION,
      .build_time = absl::FromUnixSeconds(BASALT_BUILD_TIME),
      // Before the server is up there is nothing to switch: it starts with the policy of that
      // moment.
      .set_api_policy =
          [&server, &vfs](const engine::ApiPolicy& policy) {
            if (!server) return absl::OkStatus();
            absl::Status status = server->SetPolicy(policy);
            // Ignoring a failure: it is a convenience on this machine, the API has moved already.
            if (status.ok()) WriteEndpoint(**vfs, server->endpoints().front()).IgnoreError();
            return status;
          },
      .endpoints = [&server] { return server ? server->endpoints() : std::vector<std::string>(); },
      .endpoints_with =
          [&server, metal](const v1::MachineConfig& config) {
            if (!metal || !server) return std::vector<std::string>();
            return network::StaticEndpoints(config, PortOf(server->endpoints().front()));
          },
      .kubeconfig = [&k3s](absl::Duration validity) { return k3s->Kubeconfig(validity); },
      .restart_service =
          [&k3s](const std::string& service) {
            if (service == "k3s") return k3s->Restart();
            return api::Coded(absl::StatusCode::kNotFound, "no-such-service",
                              absl::StrCat("no service `", service, "`"),
                              "`nodectl get service` lists them");
          },
      .roll_back_image = metal ? std::function<void(const v1::Action&, engine::Done)>(
                                     [&machine](const v1::Action& action, engine::Done done) {
                                       machine->RollBackImage(action, std::move(done));
                                     })
                               : nullptr,
  });
  if (absl::Status status = node->Start(); !status.ok()) return status;
  if (machine != nullptr) machine->Start(**executor, node->api_policy().configured);

  std::string listen = ListenAddress(**vfs, options.listen);
  absl::StatusOr<std::unique_ptr<rpc::Server>> started =
      rpc::StartServer({.listen = {listen},
                        .certificate_pem = identity->certificate_pem(),
                        .key_pem = identity->key_pem()},
                       node->api_policy(), *node);
  if (!started.ok()) return started.status();
  server = *std::move(started);
  // Where a config moved the API is the config's to say; the pick is of the command line.
  absl::Status kept = node->api_policy().api.listen().empty()
                          ? KeepEndpoint(**vfs, server->endpoints().front())
                          : absl::OkStatus();
  if (absl::Status status = kept.ok() ? WriteRunFiles(**vfs, server->endpoints().front(),
                                                      identity->machine_id(), sealing->recipient())
                                      : kept;
      !status.ok()) {
    server->Shutdown(absl::ZeroDuration());
    server.reset();  // before the node that it calls
    return status;
  }
  std::printf("noded %s: %s serves %s, fingerprint %s\n", BASALT_VERSION, platform->name().c_str(),
              server->endpoints().front().c_str(), identity->machine_id().c_str());
  std::fflush(stdout);

  if (machine != nullptr) machine->ShowConsole(*node, [&server] { return server->endpoints(); });
  EventPump pump(
      **executor, **supervisor,
      [&k3s, &machine](const host::ServiceEvent& event) {
        if (machine != nullptr) machine->OnServiceEvent(event);
        k3s->OnServiceEvent(event);
      },
      *node);
  pump.Start();
  BootHealth health(**executor, **supervisor, boot, [&k3s, &machine] {
    return machine == nullptr ? k3s->Observe() : machine->TrialConditions(*k3s);
  });
  if (metal) health.Start();
  (*executor)->WatchFd(termination->get(), [&executor] { (*executor)->Stop(); });
  (*executor)->Run();
  server->Shutdown(kShutdownGrace);
  server.reset();
  return absl::OkStatus();
}

}  // namespace basalt
