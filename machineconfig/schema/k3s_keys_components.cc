#include "machineconfig/schema/k3s_key_groups.h"

namespace basalt::schema {
namespace {

constexpr K3sValue kPackaged[] = {
    {.name = "coredns", .means = "name server of the cluster"},
    {.name = "servicelb", .means = "load balancer on the nodes; the same on all servers"},
    {.name = "traefik", .means = "ingress controller"},
    {.name = "local-storage", .means = "volumes in a directory of the node"},
    {.name = "metrics-server", .means = "`kubectl top` and autoscaling"},
    {.name = "runtimes", .means = "RuntimeClasses"},
    {.name = "ccm", .means = "roles of the cloud controller"},
    {.name = "rolebindings", .means = "roles that K3s needs"},
};

constexpr K3sKey Arguments(absl::string_view name, absl::string_view says,
                           K3sKeyRole role = K3sKeyRole::kServer) {
  return {.name = name,
          .says = says,
          .type = K3sKeyType::kList,
          .role = role,
          .format = K3sKeyFormat::kArgument};
}

constexpr K3sKey Switch(absl::string_view name, absl::string_view says) {
  return {.name = name, .says = says, .type = K3sKeyType::kBool, .default_value = "false"};
}

constexpr K3sKey SameEverywhere(K3sKey key) {
  key.cluster_scoped = true;
  return key;
}

constexpr K3sKey kKeys[] = {
    // What K3s deploys.
    {.name = "disable",
     .says = "Packaged components that K3s does not deploy, and removes where it has.",
     .type = K3sKeyType::kList,
     .values = kPackaged,
     .open = true},
    {.name = "no-deploy",
     .says = "Old name of `disable`, without the removal.",
     .type = K3sKeyType::kList,
     .until = 24,
     .instead = "disable",
     .values = kPackaged,
     .open = true},
    {.name = "helm-job-image",
     .says = "Image of the jobs that install Helm charts.",
     .since = 27,
     .format = K3sKeyFormat::kImage},
    {.name = "helm-controller-arg",
     .says = "More flags for the Helm controller.",
     .type = K3sKeyType::kList,
     .since = 33,
     .ports = "33.13 34.10 35.7 36.3",
     .format = K3sKeyFormat::kArgument},
    {.name = "default-local-storage-path",
     .says = "Where local-storage keeps volumes; default: storage below K3s's data.",
     .format = K3sKeyFormat::kPath},
    {.name = "system-default-registry",
     .says = "Registry that K3s's own images come from.",
     .format = K3sKeyFormat::kRegistry},
    {.name = "embedded-registry",
     .says = "Nodes give images to each other (Spegel); wants TCP port 5001 between nodes and the "
             "registries under k3s.registries.mirrors.",
     .type = K3sKeyType::kBool,
     .since = 26,
     .ports = "26.13 27.10 28.6 29.1",
     .default_value = "false",
     .cluster_scoped = true},

    // What a server starts.
    Switch("disable-scheduler", "Start no scheduler here."),
    SameEverywhere(Switch("disable-cloud-controller", "Start no cloud controller of K3s's own.")),
    {.name = "disable-helm-controller",
     .says = "Install no HelmChart objects.",
     .type = K3sKeyType::kBool,
     .since = 22,
     .default_value = "false",
     .cluster_scoped = true},
    SameEverywhere(Switch("disable-network-policy", "Enforce no NetworkPolicy; a CNI may do it.")),
    Switch("disable-kube-proxy", "Start no kube-proxy; a CNI may stand in for it."),
    Switch("disable-apiserver",
           "Start no apiserver here: for servers that run etcd alone, with "
           "disable-controller-manager and disable-scheduler."),
    Switch("disable-controller-manager", "Start no controller manager here."),
    Switch("disable-etcd",
           "Run no etcd here: for a control plane whose etcd runs on the servers that it joins."),
    {.name = "disable-agent",
     .type = K3sKeyType::kBool,
     .owner = K3sKeyOwner::kRefused,
     .note = "noded waits for the Node object of every node"},
    {.name = "supervisor-metrics",
     .says = "Serve metrics of K3s itself on its port.",
     .type = K3sKeyType::kBool,
     .since = 27,
     .ports = "27.15 28.11 29.6 30.2",
     .default_value = "false",
     .cluster_scoped = true},
    {.name = "enable-pprof",
     .says = "Serve profiles of K3s itself on its port.",
     .type = K3sKeyType::kBool,
     .role = K3sKeyRole::kBoth,
     .since = 26,
     .agent_since = 27,
     .default_value = "false"},

    // With which flags.
    Arguments("kube-apiserver-arg", "More flags for the apiserver."),
    Arguments("kube-controller-manager-arg", "More flags for the controller manager."),
    Arguments("kube-cloud-controller-manager-arg", "More flags for the cloud controller."),
    Arguments("kube-scheduler-arg", "More flags for the scheduler."),
    Arguments("kubelet-arg", "More flags for the kubelet; k3s.kubelet has those in daily use.",
              K3sKeyRole::kBoth),
    Arguments("kube-proxy-arg", "More flags for kube-proxy.", K3sKeyRole::kBoth),
    {.name = "kube-controller-arg",
     .type = K3sKeyType::kList,
     .owner = K3sKeyOwner::kRefused,
     .note = "it is an old name of `kube-controller-manager-arg`"},
    {.name = "kube-cloud-controller-arg",
     .type = K3sKeyType::kList,
     .owner = K3sKeyOwner::kRefused,
     .note = "it is an old name of `kube-cloud-controller-manager-arg`"},
};

}  // namespace

absl::Span<const K3sKey> K3sComponentKeys() { return kKeys; }

}  // namespace basalt::schema
