// A node with a machine under it that boots: the engine, the controller of the image, the stores
// and the downloads are the real ones; disk, loader, clock and processes are fakes with a memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/update/image_controller.h"
#include "tests/support/boot_disk/fake_boot_disk.h"
#include "tests/support/boot_disk/image_kit.h"
#include "tests/support/controller/engine_harness.h"
#include "tests/support/firmware/fake_firmware.h"

namespace basalt::testing {

// What noded-init would be asked for.
class FakeMachine : public host::Platform {
 public:
  FakeMachine();
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

class UpgradeWorld {
 public:
  // Runs image 1.0.0 from slot a, with generation 1 committed, which names no image.
  UpgradeWorld();
  ~UpgradeWorld();

  // Puts slot, kernel image and signed manifest where a URL leads. Returns the lines of
  // `system.image` that name it.
  std::string Publish(const KitImage& image, const std::string& manifest = "",
                      const sign::PrivateKey* key = nullptr);
  std::string Section(const std::string& digest, const std::vector<std::string>& urls,
                      const std::string& version = "") const;
  std::string UrlOf(const std::string& file) const;
  std::string web() const { return directory_ + "/web"; }

  std::shared_ptr<RecordingWatcher> Apply(int64_t generation, const std::string& system,
                                          const std::string& metadata = "",
                                          const std::string& version = "v1.30.4+k3s1");
  v1::PlanReply Plan(int64_t generation, const std::string& system);
  absl::StatusOr<v1::ApplyActionReply> RollBack(const std::string& arguments = "");

  void Start();  // another life of noded
  void Kill();
  // The machine starts again; images of these versions do not come up.
  bool Reboot(const std::vector<std::string>& broken = {});
  void Pump();  // everything that waits, downloads too
  void Advance(absl::Duration by);

  std::string running() const { return version_of(disk.running_root()); }
  std::string version_of(const std::string& root) const;
  v1::Image Image() const;
  v1::Slot Slot(const std::string& name) const;
  // Of the last life that ended without being committed.
  std::string LastErrorCode() { return h.ConfigStatus().last_error_code(); }

  EngineHarness h;
  FakeBootDisk disk;
  FakeMachine* machine;  // owned by h
  std::shared_ptr<FakeFirmware> firmware = std::make_shared<FakeFirmware>();
  std::unique_ptr<update::ImageController> image;
  std::vector<KitImage> images;
  KitImage first;
  std::string architecture = "amd64";
  int downloads = 0;

 private:
  bool RunDownloads();
  void KeepManifests();
  std::string directory_;
  size_t seen_ = 0;
  uint64_t last_event_ = 0;
};

}  // namespace basalt::testing
