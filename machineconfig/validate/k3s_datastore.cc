// Where a server keeps the cluster's state: SQLite, embedded etcd with its snapshots, or elsewhere.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/validate/k3s_rules.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::validate {
namespace {

// Kine and etcd: what K3s connects to. The value is never repeated, it holds a password.
void CheckEndpoint(const v1::Secret& secret, Report& report) {
  const char* const path = "k3s.datastore.endpoint";
  const std::string& endpoint = secret.plain();
  if (endpoint.empty() || endpoint == yaml::kRedacted) return;
  if (absl::StartsWith(endpoint, "mysql://")) {
    // The driver takes what stands behind the @ for a protocol: tcp(HOST:PORT) or unix(PATH).
    const absl::string_view rest = absl::string_view(endpoint).substr(8);
    const size_t at = rest.rfind('@');
    const absl::string_view where = at == absl::string_view::npos ? rest : rest.substr(at + 1);
    if (at != absl::string_view::npos && !absl::StartsWith(where, "tcp(") &&
        !absl::StartsWith(where, "unix(") && !absl::StartsWith(where, "/")) {
      report.Error(path, "bad-format", "MySQL wants the host in tcp(...)",
                   "write mysql://USER:PASSWORD@tcp(HOST:3306)/k3s");
    }
    return;
  }
  for (absl::string_view scheme : {"postgres://", "postgresql://", "nats://"}) {
    if (absl::StartsWith(endpoint, scheme)) return;
  }
  if (absl::StartsWith(endpoint, "http://") || absl::StartsWith(endpoint, "https://")) {
    // Members of an etcd cluster, with commas between.
    for (absl::string_view member : absl::StrSplit(endpoint, ',')) {
      if (!absl::StartsWith(member, "http://") && !absl::StartsWith(member, "https://")) {
        return report.Error(path, "bad-format", "each member of etcd has its own https://",
                            "write https://HOST1:2379,https://HOST2:2379");
      }
    }
    if (absl::StartsWith(endpoint, "http://")) {
      report.Warning(path, "insecure",
                     "without TLS whoever is on the way reads and changes all of the cluster",
                     "write https:// and k3s.datastore.ca");
    }
    return;
  }
  report.Error(path, "bad-format",
               "must begin with postgres://, mysql://, nats:// or https:// (etcd)",
               "for example postgres://USER:PASSWORD@HOST:5432/k3s or "
               "mysql://USER:PASSWORD@tcp(HOST:3306)/k3s");
}

// Their content is a secret, so it is looked at no further than its first line.
void CheckPem(const v1::Secret& secret, absl::string_view label, absl::string_view path,
              Report& report) {
  if (!secret.has_plain() || secret.plain().empty() || secret.plain() == yaml::kRedacted) return;
  if (absl::StrContains(secret.plain(), absl::StrCat(label, "-----\n"))) return;
  report.Error(path, "bad-format",
               absl::StrCat("holds no PEM block that begins with -----BEGIN ... ", label, "-----"),
               "write the content of the file, indented behind `|`, not its name");
}

// Keys of K3s that only embedded etcd obeys: elsewhere they do nothing.
void CheckEtcdKeys(const K3sFacts& facts, Report& report) {
  const char* const runs = facts.k3s.has_datastore() ? "uses an external datastore" : "runs SQLite";
  for (absl::string_view key :
       {"etcd-arg", "etcd-expose-metrics", "etcd-snapshot-name", "etcd-snapshot-dir",
        "etcd-snapshot-compress", "etcd-snapshot-reconcile-interval", "etcd-s3-bucket-lookup-type",
        "etcd-s3-proxy", "etcd-s3-timeout", "disable-etcd"}) {
    if (facts.Has(key)) {
      report.Error(
          ConfigPath(key), "conflict", absl::StrCat("is of embedded etcd, and this server ", runs),
          facts.k3s.has_datastore() ? "remove it"
                                    : "remove it, or set k3s.cluster.init or k3s.cluster.server");
    }
  }
}

// Servers that run a part of the control plane.
void CheckSplitRoles(const K3sFacts& facts, Report& report) {
  if (facts.On("disable-etcd") && facts.etcd && !facts.k3s.cluster().has_server()) {
    report.Error(ConfigPath("disable-etcd"), "conflict",
                 "the first server of a cluster has to run etcd",
                 "start the servers with etcd first, and name one as k3s.cluster.server");
  }
  if (!facts.On("disable-apiserver")) return;
  const std::string path = ConfigPath("disable-apiserver");
  if (facts.On("disable-etcd")) {
    report.Error(path, "conflict", "with neither etcd nor apiserver nothing of a server is left",
                 "make it an agent");
  } else if (!facts.etcd) {
    report.Error(path, "conflict", "a server without apiserver has a meaning beside embedded etcd",
                 "set k3s.cluster.init or k3s.cluster.server, or remove it");
  }
  for (absl::string_view other : {"disable-controller-manager", "disable-scheduler"}) {
    if (facts.On(other)) continue;
    report.Warning(path, "likely-mistake",
                   absl::StrCat("a server for etcd alone has `", other, ": true` as well"),
                   absl::StrCat("add ", other, ": true"));
  }
}

void CheckS3(const K3sFacts& facts, const v1::K3sS3& s3, Report& report) {
  const std::string path = "k3s.snapshots.s3";
  const bool keys = Present(s3.access_key()) || Present(s3.secret_key());
  if (s3.has_config_secret()) {
    const bool more = s3.has_endpoint() || s3.has_bucket() || s3.has_folder() || s3.has_region() ||
                      keys || s3.has_ca() || s3.has_retention();
    if (more) {
      report.Error(absl::StrCat(path, ".configSecret"), "conflict",
                   "K3s reads the Secret only when nothing else is said of S3",
                   "keep configSecret alone, or remove it");
    }
    return;
  }
  if (!s3.has_bucket()) {
    report.Error(absl::StrCat(path, ".bucket"), "required", "snapshots need a bucket",
                 "for example bucket: k3s-snapshots");
  }
  if (Present(s3.access_key()) != Present(s3.secret_key())) {
    report.Error(absl::StrCat(path, Present(s3.access_key()) ? ".secretKey" : ".accessKey"),
                 "required", "access key and secret key go together");
  } else if (Present(s3.session_token()) && !keys) {
    report.Error(absl::StrCat(path, ".sessionToken"), "conflict",
                 "belongs to an access key and a secret key", "write these too");
  }
  if (s3.plain_http()) {
    report.Warning(absl::StrCat(path, ".plainHttp"), "insecure",
                   "snapshots hold every Secret of the cluster and go without TLS");
    if (s3.has_ca() || s3.insecure_skip_verify()) {
      report.Error(absl::StrCat(path, s3.has_ca() ? ".ca" : ".insecureSkipVerify"), "conflict",
                   "without TLS there is no certificate to check", "keep one of the two");
    }
  } else if (s3.insecure_skip_verify()) {
    report.Warning(absl::StrCat(path, ".insecureSkipVerify"), "insecure",
                   "whoever stands in for the store gets every Secret of the cluster",
                   "write its authority as `ca`");
  }
  if (!s3.has_folder()) {
    report.Warning(absl::StrCat(path, ".folder"), "likely-mistake",
                   "without a folder clusters that share a bucket prune each other's snapshots",
                   absl::StrCat("for example folder: ", facts.config.metadata().cluster()));
  }
}

}  // namespace

