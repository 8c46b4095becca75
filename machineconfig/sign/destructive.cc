// Changes that lose something, and the words in metadata.allow that consent to them.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/diff/k3s_fixed.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/sign/policy.h"

namespace basalt::sign {
namespace {

// "v1.30.4+k3s1" → {1, 30, 4}. The part behind "+" is a rebuild of the same Kubernetes.
std::array<int64_t, 3> ParseVersion(absl::string_view text) {
  std::array<int64_t, 3> out{};
  text = text.substr(0, std::min(text.find('+'), text.size()));
  if (absl::StartsWith(text, "v")) text.remove_prefix(1);
  std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  for (size_t i = 0; i < out.size() && i < parts.size(); ++i) {
    if (!absl::SimpleAtoi(parts[i].substr(0, parts[i].find('-')), &out[i])) out[i] = 0;
  }
  return out;
}

enum class Datastore { kNone, kSqlite, kEtcd, kExternal };

Datastore DatastoreOf(const v1::K3s& k3s) {
  if (k3s.role() != v1::K3S_ROLE_SERVER) return Datastore::kNone;
  if (k3s.has_datastore()) return Datastore::kExternal;
  return k3s.cluster().init() || !k3s.cluster().server().empty() ? Datastore::kEtcd
                                                                 : Datastore::kSqlite;
}

absl::string_view Name(Datastore datastore) {
  switch (datastore) {
    case Datastore::kSqlite:
      return "SQLite";
    case Datastore::kEtcd:
      return "embedded etcd";
    case Datastore::kExternal:
      return "an external datastore";
    case Datastore::kNone:
      break;
  }
  return "none";
}

// Where an external datastore is, without its user and password: those rotate in place. A sealed
// endpoint is compared as it stands.
std::string Location(const v1::Secret& endpoint) {
  if (!endpoint.has_plain()) return endpoint.sealed();
  const std::string& url = endpoint.plain();
  size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  size_t host = scheme + 3;
  size_t at = url.rfind('@', url.find_first_of("?#", host));
  return at == std::string::npos || at < host ? url : url.substr(0, host) + url.substr(at + 1);
}

struct Finding {
  std::string allow;  // the word that would consent
  std::string what;
};

// What of a volume its data lies in: with another one it is made anew, and empty. Compared as it is
// written: whether another selector finds the same disk only the node could tell.
std::string Substance(const v1::Volume& volume) {
  const bool xfs = volume.filesystem() == v1::FILESYSTEM_XFS;
  return absl::StrCat(volume.disk().SerializeAsString(), "/", xfs, "/", volume.encryption().key());
}

void FindVolumes(const v1::Storage& from, const v1::Storage& to, std::vector<Finding>& out) {
  for (const v1::Volume& old_volume : from.volumes()) {
    const auto& volumes = to.volumes();
    const auto it = std::find_if(volumes.begin(), volumes.end(), [&](const v1::Volume& volume) {
      return volume.name() == old_volume.name();
    });
    const std::string path = schema::Element("storage.volumes", old_volume.name());
    if (it == volumes.end()) {
      out.push_back({.allow = "wipeVolume",
                     .what = absl::StrCat(path, ": the volume is removed with all that it holds")});
    } else if (Substance(*it) != Substance(old_volume)) {
      out.push_back({.allow = "wipeVolume",
                     .what = absl::StrCat(path,
                                          ": with another disk, file system or key it is made "
                                          "anew, and empty")});
    }
  }
}

void FindOfK3s(const v1::K3s& old_k3s, const v1::K3s& new_k3s, std::vector<Finding>& out) {
  auto role = [](const v1::K3s& k) { return k.role() == v1::K3S_ROLE_SERVER ? "server" : "agent"; };
  if (old_k3s.role() != new_k3s.role()) {
    out.push_back({.allow = "roleChange",
                   .what = absl::StrCat("k3s.role: from ", role(old_k3s), " to ", role(new_k3s))});
  }
  const Datastore old_store = DatastoreOf(old_k3s);
  const Datastore new_store = DatastoreOf(new_k3s);
  const bool both = old_store != Datastore::kNone && new_store != Datastore::kNone;
  if (both && old_store != new_store) {
    out.push_back({.allow = "datastoreChange",
                   .what = absl::StrCat("k3s.datastore: from ", Name(old_store), " to ",
                                        Name(new_store), ", whose content differs")});
  } else if (both && old_store == Datastore::kExternal &&
             Location(old_k3s.datastore().endpoint()) != Location(new_k3s.datastore().endpoint())) {
    out.push_back({.allow = "datastoreChange",
                   .what = "k3s.datastore.endpoint: another datastore, whose content differs"});
  }
  if (ParseVersion(new_k3s.version()) < ParseVersion(old_k3s.version())) {
    out.push_back(
        {.allow = "downgrade",
         .what = absl::StrCat("k3s.version: from ", old_k3s.version(), " down to ",
                              new_k3s.version(), "; Kubernetes does not read newer data back")});
  }
}

std::vector<Finding> FindDestructive(const v1::MachineConfig& from, const v1::MachineConfig& to) {
  std::vector<Finding> out;
  if (from.has_k3s() && to.has_k3s()) {
    FindOfK3s(from.k3s(), to.k3s(), out);
  } else if (from.has_k3s()) {
    out.push_back({.allow = "removeK3s", .what = "k3s: K3s is removed with all that it runs here"});
  }
  FindVolumes(from.storage(), to.storage(), out);
  return out;
}

bool Allows(const v1::MachineConfig& config, const Finding& finding) {
  const auto& allow = config.metadata().allow();
  return std::find(allow.begin(), allow.end(), finding.allow) != allow.end();
}

std::vector<std::string> FindReinstall(const std::vector<diff::Change>& changes,
                                       const v1::MachineConfig& from, const v1::MachineConfig& to) {
  std::vector<std::string> out;
  for (const diff::Change& change : changes) {
    // The datastore has a word of its own in metadata.allow.
    if (change.effect == v1::EFFECT_REINSTALL && !absl::StartsWith(change.path, "k3s.datastore") &&
        !absl::StartsWith(change.path, "k3s.config")) {
      out.push_back(change.path);
    }
  }
  // Looked at anew: a changed service-cidr moves a cluster-dns that is not written anywhere.
  if (from.k3s().role() == v1::K3S_ROLE_SERVER && to.k3s().role() == v1::K3S_ROLE_SERVER) {
    for (const schema::K3sKey& key : schema::K3sKeys()) {
      const std::string name(key.name);
      if (diff::ChangesFixedValue(from.k3s(), to.k3s(), key) &&
          (from.k3s().config().contains(name) || to.k3s().config().contains(name))) {
        out.push_back(absl::StrCat("k3s.config[", name, "]"));
      }
    }
  }
  return out;
}

}  // namespace

bool UsesConsent(const v1::MachineConfig& from, const v1::MachineConfig& to) {
  const std::vector<Finding> findings = FindDestructive(from, to);
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return Allows(to, finding); });
}

absl::Status CheckDestructive(const std::vector<diff::Change>& changes,
                              const v1::MachineConfig* from, const v1::MachineConfig& to) {
  if (from == nullptr) return absl::OkStatus();
  const std::vector<std::string> reinstall = FindReinstall(changes, *from, to);
  if (!reinstall.empty()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "needs-reinstall",
                      absl::StrCat(absl::StrJoin(reinstall, ", "),
                                   ": cannot be changed on a node that is installed"),
                      "keep the value, or reset the node and apply the config as its first");
  }
  std::vector<std::string> words, whats;
  for (const Finding& finding : FindDestructive(*from, to)) {
    if (Allows(to, finding)) continue;
    if (std::find(words.begin(), words.end(), finding.allow) == words.end()) {
      words.push_back(finding.allow);
    }
    whats.push_back(finding.what);
  }
  if (words.empty()) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kFailedPrecondition, "needs-allow",
                    absl::StrJoin(whats, "; "),
                    absl::StrCat("if that is meant, sign it with metadata.allow: [",
                                 absl::StrJoin(words, ", "), "]"));
}

}  // namespace basalt::sign
