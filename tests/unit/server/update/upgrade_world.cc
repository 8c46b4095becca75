#include "tests/unit/server/update/upgrade_world.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/fetch/download.h"
#include "server/fetch/fetch_protocol.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

constexpr char kImageGrant[] = "  - for: image\n    keys: [config]\n";

void WriteFile(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

FakeMachine::FakeMachine() {
  paths_ = {.root = "/fake", .state = "state", .data = "data", .run = "run", .etc = "etc"};
  hardware_.architecture = "amd64";
  hardware_.memory_total = int64_t{4} << 30;
  hardware_.cpus = 4;
}

UpgradeWorld::UpgradeWorld() : h(kImageGrant), disk(64 << 10, 3 << 20) {
  auto platform = std::make_unique<FakeMachine>();
  machine = platform.get();
  h.platform = std::move(platform);
  h.vfs.SetFreeBytes(uint64_t{1} << 40);
  disk.powered = [this] { return !h.vfs.cut(); };
  disk.on_cut = [this] { h.vfs.CutAfter(0); };
  char pattern[] = "/tmp/basalt-upgrade-XXXXXX";
  directory_ = mkdtemp(pattern);
  first = MakeKitImage({.version = "1.0.0"});
  images.push_back(first);
  disk.Install(host::BootSlot::kA, first.slot, "noded_1.0.0.efi", first.kernel);
  disk.whole_kernels["1.0.0"] = first.kernel;
  disk.whole_roots[first.root] = first.slot;
  disk.Run(host::BootSlot::kA, first.root);
  h.adjust = [this](engine::NodeDeps& deps) {
    fs::create_directories(directory_ + "/manifests");
    fs::create_directories(directory_ + "/files");
    update::ImageControllerDeps own{
        .executor = deps.executor,
        .vfs = deps.vfs,
        .clock = deps.clock,
        .architecture = architecture,
        .disk = {std::shared_ptr<void>(), &disk},
        .firmware = firmware,
        .policy = [&trust = deps.trust]() -> const v1::TrustPolicy& { return trust.policy(); }};
    for (const KitImage& one : images) {
      if (one.root != disk.running_root()) continue;
      own.running = {.version = one.version, .profile = "vm-amd64"};
      const size_t epoch = one.manifest.find("\"epoch\": ") + 9;
      own.running.epoch = std::atoi(one.manifest.c_str() + epoch);
    }
    own.manifests = artifacts::MakeArtifactStore(deps.executor, deps.supervisor,
                                                 {.dir = directory_ + "/manifests",
                                                  .fetch_program = "/proc/self/exe",
                                                  .services = "manifest-fetch-",
                                                  .digest_of = update::DigestOfManifest,
                                                  .most_bytes = update::kMostManifest});
    own.files = artifacts::MakeArtifactStore(deps.executor, deps.supervisor,
                                             {.dir = directory_ + "/files",
                                              .fetch_program = "/proc/self/exe",
                                              .services = "image-fetch-"});
    image = update::MakeImageController(std::move(own));
    image->Load();
    deps.controllers.insert(deps.controllers.begin(), image.get());
    deps.roll_back_image = [this](const v1::Action& action, engine::Done done) {
      image->RollBack(action, std::move(done));
    };
  };
  Start();
  std::shared_ptr<RecordingWatcher> watcher = Apply(1, "");
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED)
      << watcher->error << watcher->last().ShortDebugString();
}

UpgradeWorld::~UpgradeWorld() {
  Kill();
  fs::remove_all(directory_);
}

void UpgradeWorld::Kill() {
  h.node.reset();
  image.reset();
  h.Kill();
}

void UpgradeWorld::Start() {
  Kill();
  KeepManifests();
  seen_ = 0;
  last_event_ = 0;
  absl::Status status = h.Start();
  EXPECT_TRUE(status.ok()) << status;
  Pump();
}

// The store is a directory of the machine that runs the test, the rest of STATE is not.
void UpgradeWorld::KeepManifests() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_ + "/manifests", error)) {
    std::ifstream in(entry.path());
    h.vfs.Corrupt(absl::StrCat("state/image/manifests/", entry.path().filename().string()),
                  std::string(std::istreambuf_iterator<char>(in), {}));
  }
}

bool UpgradeWorld::Reboot(const std::vector<std::string>& broken) {
  h.node.reset();
  image.reset();
  h.Reboot();
  if (!disk.Boot(broken)) return false;
  Start();
  return true;
}

std::string UpgradeWorld::UrlOf(const std::string& file) const {
  return absl::StrCat("file://", web(), "/", file);
}

std::string UpgradeWorld::Section(const std::string& digest, const std::vector<std::string>& urls,
                                  const std::string& version) const {
  return absl::StrCat("system:\n  image:\n    digest: ", digest, "\n    urls: [\"",
                      absl::StrJoin(urls, "\", \""), "\"]\n",
                      version.empty() ? "" : absl::StrCat("    version: ", version, "\n"));
}

