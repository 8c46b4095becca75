#include "tests/unit/server/controllers/extensions/extension_world.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"

namespace basalt::testing {
namespace {

constexpr char kImageGrant[] = "  - for: image\n    keys: [config]\n";
constexpr char kStore[] = "/world/";

class WorldStore : public artifacts::ArtifactStore {
 public:
  WorldStore(engine::Executor& executor, World& world, bool manifests)
      : executor_(executor), world_(world), manifests_(manifests) {}
  void Ensure(const std::string&, const v1::Artifact& artifact, const std::vector<std::string>&,
              engine::OnProgress, engine::Done done) override {
    absl::Status status = api::Coded(absl::StatusCode::kUnavailable, "artifact-download-failed",
                                     "nothing is at any of its URLs");
    for (const std::string& url : artifact.urls()) {
      const auto it = world_.web.find(url);
      if (it == world_.web.end()) continue;
      Kept()[artifact.sha256()] = it->second;
      if (manifests_) world_.on_manifest(artifact.sha256(), it->second);
      status = absl::OkStatus();
      break;
    }
    if (Kept().count(artifact.sha256()) > 0) status = absl::OkStatus();
    executor_.Post([done = std::move(done), status] { done(status); });
  }
  void Cancel() override {}
  void Open(const std::string& sha256, OpenDone done) override {
    const auto it = Kept().find(sha256);
    if (it == Kept().end()) return done(absl::NotFoundError(sha256));
    auto fd = std::make_shared<host::UniqueFd>(memfd_create("artifact", MFD_CLOEXEC));
    EXPECT_EQ(write(fd->get(), it->second.data(), it->second.size()),
              static_cast<ssize_t>(it->second.size()));
    done(std::move(fd));
  }
  std::string Path(const std::string& sha256) const override { return kStore + sha256; }
  void OnServiceEvent(const host::ServiceEvent&) override {}
  void KeepOnly(std::set<std::string> digests) override {
    std::erase_if(Kept(), [&](const auto& one) { return digests.count(one.first) == 0; });
  }

 private:
  std::map<std::string, std::string>& Kept() {
    return manifests_ ? world_.manifests : world_.files;
  }
  engine::Executor& executor_;
  World& world_;
  const bool manifests_;
};

std::string File(const sign::ImageFile& file) {
  return absl::StrCat("{\"name\": \"", file.name, "\", \"size\": ", file.size, ", \"sha256\": \"",
                      file.sha256.Hex(), "\"}");
}

}  // namespace

ExtensionMachine::ExtensionMachine() {
  paths_ = {.root = "/fake", .state = "state", .data = "data", .run = "run", .etc = "etc"};
  hardware_.architecture = "amd64";
  hardware_.memory_total = int64_t{4} << 30;
  hardware_.cpus = 4;
}

sign::ExtensionManifest SomeExtension(const std::string& name, int seed) {
  const std::string content = absl::StrCat(name, " ", seed);
  return {.name = name,
          .architecture = "amd64",
          .version = absl::StrCat("1.0.", seed),
          .build_time = absl::FromUnixSeconds(1700000000),
          .kernel_release = kKernel,
          .root = absl::StrCat(Sha256(content).Hex(), ":12"),
          .salt = std::string(64, 'b'),
          .file = {absl::StrCat(name, "-", seed, ".extension"),
                   static_cast<int64_t>(content.size()), Sha256(content)},
          .sbom = {name + ".spdx.json", 100, Sha256("sbom")},
          .modules = {absl::StrCat(name, "_core"), absl::StrCat(name, "_tcp")},
          .files = {{absl::StrCat("/usr/sbin/", name), Sha256(content).Hex()},
                    {absl::StrCat("/usr/share/", name, "/about"), "-> ../about"}}};
}

std::string ManifestText(const sign::ExtensionManifest& m) {
  const auto list = [](const std::vector<std::string>& all) {
    return all.empty() ? "[]" : absl::StrCat("[\"", absl::StrJoin(all, "\", \""), "\"]");
  };
  return absl::StrCat(
      R"({"apiVersion": "basalt/v1", "kind": "Extension", "name": ")", m.name, R"(", "version": ")",
      m.version, R"(", "architecture": ")", m.architecture,
      R"(", "buildTime": "2023-11-14T22:13:20Z")",
      m.kernel_release.empty() ? ""
                               : absl::StrCat(R"(, "kernelRelease": ")", m.kernel_release, "\""),
      R"(, "root": ")", m.root, R"(", "salt": ")", m.salt, R"(", "file": )", File(m.file),
      R"(, "sbom": )", File(m.sbom), R"(, "modules": )", list(m.modules), R"(, "files": {)",
      absl::StrJoin(m.files, ", ",
                    [](std::string* out, const auto& one) {
                      absl::StrAppend(out, "\"", one.first, "\": \"", one.second, "\"");
                    }),
      "}}\n");
}

