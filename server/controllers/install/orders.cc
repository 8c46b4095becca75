#include "server/controllers/install/orders.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/controllers/install/disk_wipe.h"
#include "server/engine/blocking.h"

namespace basalt::install {
namespace {

constexpr char kMountAt[] = "/run/noded-install";

class Orders : public engine::MachineOrders {
 public:
  explicit Orders(OrderDeps deps) : deps_(std::move(deps)) {}

  void CheckReset(const engine::ResetSpec& spec, Done done) override {
    engine::OnPool<absl::Status>(
        deps_.executor,
        [block = deps_.block, esp = deps_.esp, spec] { return CheckPartitions(*block, esp, spec); },
        std::move(done));
  }
  void MarkReset(const engine::ResetSpec& spec, const engine::Carried& carried,
                 Done done) override {
    const std::string record =
        carried.trust.empty() ? "" : deps_.vfs.Read("state/image/record", 64 << 10).value_or("");
    engine::OnPool<absl::Status>(
        deps_.executor,
        [block = deps_.block, files = deps_.files, esp = deps_.esp, spec, carried, record] {
          return MarkPartitions(*block, files, esp, spec, carried, record);
        },
        std::move(done));
  }
  bool DataIsNew() const override { return deps_.data_is_new; }
  std::string BootFailure() const override { return deps_.boot_failure; }

  void Wipe(const engine::WipeSpec& spec,
            std::function<absl::Status(const std::string& what)> begun,
            std::function<void(int percent)> progress,
            std::function<void(absl::StatusOr<std::string>)> done) override {
    const std::string data = deps_.vfs.Absolute("data");
    engine::OnPool<absl::StatusOr<WipeTarget>>(
        deps_.executor,
        [block = deps_.block, esp = deps_.esp, data, spec]() -> absl::StatusOr<WipeTarget> {
          auto facts = storage::LookAt(*block, data, nullptr);
          if (!facts.ok()) return facts.status();
          return FindWipe(spec, *facts, esp);
        },
        [this, method = spec.method, begun = std::move(begun), progress = std::move(progress),
         done = std::move(done)](absl::StatusOr<WipeTarget> target) {
          if (!target.ok()) return done(target.status());
          if (absl::Status status = begun(target->what); !status.ok()) return done(status);
          engine::OnPool<absl::StatusOr<std::string>>(
              deps_.executor,
              [block = deps_.block, &executor = deps_.executor, method, progress,
               target = *std::move(target)] {
                int told = 0;
                return DoWipe(*block, target, method, [&](int percent) {
                  if (percent < told + 5) return;
                  told = percent;
                  executor.Post([progress, percent] { progress(percent); });
                });
              },
              [this, done](absl::StatusOr<std::string> result) {
                if (deps_.on_change) deps_.on_change();
                done(std::move(result));
              });
        });
  }
  absl::Status PowerOff() override { return deps_.supervisor.EndMachine(/*reboot=*/false); }

 private:
  OrderDeps deps_;
};

}  // namespace

std::unique_ptr<engine::MachineOrders> MakeMachineOrders(OrderDeps deps) {
  return std::make_unique<Orders>(std::move(deps));
}

OpenFiles MountedFiles(std::shared_ptr<host::BlockDevices> block, std::string type) {
  return [block = std::move(block), type = std::move(type)](
             const std::string& device) -> absl::StatusOr<std::shared_ptr<host::Vfs>> {
    const std::string target = absl::StrCat(kMountAt, "-", device.substr(device.rfind('/') + 1));
    absl::Status mounted = block->Mount({.device = device, .target = target, .type = type});
    if (!mounted.ok()) return mounted;
    auto vfs = host::OpenVfs(target);
    if (!vfs.ok()) {
      block->Unmount(target).IgnoreError();
      return vfs.status();
    }
    // The mount goes with the last user; its files are durable by then.
    return std::shared_ptr<host::Vfs>(vfs->release(), [block, target](host::Vfs* gone) {
      delete gone;
      block->Unmount(target).IgnoreError();
    });
  };
}

}  // namespace basalt::install
