#include "server/controllers/system/settings.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "server/init/boot/baseline.h"

namespace basalt::system {
namespace {

struct Bound {
  absl::string_view name;
  int64_t least;
  int64_t most;  // 0: none
  absl::string_view why;
};

constexpr absl::string_view kNoNamespaces = "K3s could make no container any more";
// What is outside makes a node that cannot be reached, or does not come back after a fault.
constexpr Bound kBounds[] = {
    {"kernel.panic", 1, 3600, "a panic must restart the machine: the boot loader counts it"},
    {"kernel.panic_on_oops", 1, 1, "a kernel that erred is not trusted further"},
    {"kernel.pid_max", 4096, 0, "K3s and its pods would find no process number"},
    {"kernel.threads-max", 4096, 0, "K3s and its pods would find no thread"},
    {"fs.file-max", 65536, 0, "noded and K3s would find no descriptor"},
    {"fs.nr_open", 1048576, 0, "services are given so many descriptors, and would not start"},
    {"fs.inotify.max_user_instances", 128, 0, "kubelet would not start"},
    {"fs.inotify.max_user_watches", 8192, 0, "kubelet would not start"},
    {"user.max_mnt_namespaces", 64, 0, kNoNamespaces},
    {"user.max_pid_namespaces", 64, 0, kNoNamespaces},
    {"user.max_net_namespaces", 64, 0, kNoNamespaces},
    {"user.max_ipc_namespaces", 64, 0, kNoNamespaces},
    {"user.max_uts_namespaces", 64, 0, kNoNamespaces},
    {"user.max_cgroup_namespaces", 64, 0, kNoNamespaces},
    {"net.core.somaxconn", 128, 0, "the API would turn callers away"},
};

// The kernel takes a change one way only, until it starts anew.
constexpr absl::string_view kOneWay[] = {
    "kernel.kexec_load_disabled", "kernel.unprivileged_bpf_disabled", "kernel.yama.ptrace_scope"};

// In these a higher value is the stricter one; in the others each other value is weaker.
constexpr absl::string_view kHigherIsStricter[] = {"kernel.kptr_restrict",
                                                   "kernel.perf_event_paranoid",
                                                   "kernel.yama.ptrace_scope",
                                                   "kernel.unprivileged_bpf_disabled",
                                                   "fs.protected_fifos",
                                                   "fs.protected_regular",
                                                   "fs.inotify.max_user_instances",
                                                   "fs.inotify.max_user_watches",
                                                   "kernel.keys.root_maxkeys",
                                                   "kernel.keys.root_maxbytes"};

template <typename Range>
bool Holds(const Range& range, absl::string_view name) {
  return std::find(std::begin(range), std::end(range), name) != std::end(range);
}

absl::Status Breaks(const std::string& name, const std::string& value, absl::string_view why,
                    absl::string_view hint) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "sysctl-breaks-node",
                    absl::StrCat("system.kernel.sysctls.", name, ": ", value, ": ", why), hint);
}

// A part of memory that may be set aside for good.
absl::Status CheckMemory(const std::string& name, const std::string& value, int64_t asked,
                         int64_t unit, int64_t most_bytes) {
  if (asked <= most_bytes / unit) return absl::OkStatus();
  return Breaks(name, value, "sets aside more of this machine's memory than a node can spare",
                absl::StrCat("at most ", most_bytes / unit));
}

}  // namespace

const Settings& Baseline() {
  static const Settings* const kSettings = [] {
    auto* settings = new Settings;
    for (const init::Sysctl& sysctl : init::kBaseline) {
      std::string name = sysctl.path;
      std::replace(name.begin(), name.end(), '/', '.');
      settings->emplace(std::move(name), sysctl.value);
    }
    return settings;
  }();
  return *kSettings;
}

bool SameValue(absl::string_view a, absl::string_view b) {
  auto words = [](absl::string_view text) {
    return absl::StrJoin(absl::StrSplit(text, absl::ByAnyChar(" \t\n"), absl::SkipEmpty()), " ");
  };
  return words(a) == words(b);
}

bool OfInterface(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  return parts.size() >= 5 && parts[0] == "net" && (parts[2] == "conf" || parts[2] == "neigh") &&
         parts[3] != "all" && parts[3] != "default";
}

absl::Status CheckSetting(const std::string& name, const std::string& value, int64_t memory) {
  int64_t number = 0;
  const bool is_number = absl::SimpleAtoi(value, &number);
  for (const Bound& bound : kBounds) {
    if (bound.name != name) continue;
    if (is_number && number >= bound.least && (bound.most == 0 || number <= bound.most)) continue;
    return Breaks(name, value, bound.why,
                  bound.most == bound.least ? absl::StrCat("remove it, or write ", bound.least)
                  : bound.most == 0         ? absl::StrCat("at least ", bound.least)
                                    : absl::StrCat("from ", bound.least, " to ", bound.most));
  }
  if (is_number && memory > 0) {
    if (name == "vm.min_free_kbytes") return CheckMemory(name, value, number, 1024, memory / 8);
    if (name == "vm.nr_hugepages") {
      return CheckMemory(name, value, number, 2 << 20, memory / 4 * 3);
    }
  }
  const auto image = Baseline().find(name);
  if (Holds(kOneWay, name) && image != Baseline().end()) {
    int64_t least = 0;
    // Ignoring: the baseline's are numbers.
    (void)absl::SimpleAtoi(image->second, &least);
    if (!is_number || number < least ||
        (name == "kernel.unprivileged_bpf_disabled" && number != least)) {
      return Breaks(name, value,
                    absl::StrCat("the image sets ", image->second,
                                 ", and the kernel does not go back from it"),
                    "remove it");
    }
  }
  return absl::OkStatus();
}

std::string WeakenedBy(const std::string& name, const std::string& value) {
  const auto image = Baseline().find(name);
  if (image == Baseline().end() || SameValue(image->second, value)) return "";
  int64_t is = 0, wanted = 0;
  if (Holds(kHigherIsStricter, name) && absl::SimpleAtoi(value, &is) &&
      absl::SimpleAtoi(image->second, &wanted) && is >= wanted) {
    return "";
  }
  return absl::StrCat("system.kernel.sysctls.", name, ": ", value,
                      " is weaker than what the image sets, ", image->second);
}

std::vector<v1::KernelSetting> HardeningReport(const Settings& wanted, const FoundSettings& found) {
  std::vector<v1::KernelSetting> report;
  for (const auto& [name, value] : Baseline()) {
    v1::KernelSetting setting;
    setting.set_name(name);
    setting.set_wanted(value);
    const auto now = found.find(name);
    const auto config = wanted.find(name);
    if (now == found.end() || !now->second) {
      setting.set_verdict("unknown");
    } else {
      setting.set_found(*now->second);
      if (SameValue(*now->second, value)) {
        setting.set_verdict("holds");
      } else if (config != wanted.end() && SameValue(*now->second, config->second)) {
        setting.set_verdict(WeakenedBy(name, config->second).empty() ? "holds" : "by-config");
      } else {
        setting.set_verdict(WeakenedBy(name, *now->second).empty() ? "holds" : "changed");
      }
    }
    report.push_back(std::move(setting));
  }
  return report;
}

std::string ToText(const Settings& first) {
  std::string text;
  // Values have tabs in them, names have not.
  for (const auto& [name, value] : first) absl::StrAppend(&text, name, "=", value, "\n");
  return text;
}

Settings FromText(absl::string_view text) {
  Settings first;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t equals = line.find('=');
    if (equals == absl::string_view::npos || equals == 0) continue;
    first.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return first;
}

}  // namespace basalt::system
