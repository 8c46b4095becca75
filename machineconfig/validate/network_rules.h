// The parts of the rules for `network`; private to this directory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/format/net.h"
#include "machineconfig/validate/report.h"

namespace basalt::validate {

// The interfaces with what is asked of them again and again.
struct Interfaces {
  explicit Interfaces(const v1::Network& network);

  const v1::Network& network;
  std::vector<std::string> paths;      // of each, as findings write it
  std::map<std::string, int> by_name;  // the first of a name

  // The name that was probably meant; "" when none is near.
  std::string Near(absl::string_view name) const;
  // "" when there is an interface of the name, or none at all is named; else what helps.
  std::string Unknown(const std::string& name) const;

  const v1::Interface& at(int i) const { return network.interfaces(i); }
  int size() const { return network.interfaces_size(); }
};

// Names, selectors, and who is on top of whom: VLANs, bonds, bridges, WireGuard.
void CheckLinks(const Interfaces& interfaces, Report& report);
// `at` is where the interface stands.
void CheckWireguard(const v1::Interface& interface, const std::string& at, Report& report);
// Addresses, routes and gateways, and whether the rest of the config can live with them.
void CheckAddresses(const v1::MachineConfig& config, const Interfaces& interfaces, Report& report);
void CheckFirewall(const v1::MachineConfig& config, const Interfaces& interfaces, Report& report);

// The networks of pods and services of the cluster, which no device may have.
struct ClusterNetwork {
  format::Cidr network;
  const char* what;  // "pods"
  const char* key;   // of K3s, that sets it
};
std::vector<ClusterNetwork> ClusterNetworks(const v1::K3s& k3s);

bool Overlap(const format::Cidr& a, const format::Cidr& b);
std::string Text(const format::Cidr& cidr);

}  // namespace basalt::validate
