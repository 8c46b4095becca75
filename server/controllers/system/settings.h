// Kernel settings: which values a node would not survive, what of the image's hardening holds, and
// what was there before a config said otherwise. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/resource.pb.h"

namespace basalt::system {

// name → value. Names as in system.kernel.sysctls.
using Settings = std::map<std::string, std::string>;
// What the kernel says; nullopt: it has no such setting now.
using FoundSettings = std::map<std::string, std::optional<std::string>>;

// The image's hardening: server/init/boot/baseline.h.
const Settings& Baseline();

// The kernel puts tabs between numbers, people blanks.
bool SameValue(absl::string_view a, absl::string_view b);

// Does it belong to an interface of the network, which may come and go?
// "net.ipv4.conf.eth0.rp_filter"
bool OfInterface(absl::string_view name);

// OK, or FailedPrecondition "sysctl-breaks-node": a value that keeps this machine from working or
// from coming back, or one that the kernel does not take any more. `memory`: bytes.
absl::Status CheckSetting(const std::string& name, const std::string& value, int64_t memory);

// Weaker than the image sets it. Nothing when `value` is the baseline's, or `name` is not in it.
std::string WeakenedBy(const std::string& name, const std::string& value);

// How each setting of the baseline is found. `wanted`: of the config, which wins.
std::vector<v1::KernelSetting> HardeningReport(const Settings& wanted, const FoundSettings& found);

// First values, kept in memory (run/) while a config overrides them: one a line.
std::string ToText(const Settings& first);
Settings FromText(absl::string_view text);

}  // namespace basalt::system