std::string UpgradeWorld::Publish(const KitImage& one, const std::string& manifest,
                                  const sign::PrivateKey* key) {
  images.push_back(one);
  disk.whole_kernels[one.version] = one.kernel;
  disk.whole_roots[one.root] = one.slot;
  const std::string base = absl::StrCat(web(), "/basalt-", one.version);
  WriteFile(base + ".slot", one.slot);
  WriteFile(base + ".efi", one.kernel);
  const v1::SignedDocument document =
      h.SignText(v1::DOCUMENT_TYPE_IMAGE, manifest.empty() ? one.manifest : manifest,
                 key != nullptr ? *key : h.config_key);
  WriteFile(base + ".image.json", sign::ToDsseJson(document));
  return Section(sign::DocumentDigest(document).ToString(),
                 {UrlOf(absl::StrCat("basalt-", one.version, ".image.json"))});
}

std::shared_ptr<RecordingWatcher> UpgradeWorld::Apply(int64_t generation, const std::string& system,
                                                      const std::string& metadata,
                                                      const std::string& version) {
  std::shared_ptr<RecordingWatcher> watcher = h.Apply({.generation = generation,
                                                       .version = version,
                                                       .extra_metadata = metadata,
                                                       .sections = system});
  Pump();
  return watcher;
}

v1::PlanReply UpgradeWorld::Plan(int64_t generation, const std::string& system) {
  v1::PlanReply out;
  v1::PlanRequest request;
  *request.mutable_signed_() = h.Sign({.generation = generation, .sections = system});
  h.node->Plan(h.operator_caller, std::move(request), [&](absl::StatusOr<v1::PlanReply> reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    if (reply.ok()) out = *std::move(reply);
  });
  Pump();
  return out;
}

absl::StatusOr<v1::ApplyActionReply> UpgradeWorld::RollBack(const std::string& arguments) {
  v1::GetRequest machine_status;
  const std::string order = absl::StrCat(
      "apiVersion: basalt/v1\nkind: Action\ncluster: home\nepoch: 1\ntarget:\n  machineId: ",
      h.MachineStatus().machine_id(), "\nverb: imageRollback\n", arguments,
      "signedAt: ", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now(), absl::UTCTimeZone()),
      "\nnotAfter: ",
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now() + absl::Hours(1), absl::UTCTimeZone()),
      "\n");
  v1::ApplyActionRequest request;
  *request.mutable_document() = h.SignText(v1::DOCUMENT_TYPE_ACTION, order, h.config_key);
  absl::StatusOr<v1::ApplyActionReply> out = absl::UnknownError("no answer");
  h.node->ApplyAction(h.operator_caller, std::move(request),
                      [&](absl::StatusOr<v1::ApplyActionReply> reply) { out = std::move(reply); });
  Pump();
  return out;
}

// As noded-init and noded-fetch do it, with the code of the latter.
bool UpgradeWorld::RunDownloads() {
  bool any = false;
  for (; seen_ < h.supervisor->started().size(); ++seen_) {
    const std::string name = h.supervisor->started()[seen_];
    if (!absl::StrContains(name, "fetch-")) continue;
    const host::ServiceSpec* spec = h.supervisor->Spec(name);
    std::optional<fetch::Arguments> arguments = fetch::FromArgv(spec->argv);
    EXPECT_TRUE(arguments.has_value());
    ++downloads;
    any = true;
    std::string output, why;
    fetch::Hooks hooks{
        .progress = [](fetch::Progress) {},
        .failed =
            [&](fetch::Outcome outcome, const std::string& url, const std::string& reason) {
              absl::StrAppend(&output, "failed ", fetch::Reason(outcome), " ", url, ": ", reason,
                              "\n");
            },
        .pause = [](int) {},
        .from = [&](int index) { absl::StrAppend(&output, "from ", index, "\n"); }};
    const fetch::Outcome outcome = fetch::Download(*arguments, spec->fds[0].get(), hooks, &why);
    if (outcome != fetch::Outcome::kOk) {
      absl::StrAppend(&output, "error ", fetch::Reason(outcome), " ", why, "\n");
    }
    h.supervisor->Write(name, output);
    h.supervisor->Exit(name, static_cast<int>(outcome));
  }
  const std::vector<host::ServiceEvent> events = *h.supervisor->Events(last_event_);
  for (const host::ServiceEvent& event : events) {
    last_event_ = event.seq;
    image->OnServiceEvent(event);
    any = true;
  }
  return any;
}

void UpgradeWorld::Pump() {
  do {
    h.executor->RunUntilIdle();
  } while (RunDownloads());
}

void UpgradeWorld::Advance(absl::Duration by) {
  h.executor->Advance(by);
  Pump();
}

std::string UpgradeWorld::version_of(const std::string& root) const {
  for (const KitImage& one : images) {
    if (one.root == root) return one.version;
  }
  return "none";
}

v1::Image UpgradeWorld::Image() const {
  v1::GetRequest request;
  request.set_kind("Image");
  request.set_name("image");
  absl::StatusOr<v1::GetReply> reply = h.node->Get(request);
  return reply.ok() ? reply->resource().image() : v1::Image();
}

v1::Slot UpgradeWorld::Slot(const std::string& name) const {
  v1::GetRequest request;
  request.set_kind("Slot");
  request.set_name(name);
  absl::StatusOr<v1::GetReply> reply = h.node->Get(request);
  return reply.ok() ? reply->resource().slot() : v1::Slot();
}

}  // namespace basalt::testing
