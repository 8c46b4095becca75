// A node whose extensions are kept by the real controller and the real engine: stores, kernel,
// mounts and the machine are fakes with a memory.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "machineconfig/sign/extension_manifest.h"
#include "server/controllers/extensions/extensions_controller.h"
#include "tests/support/controller/engine_harness.h"
#include "tests/support/extension_mounts/fake_extension_mounts.h"
#include "tests/support/kernel/fake_kernel.h"

namespace basalt::testing {

inline constexpr char kKernel[] = "6.1.0-56-cloud-amd64";

// A manifest as the builder writes it.
std::string ManifestText(const sign::ExtensionManifest& manifest);
sign::ExtensionManifest SomeExtension(const std::string& name, int seed = 0);

class ExtensionMachine : public host::Platform {
 public:
  ExtensionMachine();
  std::string name() const override { return "metal"; }
  const host::NodePaths& paths() const override { return paths_; }
  const host::Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return "127.0.0.1"; }
  bool k3s_confined() const override { return false; }
  bool owns_namespaces() const override { return true; }
  std::string Unimplemented(const std::string&) const override { return ""; }
  absl::Status Reboot() override {
    ++reboots;
    return absl::OkStatus();
  }
  int reboots = 0;

 private:
  host::NodePaths paths_;
  host::Hardware hardware_;
};

// What is fetched lies on the disk of the world; a URL that the web does not have is unreachable.
struct World {
  std::map<std::string, std::string> web;               // by URL
  std::map<std::string, std::string> manifests, files;  // by digest
  std::function<void(const std::string&, const std::string&)> on_manifest;
};

class ExtensionWorld {
 public:
  ExtensionWorld();  // generation 1 is committed, without extensions
  ~ExtensionWorld();

  // Signs it and puts it where a URL leads. Returns its line of `system.extensions`.
  std::string Publish(const sign::ExtensionManifest& manifest,
                      const sign::PrivateKey* key = nullptr);
  // "system:\n  extensions: ..."
  static std::string Section(const std::vector<std::string>& lines);

  std::shared_ptr<RecordingWatcher> Apply(int64_t generation, const std::string& system);
  absl::StatusOr<v1::PlanReply> Plan(int64_t generation, const std::string& system);
  void Start();
  void Kill();
  void Reboot();
  void Advance(absl::Duration by);
  void Pump() { h.executor->RunUntilIdle(); }
  std::vector<v1::Extension> Extensions() const;
  std::string LastErrorCode() { return h.ConfigStatus().last_error_code(); }
  const engine::Condition Condition() const;

  EngineHarness h;
  World world;
  FakeExtensionMounts mounts;
  FakeKernel kernel;
  std::string next_kernel;  // of the image that a config names
  ExtensionMachine* machine;
  std::unique_ptr<extensions::ExtensionsController> controller;
};

}  // namespace basalt::testing