void CheckK3sDatastore(const K3sFacts& facts, Report& report) {
  const v1::K3sDatastore& datastore = facts.k3s.datastore();
  if (facts.k3s.has_datastore()) {
    CheckEndpoint(datastore.endpoint(), report);
    CheckPem(datastore.ca(), "CERTIFICATE", "k3s.datastore.ca", report);
    CheckPem(datastore.certificate(), "CERTIFICATE", "k3s.datastore.certificate", report);
    CheckPem(datastore.key(), "PRIVATE KEY", "k3s.datastore.key", report);
    if (Present(datastore.certificate()) != Present(datastore.key())) {
      report.Error(
          Present(datastore.certificate()) ? "k3s.datastore.key" : "k3s.datastore.certificate",
          "required", "a client certificate needs its key, and the key its certificate");
    }
  }
  if (!facts.server) return;
  const v1::K3sCluster& cluster = facts.k3s.cluster();
  if (facts.k3s.has_datastore() && (cluster.init() || cluster.has_server())) {
    report.Error("k3s.datastore", "conflict",
                 "an external datastore excludes embedded etcd (cluster.init, cluster.server)",
                 "servers with the same datastore and token find each other");
  } else if (!facts.etcd) {
    CheckEtcdKeys(facts, report);
  }
  CheckSplitRoles(facts, report);
  if (facts.etcd && facts.On("etcd-expose-metrics")) {
    report.Warning(ConfigPath("etcd-expose-metrics"), "insecure",
                   "whoever reaches port 2381 of the node reads etcd's metrics",
                   "close the port to all but the collector");
  }
  if (facts.Has("kine-tls") && facts.etcd) {
    report.Warning(ConfigPath("kine-tls"), "ignored", "embedded etcd needs no kine", "remove it");
  }
}

void CheckK3sSnapshots(const K3sFacts& facts, Report& report) {
  if (!facts.k3s.has_snapshots() || !facts.server) return;
  const v1::K3sSnapshots& snapshots = facts.k3s.snapshots();
  if (!facts.etcd && !facts.k3s.has_datastore()) {
    report.Error("k3s.snapshots", "conflict",
                 "snapshots are of embedded etcd, which this server does not run",
                 "set k3s.cluster.init or k3s.cluster.server, or remove the section");
    return;
  }
  if (facts.k3s.has_datastore()) {
    const v1::K3sCluster& cluster = facts.k3s.cluster();
    if (cluster.init() || cluster.has_server()) return;  // said of the datastore
    report.Error("k3s.snapshots", "conflict",
                 "snapshots are of embedded etcd; back an external datastore up by its own means",
                 "remove the section");
    return;
  }
  if (snapshots.has_enabled() && !snapshots.enabled() &&
      (snapshots.has_schedule() || snapshots.has_s3())) {
    report.Warning("k3s.snapshots.enabled", "likely-mistake",
                   "no snapshots are taken, though the section says when or where to",
                   "remove `enabled: false`, or the rest");
  }
  if (snapshots.has_s3()) CheckS3(facts, snapshots.s3(), report);
}

}  // namespace basalt::validate
