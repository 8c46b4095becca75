// The rules of the section `k3s`, one function for each thing that they are about; private to this
// directory. What many of them ask is in K3sFacts.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/format/k3s_version.h"
#include "machineconfig/format/net.h"
#include "machineconfig/validate/report.h"

namespace basalt::validate {

bool Present(const v1::Secret& secret);

// A value of k3s.config and where it stands: an element of a list, a part of "a,b".
struct Placed {
  std::string value;
  std::string path;
};

class K3sFacts {
 public:
  explicit K3sFacts(const v1::MachineConfig& config);

  const v1::MachineConfig& config;
  const v1::K3s& k3s;
  const bool server;
  const bool agent;
  const bool etcd;  // embedded, on this server
  // Of k3s.version, when that can be read.
  const std::optional<format::K3sVersion> version;

  // Is the release known and older than v1.MINOR?
  bool Before(int minor) const { return version && version->minor < minor; }

  // Of k3s.config.
  bool Has(absl::string_view key) const;
  bool On(absl::string_view key) const;           // true is written
  std::string Text(absl::string_view key) const;  // "" when it is absent or no text
  int64_t Number(absl::string_view key, int64_t otherwise) const;
  std::vector<Placed> Values(absl::string_view key) const;     // "a,b" is two values
  std::vector<Placed> Arguments(absl::string_view key) const;  // commas belong to the argument
  // The value of NAME=VALUE among the arguments of a component, and where; the last one counts.
  std::optional<Placed> Argument(absl::string_view key, absl::string_view name) const;
  bool Disables(absl::string_view component) const;
};

std::string ConfigPath(absl::string_view key);  // "k3s.config[KEY]"

// k3s_roles.cc
void CheckK3sRole(const K3sFacts& facts, Report& report);
void CheckK3sTokens(const K3sFacts& facts, Report& report);
// k3s_datastore.cc
void CheckK3sDatastore(const K3sFacts& facts, Report& report);
void CheckK3sSnapshots(const K3sFacts& facts, Report& report);
// k3s_config.cc, k3s_values.cc
void CheckK3sConfig(const K3sFacts& facts, Report& report);
void CheckK3sValues(const K3sFacts& facts, Report& report);
// k3s_arguments.cc
void CheckK3sArguments(const K3sFacts& facts, Report& report);
void CheckK3sKubelet(const K3sFacts& facts, Report& report);
// k3s_network.cc
void CheckK3sNetwork(const K3sFacts& facts, Report& report);
// k3s_ports.cc
void CheckK3sPorts(const K3sFacts& facts, Report& report);
void CheckK3sFlannel(const K3sFacts& facts, Report& report);
// k3s_node.cc
void CheckK3sNode(const K3sFacts& facts, Report& report);
void CheckK3sHealth(const K3sFacts& facts, Report& report);
void CheckK3sEnv(const K3sFacts& facts, Report& report);
// k3s_components.cc
void CheckK3sComponents(const K3sFacts& facts, Report& report);
void CheckK3sHardening(const K3sFacts& facts, Report& report);
void CheckK3sImages(const K3sFacts& facts, Report& report);
// k3s_registries.cc
void CheckK3sRegistries(const K3sFacts& facts, Report& report);

}  // namespace basalt::validate
