// What the double was told: config.yaml and the environment, read as K3s v1.21 reads them. An
// unknown key, malformed YAML or a missing file ends the process with status 1 and K3s's own words,
// because that is what the controller has to recognise.
#pragma once

#include <string>
#include <vector>

namespace basalt::k3s_double {

struct Settings {
  bool server = true;
  std::string config_file;
  std::string data_dir = "/var/lib/rancher/k3s";
  std::string node_name;
  std::string node_ip;       // "" when not given
  std::string bind_address;  // "" = 0.0.0.0
  int https_port = 6443;
  int lb_port = 6444;
  std::string token;  // "" when none
  std::string agent_token;
  std::string server_url;
  std::string write_kubeconfig;
  std::string resolv_conf;
  std::vector<std::string> tls_sans;
  std::vector<std::string> node_labels;
  std::vector<std::string> node_taints;
  bool cluster_init = false;
  bool cluster_reset = false;
  bool disable_agent = false;

  // Where the ports that K3s keeps to itself are opened: the node's own loopback address when nodes
  // share a machine, else 127.0.0.1.
  std::string LocalAddress() const;
  // K3s's /etc/rancher/node/password, beside the configuration.
  std::string NodePasswordFile() const;
};

// Misbehaviour on demand, from BASALT_DOUBLE_* in the environment; see README.md.
struct Faults {
  bool exit_at_once = false;
  bool never_ready = false;  // /readyz stays 500, no READY=1
  bool hang = false;         // accepts connections and answers nothing
  bool ignore_sigterm = false;
  bool node_not_ready = false;  // everything answers, the Node object stays NotReady
  int startup_ms = 200;         // of 503 before the handlers are there
  int retry_ms = 2000;          // between attempts to join
};

Faults ReadFaults();
// `args` after the role word. Does not return on an error that is fatal for K3s.
Settings ReadSettings(bool server, const std::vector<std::string>& args);

}  // namespace basalt::k3s_double