ExtensionWorld::ExtensionWorld() : h(kImageGrant) {
  auto platform = std::make_unique<ExtensionMachine>();
  machine = platform.get();
  h.platform = std::move(platform);
  h.vfs.SetFreeBytes(uint64_t{1} << 40);
  mounts.file_exists = [this](const std::string& path) {
    return world.files.count(path.substr(sizeof kStore - 1)) > 0;
  };
  // The store is a directory of STATE.
  world.on_manifest = [this](const std::string& digest, const std::string& text) {
    h.vfs.Corrupt(absl::StrCat("state/extensions/manifests/sha256-", digest), text);
  };
  for (const char* name : {"nfs_core", "nfs_tcp", "iscsi_core", "iscsi_tcp"}) {
    kernel.modules[name] = {.on_image = true};
  }
  h.adjust = [this](engine::NodeDeps& deps) {
    controller = extensions::MakeExtensionsController(
        {.executor = deps.executor,
         .vfs = deps.vfs,
         .kernel = kernel,
         .architecture = "amd64",
         .kernel_release = kKernel,
         .mounts = {std::shared_ptr<void>(), &mounts},
         .policy = [&trust = deps.trust]() -> const v1::TrustPolicy& { return trust.policy(); },
         .next_kernel = [this](const v1::MachineConfig&) { return next_kernel; },
         .manifests = std::make_unique<WorldStore>(deps.executor, world, true),
         .files = std::make_unique<WorldStore>(deps.executor, world, false)});
    controller->Load();
    deps.controllers.insert(deps.controllers.begin(), controller.get());
  };
  Start();
  std::shared_ptr<RecordingWatcher> watcher = Apply(1, "");
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED)
      << watcher->error << watcher->last().ShortDebugString();
}

ExtensionWorld::~ExtensionWorld() { Kill(); }

void ExtensionWorld::Kill() {
  h.node.reset();
  controller.reset();
  h.Kill();
}

void ExtensionWorld::Start() {
  Kill();
  absl::Status status = h.Start();
  EXPECT_TRUE(status.ok()) << status;
  Pump();
}

void ExtensionWorld::Reboot() {
  h.node.reset();
  controller.reset();
  h.Reboot();
  mounts.Reboot();
  for (auto& [name, module] : kernel.modules) module.loaded = false;
  Start();
}

void ExtensionWorld::Advance(absl::Duration by) {
  h.executor->Advance(by);
  Pump();
}

std::string ExtensionWorld::Publish(const sign::ExtensionManifest& manifest,
                                    const sign::PrivateKey* key) {
  const std::string base = "https://example.org/";
  const std::string envelope = absl::StrCat(base, manifest.file.name, ".json");
  world.web[base + manifest.file.name] = "bytes";
  const v1::SignedDocument document = h.SignText(v1::DOCUMENT_TYPE_IMAGE, ManifestText(manifest),
                                                 key != nullptr ? *key : h.config_key);
  world.web[envelope] = sign::ToDsseJson(document);
  return absl::StrCat("{name: ", manifest.name, ", digest: \"",
                      sign::DocumentDigest(document).ToString(), "\", urls: [", envelope, "]}");
}

std::string ExtensionWorld::Section(const std::vector<std::string>& lines) {
  return absl::StrCat("system:\n  extensions: [", absl::StrJoin(lines, ", "), "]\n");
}

std::shared_ptr<RecordingWatcher> ExtensionWorld::Apply(int64_t generation,
                                                        const std::string& system) {
  std::shared_ptr<RecordingWatcher> watcher =
      h.Apply({.generation = generation, .sections = system});
  Pump();
  return watcher;
}

absl::StatusOr<v1::PlanReply> ExtensionWorld::Plan(int64_t generation, const std::string& system) {
  absl::StatusOr<v1::PlanReply> out = absl::UnknownError("no answer");
  v1::PlanRequest request;
  *request.mutable_signed_() = h.Sign({.generation = generation, .sections = system});
  h.node->Plan(h.operator_caller, std::move(request),
               [&](absl::StatusOr<v1::PlanReply> reply) { out = std::move(reply); });
  Pump();
  return out;
}

std::vector<v1::Extension> ExtensionWorld::Extensions() const {
  std::vector<v1::Extension> out;
  for (const v1::Resource& resource : controller->Resources()) out.push_back(resource.extension());
  return out;
}

const engine::Condition ExtensionWorld::Condition() const {
  for (const engine::Condition& one : controller->Observe()) return one;
  return {};
}

}  // namespace basalt::testing
