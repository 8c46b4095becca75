#include "server/k3s/guards.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "api/coded_status.h"
#include "server/k3s/render.h"

namespace basalt::k3s {
namespace {

constexpr int64_t kMi = 1 << 20;
// A release extracts to about four times its size; images and containers come on top.
constexpr int64_t kExtracted = 250 * kMi;
// etcd wants 10 ms for nearly all of its writes; twice that for half of them is hopeless.
constexpr absl::Duration kSlowestEtcdWrite = absl::Milliseconds(20);

const v1::GuardOverride* Override(const v1::K3s& k3s, absl::string_view guard) {
  for (const v1::GuardOverride& override : k3s.overrides()) {
    if (override.guard() == guard) return &override;
  }
  return nullptr;
}

class Guards {
 public:
  explicit Guards(const v1::K3s& k3s) : k3s_(k3s) {}

  // `refuse`: an error unless overridden; else a warning.
  void Report(const char* guard, const char* code, const std::string& what, bool refuse) {
    const v1::GuardOverride* override = Override(k3s_, guard);
    if (!refuse) {
      result_.warnings.push_back(what);
    } else if (override != nullptr) {
      result_.warnings.push_back(absl::StrCat(what, " (overridden: ", override->reason(), ")"));
    } else if (result_.error.ok()) {
      result_.error =
          api::Coded(absl::StatusCode::kFailedPrecondition, code, what,
                     absl::StrCat("k3s.overrides: [{guard: ", guard, ", reason: ...}] lets it be"));
    }
  }
  GuardResult Take() { return std::move(result_); }

 private:
  const v1::K3s& k3s_;
  GuardResult result_;
};

}  // namespace

GuardResult CheckGuards(const v1::K3s& k3s, const MachineSize& machine, int64_t download_bytes) {
  Guards guards(k3s);
  const bool server = IsServer(k3s);
  const char* role = server ? "server" : "agent";
  const int64_t memory = server ? 2048 * kMi : 512 * kMi;
  const int cpus = server ? 2 : 1;
  if (machine.memory > 0 && machine.memory < memory) {
    guards.Report("memory", "guard-memory",
                  absl::StrCat("a K3s ", role, " wants ", memory / kMi,
                               " MiB of memory, this machine has ", machine.memory / kMi),
                  machine.memory < memory / 2);
  }
  if (machine.cpus > 0 && machine.cpus < cpus) {
    guards.Report(
        "cpu", "guard-cpu",
        absl::StrCat("a K3s ", role, " wants ", cpus, " cores, this machine has ", machine.cpus),
        machine.cpus * 2 < cpus);
  }
  if (UsesEtcd(k3s) && machine.data_on_flash) {
    guards.Report("etcdOnFlash", "guard-etcd-on-flash",
                  "embedded etcd wears out an SD card or eMMC and is slow on it", true);
  }
  if (machine.free_bytes >= 0) {
    int64_t need = download_bytes + kExtracted;
    if (machine.free_bytes < need) {
      guards.Report("diskSpace", "guard-disk-space",
                    absl::StrCat("K3s needs ", need / kMi, " MiB on the data disk, ",
                                 machine.free_bytes / kMi, " are free"),
                    machine.free_bytes < need / 2);
    }
  }
  return guards.Take();
}

bool WantsEtcdDisk(const v1::K3s& k3s) {
  return UsesEtcd(k3s) && Override(k3s, "etcdFsync") == nullptr;
}

absl::Status CheckEtcdDisk(const v1::K3s& k3s, absl::Duration median) {
  if (!WantsEtcdDisk(k3s) || median <= kSlowestEtcdWrite) return absl::OkStatus();
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "guard-etcd-slow-disk",
      absl::StrCat(
          "embedded etcd needs a disk with durable writes in 10 ms, those of this one take ",
          absl::ToInt64Milliseconds(median)),
      "k3s.overrides: [{guard: etcdFsync, reason: ...}] lets it be");
}

}  // namespace basalt::k3s
