#include "machineconfig/schema/k3s_key_groups.h"

namespace basalt::schema {
namespace {

constexpr K3sValue kEncryptionProviders[] = {
    {.name = "aescbc", .means = "AES in CBC mode"},
    {.name = "secretbox", .means = "XSalsa20 and Poly1305; the stronger one"},
};

constexpr K3sValue kBucketLookups[] = {
    {.name = "auto", .means = "by the endpoint"},
    {.name = "dns", .means = "the bucket is part of the host name"},
    {.name = "path", .means = "the bucket is part of the path, as MinIO wants it"},
};

// A key that noded sets from a typed field needs no more than what the field says.
constexpr K3sKey Typed(absl::string_view name, absl::string_view field,
                       K3sKeyType type = K3sKeyType::kString,
                       K3sKeyRole role = K3sKeyRole::kServer) {
  return {.name = name, .type = type, .role = role, .owner = K3sKeyOwner::kTyped, .note = field};
}

constexpr K3sKey Secret(K3sKey key) {
  key.secret = true;
  return key;
}

constexpr K3sKey SameEverywhere(K3sKey key) {
  key.cluster_scoped = true;
  return key;
}

constexpr K3sKey Since(int since, absl::string_view ports, K3sKey key) {
  key.since = since;
  key.ports = ports;
  return key;
}

constexpr K3sKey kKeys[] = {
    // Joining.
    Secret(Typed("token", "k3s.token", K3sKeyType::kString, K3sKeyRole::kBoth)),
    Typed("token-file", "k3s.token", K3sKeyType::kString, K3sKeyRole::kBoth),
    SameEverywhere(Secret(Typed("agent-token", "k3s.agentToken"))),
    Typed("agent-token-file", "k3s.agentToken"),
    Typed("server", "k3s.cluster.server", K3sKeyType::kString, K3sKeyRole::kBoth),
    Typed("cluster-init", "k3s.cluster.init", K3sKeyType::kBool),
    {.name = "cluster-secret",
     .role = K3sKeyRole::kBoth,
     .until = 24,
     .owner = K3sKeyOwner::kTyped,
     .note = "k3s.token",
     .secret = true},
    {.name = "cluster-reset",
     .type = K3sKeyType::kBool,
     .owner = K3sKeyOwner::kRefused,
     .note = "it is a signed action: `clusterReset`"},
    {.name = "cluster-reset-restore-path",
     .owner = K3sKeyOwner::kRefused,
     .note = "it is a signed action: `datastoreRestore`"},

    // Datastore.
    Secret(Typed("datastore-endpoint", "k3s.datastore.endpoint")),
    Typed("datastore-cafile", "k3s.datastore.ca"),
    Typed("datastore-certfile", "k3s.datastore.certificate"),
    Typed("datastore-keyfile", "k3s.datastore.key"),
    {.name = "kine-tls",
     .says = "TLS between the apiserver and kine, K3s's translator to SQL, on this node.",
     .type = K3sKeyType::kBool,
     .since = 27,
     .ports = "27.13 28.9 29.4",
     .default_value = "false"},

    // Embedded etcd and its snapshots.
    {.name = "etcd-arg",
     .says = "More flags for the embedded etcd.",
     .type = K3sKeyType::kList,
     .since = 21,
     .ports = "21.7 22.4",
     .format = K3sKeyFormat::kArgument},
    {.name = "etcd-expose-metrics",
     .says = "Serve etcd's metrics on the node's address, on port 2381, and not on loopback alone.",
     .type = K3sKeyType::kBool,
     .default_value = "false"},
    Typed("etcd-disable-snapshots", "k3s.snapshots.enabled", K3sKeyType::kBool),
    Typed("etcd-snapshot-schedule-cron", "k3s.snapshots.schedule"),
    Typed("etcd-snapshot-retention", "k3s.snapshots.retention", K3sKeyType::kInt),
    {.name = "etcd-snapshot-name",
     .says = "Beginning of the names of snapshots; the node and the time follow.",
     .format = K3sKeyFormat::kFileName,
     .default_value = "etcd-snapshot"},
    {.name = "etcd-snapshot-dir",
     .says = "Where snapshots are kept; default: server/db/snapshots below K3s's data.",
     .format = K3sKeyFormat::kPath},
    {.name = "etcd-snapshot-compress",
     .says = "Compress snapshots.",
     .type = K3sKeyType::kBool,
     .since = 22,
     .default_value = "false"},
    {.name = "etcd-snapshot-reconcile-interval",
     .says = "How often the list of snapshots in Kubernetes is compared with the files.",
     .since = 29,
     .ports = "29.15 30.11 31.7 32.3",
     .format = K3sKeyFormat::kDuration,
     .default_value = "10m"},

    // Snapshots to S3. Credentials go through the environment, not through config.yaml.
    Typed("etcd-s3", "k3s.snapshots.s3", K3sKeyType::kBool),
    Typed("etcd-s3-endpoint", "k3s.snapshots.s3.endpoint"),
    Typed("etcd-s3-endpoint-ca", "k3s.snapshots.s3.ca"),
    Typed("etcd-s3-skip-ssl-verify", "k3s.snapshots.s3.insecureSkipVerify", K3sKeyType::kBool),
    Since(22, "", Typed("etcd-s3-insecure", "k3s.snapshots.s3.plainHttp", K3sKeyType::kBool)),
    Secret(Typed("etcd-s3-access-key", "k3s.snapshots.s3.accessKey")),
    Secret(Typed("etcd-s3-secret-key", "k3s.snapshots.s3.secretKey")),
    Since(29, "", Secret(Typed("etcd-s3-session-token", "k3s.snapshots.s3.sessionToken"))),
    Typed("etcd-s3-bucket", "k3s.snapshots.s3.bucket"),
    Typed("etcd-s3-region", "k3s.snapshots.s3.region"),
    Typed("etcd-s3-folder", "k3s.snapshots.s3.folder"),
    Since(31, "31.12 32.8 33.4",
          Typed("etcd-s3-retention", "k3s.snapshots.s3.retention", K3sKeyType::kInt)),
    Since(28, "28.12 29.7 30.3", Typed("etcd-s3-config-secret", "k3s.snapshots.s3.configSecret")),
    {.name = "etcd-s3-bucket-lookup-type",
     .says = "How the bucket is named in requests.",
     .since = 31,
     .ports = "31.9 32.5 33.1",
     .values = kBucketLookups,
     .default_value = "auto"},
    {.name = "etcd-s3-proxy",
     .says = "Proxy for S3 alone, instead of that of the environment.",
     .since = 28,
     .ports = "28.12 29.7 30.3"},
    {.name = "etcd-s3-timeout",
     .says = "How long one request to S3 may take.",
     .ports = "21.6 22.3",
     .format = K3sKeyFormat::kDuration,
     .default_value = "5m0s"},

    // Encryption of Secrets in the datastore.
    {.name = "secrets-encryption",
     .says =
         "Encrypt Kubernetes Secrets in the datastore. Decided at the first start of a cluster.",
     .type = K3sKeyType::kBool,
     .default_value = "false",
     .cluster_scoped = true,
     .fixed = true},
    {.name = "secrets-encryption-provider",
     .says = "How Secrets are encrypted.",
     .since = 30,
     .ports = "30.12 31.8 32.4",
     .values = kEncryptionProviders,
     .default_value = "aescbc",
     .cluster_scoped = true,
     .fixed = true},
};

}  // namespace

absl::Span<const K3sKey> K3sClusterKeys() { return kKeys; }

}  // namespace basalt::schema
