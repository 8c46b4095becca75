#include "server/k3s/join_failures.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace basalt::k3s {
namespace {

struct Pattern {
  absl::string_view text;
  const char* code;
  const char* reason;
  const char* message;
  const char* hint;
  bool hopeless;
};

// In order: the first that a line contains names it.
constexpr Pattern kPatterns[] = {
    {"bootstrap data already found and encrypted with different token", "token-changed",
     "TokenChanged", "this server's data was made with another token",
     "k3s.token must stay what it was; `k3s token rotate` changes it on a running cluster", true},
    {"token CA hash does not match", "join-ca-mismatch", "CaMismatch",
     "the server at k3s.cluster.server has another CA than k3s.cluster.caHash",
     "take caHash from `nodectl get k3s-status` of the server, and make sure the URL is its own",
     true},
    {"Node password rejected", "node-password-rejected", "NodePasswordRejected",
     "the cluster knows a node of this name with another password",
     "keep k3s.nodePassword of the node, or delete the Node object on the server", true},
    {"401 Unauthorized", "join-token-rejected", "TokenRejected", "the server refuses the token",
     "k3s.agentToken (of a server: k3s.token) must be the server's own", true},
    {"flag provided but not defined", "k3s-bad-flag", "BadFlag",
     "this K3s release does not know a key of its configuration", "see the last lines", true},
    {"found in config.yaml, skipping", "k3s-bad-flag", "BadFlag",
     "this K3s release skips a key of its configuration", "see the last lines", false},
    {"critical configuration value mismatch", "cluster-flags-differ", "ClusterFlagsDiffer",
     "a flag that must be the same on all servers of the cluster differs from the others'",
     "see the last lines; cluster CIDRs and domain, flannel, disabled parts, secrets encryption",
     true},
    {"address already in use", "port-in-use", "PortInUse", "a port that K3s needs is taken",
     "see the last lines for the port; `ss -lntp` names its owner", false},
    {"--token is required", "k3s-no-token", "NoToken", "K3s has no token to join with",
     "set k3s.agentToken (of a server: k3s.token)", true},
    {"no space left on device", "disk-full", "DiskFull", "the disk of K3s's data is full", "",
     false},
    {"building kine", "datastore-unreachable", "DatastoreUnreachable",
     "the external datastore does not answer", "check k3s.datastore.endpoint", false},
    {"certificate signed by unknown authority", "join-ca-mismatch", "CaMismatch",
     "the server's certificate is not of the cluster's CA", "check k3s.cluster.server", false},
    {"connection refused", "server-unreachable", "ServerUnreachable",
     "the server at k3s.cluster.server does not answer", "is it up, and is the URL right?", false},
    {"no route to host", "server-unreachable", "ServerUnreachable",
     "there is no way to the server at k3s.cluster.server", "check network and firewall", false},
    {"i/o timeout", "server-unreachable", "ServerUnreachable",
     "the server at k3s.cluster.server does not answer", "check network and firewall", false},
    {"context deadline exceeded", "server-unreachable", "ServerUnreachable",
     "the server at k3s.cluster.server does not answer in time", "check network and firewall",
     false},
    {"no such host", "server-unreachable", "ServerUnreachable",
     "the name in k3s.cluster.server has no address", "check the name and DNS", false},
};

const Pattern* Match(absl::string_view line) {
  for (const Pattern& pattern : kPatterns) {
    if (absl::StrContains(line, pattern.text)) return &pattern;
  }
  return nullptr;
}

}  // namespace

std::optional<LogFinding> FindFailure(absl::string_view output) {
  const Pattern* newest = nullptr;
  int times = 0;
  bool fatal = false;
  std::vector<absl::string_view> lines = absl::StrSplit(output, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const Pattern* found = Match(*line);
    if (found == nullptr) continue;
    if (newest == nullptr) newest = found;
    if (found->code != newest->code) continue;
    ++times;
    fatal = fatal || absl::StrContains(*line, "level=fatal");
  }
  if (newest == nullptr) return std::nullopt;
  return LogFinding{newest->code, newest->reason, newest->message, newest->hint,
                    newest->hopeless && (fatal || times >= 2)};
}

std::string Scrub(absl::string_view text, const std::vector<std::string>& secrets) {
  std::vector<std::string> longest = secrets;
  // A secret may be part of another: the longer goes first.
  std::sort(longest.begin(), longest.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  std::string out(text);
  for (const std::string& secret : longest) {
    if (!secret.empty()) out = absl::StrReplaceAll(out, {{secret, "(redacted)"}});
  }
  return out;
}

std::vector<std::string> LastLines(absl::string_view output, size_t count,
                                   const std::vector<std::string>& secrets) {
  std::string clean = Scrub(output, secrets);
  std::vector<std::string> lines = absl::StrSplit(clean, '\n', absl::SkipEmpty());
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<ptrdiff_t>(count));
  for (std::string& line : lines) {
    // Whoever prints it trusts nobody's terminal codes, nor broken UTF-8.
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
    }
    if (line.size() > 1024) line.resize(1024);
  }
  return lines;
}

std::string FatalMessage(absl::string_view output) {
  std::vector<absl::string_view> lines = absl::StrSplit(output, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (!absl::StrContains(*line, "level=fatal")) continue;
    size_t at = line->find("msg=");
    if (at == absl::string_view::npos) continue;
    absl::string_view message = line->substr(at + 4);
    if (message.size() >= 2 && message.front() == '"' && message.back() == '"') {
      message = message.substr(1, message.size() - 2);
    }
    return std::string(message);
  }
  return "";
}

}  // namespace basalt::k3s
