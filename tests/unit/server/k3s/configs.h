// Machine configs for tests of the K3s controller.
#pragma once

#include <string>

#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/schema/resolve.h"
#include "server/k3s/render.h"

namespace basalt::testing {

inline v1::MachineConfig ServerConfig() {
  v1::MachineConfig config;
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("n1");
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.set_role(v1::K3S_ROLE_SERVER);
  k3s.set_version("v1.30.4+k3s1");
  k3s.mutable_artifacts()->mutable_amd64()->add_urls("https://example.org/k3s");
  k3s.mutable_artifacts()->mutable_amd64()->set_sha256(std::string(64, 'a'));
  k3s.mutable_token()->set_plain("server-token-0123456789");
  k3s.mutable_agent_token()->set_plain("agent-token-0123456789");
  return schema::Resolve(config);
}

inline v1::MachineConfig AgentConfig() {
  v1::MachineConfig config = ServerConfig();
  config.mutable_k3s()->set_role(v1::K3S_ROLE_AGENT);
  config.mutable_k3s()->clear_token();
  config.mutable_k3s()->mutable_cluster()->set_server("https://10.0.0.1:6443");
  return config;
}

inline k3s::NodeFacts Facts() {
  return {.root = "/n", .architecture = "amd64", .address = "127.0.0.5", .confined = true};
}

}  // namespace basalt::testing
