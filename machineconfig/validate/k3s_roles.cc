// What a server and an agent need, and how they join.
#include <re2/re2.h>

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/validate/k3s_rules.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::validate {
namespace {

constexpr size_t kMinToken = 16;
constexpr char kGoodToken[] = "`nodectl init` makes good ones; or: openssl rand -hex 32";

// What K3s would take, but anybody could guess, or would break K3s's own token form.
void CheckToken(const v1::Secret& secret, const std::string& path, Report& report) {
  if (!secret.has_plain() || secret.plain().empty()) return;
  const std::string& token = secret.plain();
  if (token == yaml::kRedacted) return;  // reported with all other secrets
  if (absl::StartsWith(token, "${") || absl::StartsWith(token, "$(") ||
      absl::StartsWith(token, "{{") || (token.front() == '<' && token.back() == '>')) {
    return report.Error(path, "bad-token", "is a placeholder; nothing is filled in here",
                        "write the token itself");
  }
  if (token.back() == '\n') {
    return report.Error(path, "bad-token", "ends with a line end",
                        "write it in the line of its key, or with `|-` instead of `|`");
  }
  const bool printable = std::all_of(token.begin(), token.end(), absl::ascii_isgraph);
  if (!printable) {
    return report.Error(path, "bad-token", "must be printable ASCII without spaces or line ends",
                        kGoodToken);
  }
  if (absl::StartsWith(token, "K10") && absl::StrContains(token, "::")) {
    return report.Error(path, "bad-token",
                        "is a full K3s token; only its last part, the password, belongs here",
                        "put the CA hash into k3s.cluster.caHash");
  }
  const std::string lower = absl::AsciiStrToLower(token);
  for (absl::string_view word :
       {"changeme", "change-me", "secret", "password", "token", "k3s", "example", "default",
        "mysecret", "supersecret", "12345", "qwerty", "redacted"}) {
    // The word alone, or padded to length: "changemechangeme", "secret1234567890".
    if (absl::StartsWith(lower, word) && token.size() < word.size() + kMinToken) {
      return report.Error(path, "bad-token", "is a well-known or default value", kGoodToken);
    }
  }
  if (token.size() < kMinToken) {
    return report.Error(path, "bad-token",
                        absl::StrCat("must have at least ", kMinToken, " characters"), kGoodToken);
  }
  const absl::flat_hash_set<char> letters(token.begin(), token.end());
  if (letters.size() < 6) {
    report.Error(path, "bad-token", "repeats a few characters and is easy to guess", kGoodToken);
  }
}

void CheckServerUrl(const K3sFacts& facts, Report& report) {
  const v1::K3sCluster& cluster = facts.k3s.cluster();
  const auto url = format::ParseUrl(cluster.server());
  if (!url.ok() || url->scheme != "https") return;
  const char* const path = "k3s.cluster.server";
  if (!url->path.empty() && url->path != "/") {
    report.Error(path, "bad-format", "a server is HOST:PORT, without a path behind it",
                 absl::StrCat("write https://", url->host, ":", url->port == 0 ? 6443 : url->port));
  } else if (url->port == 0) {
    report.Warning(path, "no-port", "without a port this is port 443; K3s servers listen on 6443",
                   "add :6443, or :443 if that is meant");
  }
  const auto& ips = facts.k3s.node().ip();
  if (facts.server && (url->host == facts.config.metadata().name() ||
                       std::find(ips.begin(), ips.end(), url->host) != ips.end())) {
    report.Error(path, "conflict", "names this node itself, which cannot join itself",
                 "the first server has `cluster: {init: true}` instead; others name it");
  }
}

void CheckServer(const K3sFacts& facts, Report& report) {
  const v1::K3s& k3s = facts.k3s;
  if (!Present(k3s.token())) {
    report.Error("k3s.token", "required", "a server needs the server token",
                 "`nodectl init` makes one in secrets.yaml");
  }
  if (!Present(k3s.agent_token())) {
    report.Warning("k3s.agentToken", "shared-token",
                   "without an agent token agents join with the server token, and who has that can "
                   "add servers");
  }
  if (k3s.cluster().init() && k3s.cluster().has_server()) {
    report.Error("k3s.cluster.init", "conflict",
                 "`init` starts a new cluster and `server` joins one", "keep one of the two");
  }
  if (k3s.cluster().has_ca_hash() && !k3s.cluster().has_server()) {
    report.Warning("k3s.cluster.caHash", "ignored",
                   "has a meaning where a node joins: this one makes the CA itself", "remove it");
  }
}

void CheckAgent(const K3sFacts& facts, Report& report) {
  const v1::K3s& k3s = facts.k3s;
  if (!k3s.cluster().has_server()) {
    report.Error("k3s.cluster.server", "required", "an agent needs the server to join",
                 "for example https://pi-server-0:6443");
  }
  if (!Present(k3s.agent_token()) && !Present(k3s.token())) {
    report.Error("k3s.agentToken", "required", "an agent needs a token to join with",
                 "the agent token of the cluster, from secrets.yaml");
  } else if (Present(k3s.token())) {
    report.Warning("k3s.token", "server-token-on-agent",
                   "an agent does not need the server token; who steals it can add servers",
                   "use k3s.agentToken alone");
  }
  // `k3s token create` makes them: six characters, a dot, sixteen.
  static const RE2* const kBootstrap = new RE2("[a-z0-9]{6}\\.[a-z0-9]{16}");
  if (RE2::FullMatch(k3s.agent_token().plain(), *kBootstrap)) {
    report.Warning("k3s.agentToken", "token-expires",
                   "looks like a bootstrap token, which expires after a day: a node that has to "
                   "join again is refused then",
                   "use the agent token of the cluster, from secrets.yaml");
  }
  auto refuse = [&](bool present, absl::string_view name) {
    if (present) {
      report.Error(absl::StrCat("k3s.", name), "wrong-role",
                   "is for servers only; this node is an agent", "remove it");
    }
  };
  refuse(k3s.cluster().init(), "cluster.init");
  refuse(k3s.has_datastore(), "datastore");
  refuse(k3s.tls_sans_size() > 0, "tlsSans");
  refuse(k3s.manifests_size() > 0, "manifests");
  refuse(k3s.has_snapshots(), "snapshots");
}

}  // namespace

void CheckK3sRole(const K3sFacts& facts, Report& report) {
  if (facts.server) CheckServer(facts, report);
  if (facts.agent) CheckAgent(facts, report);
  CheckServerUrl(facts, report);
}

void CheckK3sTokens(const K3sFacts& facts, Report& report) {
  const v1::K3s& k3s = facts.k3s;
  CheckToken(k3s.token(), "k3s.token", report);
  CheckToken(k3s.agent_token(), "k3s.agentToken", report);
  CheckToken(k3s.node_password(), "k3s.nodePassword", report);
  auto same = [](const v1::Secret& a, const v1::Secret& b) {
    return a.has_plain() && b.has_plain() && !a.plain().empty() && a.plain() == b.plain() &&
           a.plain() != yaml::kRedacted;
  };
  if (same(k3s.token(), k3s.agent_token())) {
    report.Error("k3s.agentToken", "conflict", "must differ from the server token");
  }
  if (same(k3s.node_password(), k3s.token()) || same(k3s.node_password(), k3s.agent_token())) {
    report.Error("k3s.nodePassword", "conflict",
                 "must differ from the tokens: it belongs to this node alone",
                 "`nodectl gen config` makes one; or: openssl rand -hex 32");
  }
}

}  // namespace basalt::validate
