// Machine config → what K3s is given: one config.yaml, registries.yaml, secret files, environment.
// Pure: the same config on the same node gives the same bytes, and the same tag.
//
// One file without drop-ins and no flags but the role word, because K3s's merge rules differ
// between releases; secrets by file or environment, never argv. Keys are sorted and strings quoted,
// so that no value can turn into another type.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/base/digest.h"

namespace basalt::k3s {

// PATH of K3s.
inline constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// Where things are on this node, relative to the root of its Vfs.
inline constexpr char kConfigPath[] = "etc/rancher/k3s/config.yaml";
inline constexpr char kRegistriesPath[] = "etc/rancher/k3s/registries.yaml";
// K3s puts a link to it at /etc/rancher/k3s/k3s.yaml, which may be this node's etc/rancher: the
// file must not be there itself.
inline constexpr char kKubeconfigPath[] = "run/k3s.yaml";
inline constexpr char kCertificatesDir[] = "etc/rancher/k3s/certs";
inline constexpr char kNodePasswordPath[] = "etc/rancher/node/password";
inline constexpr char kTokenPath[] = "run/k3s-token";
inline constexpr char kAgentTokenPath[] = "run/k3s-agent-token";
inline constexpr char kDatastorePrefix[] = "run/k3s-datastore-";
inline constexpr char kDataDir[] = "data/k3s";
inline constexpr char kManifestsDir[] = "data/k3s/server/manifests";
inline constexpr char kImagesDir[] = "data/k3s/agent/images";
// Files of ours among K3s's own.
inline constexpr char kOwnPrefix[] = "noded-";

struct NodeFacts {
  std::string root;                    // absolute
  std::string architecture;            // "amd64"
  std::string address;                 // platform.k3s_address()
  bool confined = false;               // platform.k3s_confined()
  std::vector<std::string> addresses;  // of the machine, for k3s.node.ipSubnet
  bool hardened_kernel = false;        // platform.hardened_kernel()
  std::string resolv_conf;             // the one that pods can use; "" when there is none
};

struct RenderedFile {
  std::string path;  // relative to the root
  std::string content;
  bool volatile_file = true;  // made anew at each start: no fsync
  bool operator==(const RenderedFile&) const = default;
};

struct Rendered {
  std::string config_yaml;
  std::vector<RenderedFile> files;            // config.yaml among them; mode 0600
  std::vector<RenderedFile> manifests;        // below kManifestsDir; servers only
  std::map<std::string, std::string> images;  // file name below kImagesDir → sha256
  std::vector<std::string> argv;
  std::vector<std::string> env;  // sorted
  // sha256 over everything that only a restart brings into effect. Labels, manifests, health and
  // overrides are not in it.
  std::string tag;
  std::string config_digest;  // hex, of config.yaml
};

// The artifact for this machine. FailedPrecondition "artifact-missing".
absl::StatusOr<const v1::Artifact*> ForArchitecture(const v1::K3sArtifacts& artifacts,
                                                    const std::string& architecture,
                                                    const std::string& what);

// `to` is resolved, has a k3s section and its secrets are opened. FailedPrecondition
// "artifact-missing", "no-node-ip".
absl::StatusOr<Rendered> Render(const v1::MachineConfig& to, const NodeFacts& facts);

// Ports that K3s will open, from the config's own keys or the defaults.
struct Ports {
  int https = 6443;
  int load_balancer = 6444;
};
Ports PortsOf(const v1::K3s& k3s);

// Can a pod use this resolv.conf? It has name servers, and all are reachable from elsewhere: K3s
// gives pods 8.8.8.8 else.
bool IsForPods(const std::string& resolv_conf);
bool IsServer(const v1::K3s& k3s);
// Is the datastore embedded etcd?
bool UsesEtcd(const v1::K3s& k3s);
// "v1.30.4+k3s1" → 30; 0 when it is no K3s version.
int MinorVersion(const std::string& version);
// "10.42.0.7" in "10.42.0.0/16"; IPv4 and IPv6.
bool InSubnet(const std::string& address, const std::string& cidr);

}  // namespace basalt::k3s
