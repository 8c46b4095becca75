// Flags of Kubernetes's components and files for them that typed fields ask for: k3s.kubelet and
// k3s.hardening. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "server/k3s/render.h"

namespace basalt::k3s {

inline constexpr char kAdmissionPath[] = "etc/rancher/k3s/hardening/admission.yaml";
inline constexpr char kAuditPolicyPath[] = "etc/rancher/k3s/hardening/audit-policy.yaml";
inline constexpr char kAuditLogPath[] = "data/k3s/server/logs/audit.log";

// By K3s's key ("kubelet-arg"): NAME=VALUE in the order in which they are given. Those of the owner
// (k3s.config) come last: of the same flag the last one counts.
std::map<std::string, std::vector<std::string>> ComponentArgs(const v1::K3s& k3s,
                                                              const std::string& root);

// What the apiserver reads because of k3s.hardening; none on agents.
std::vector<RenderedFile> HardeningFiles(const v1::K3s& k3s);

}  // namespace basalt::k3s
