#include "server/k3s/packet_rules.h"

#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace basalt::k3s {
namespace {

using Words = std::vector<std::string>;

// As iptables-save quotes: a word with spaces in double quotes, `\` before `"` and `\`.
Words SplitWords(absl::string_view line) {
  Words words;
  std::string word;
  bool quoted = false, any = false;
  for (size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      any = true;
    } else if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (c == ' ' && !quoted) {
      if (any) words.push_back(std::move(word));
      word.clear();
      any = false;
    } else {
      word += c;
      any = true;
    }
  }
  if (any) words.push_back(std::move(word));
  return words;
}

bool IsOurChain(absl::string_view name) {
  return absl::StartsWith(name, "KUBE-") || absl::StartsWith(name, "CNI-") ||
         absl::StartsWith(name, "FLANNEL-");
}

// "[12:3456] -A CHAIN ..." without the counters; empty when the line is no rule.
Words RuleOf(absl::string_view line) {
  Words words = SplitWords(line);
  if (!words.empty() && absl::StartsWith(words[0], "[")) words.erase(words.begin());
  if (words.size() < 2 || words[0] != "-A") words.clear();
  return words;
}

// The network of this rule if it is the one that only flannel makes (its releases before 2023 put
// no comment into their rules): everything from there that is not multicast is masqueraded.
std::string FlannelNetwork(const Words& rule) {
  if (rule.size() < 9 || rule[1] != "POSTROUTING" || rule[2] != "-s") return "";
  bool multicast =
      rule[4] == "!" && rule[5] == "-d" && (rule[6] == "224.0.0.0/4" || rule[6] == "ff00::/8");
  return multicast && rule[7] == "-j" && rule[8] == "MASQUERADE" ? rule[3] : "";
}

// Rules of the shapes that flannel makes for its network N, and no others:
//   POSTROUTING [!] -s N [!] -d ANY -j RETURN|MASQUERADE, FORWARD -s N|-d N -j ACCEPT
bool IsFlannels(const Words& rule, const std::set<std::string>& networks) {
  Words bare;
  for (const std::string& word : rule) {
    if (word != "!" && word != "--random-fully") bare.push_back(word);
  }
  const std::string& chain = bare[1];
  if (chain == "POSTROUTING" && bare.size() == 8) {
    bool whole = networks.count(bare[3]) > 0;
    return bare[2] == "-s" && bare[4] == "-d" && bare[6] == "-j" && whole &&
           (bare[7] == "RETURN" || bare[7] == "MASQUERADE");
  }
  return chain == "FORWARD" && bare.size() == 6 && (bare[2] == "-s" || bare[2] == "-d") &&
         networks.count(bare[3]) > 0 && bare[4] == "-j" && bare[5] == "ACCEPT";
}

bool IsOurRule(const Words& rule, const std::set<std::string>& networks) {
  if (IsOurChain(rule[1]) || IsFlannels(rule, networks)) return true;
  for (size_t i = 2; i + 1 < rule.size(); ++i) {
    const std::string& value = rule[i + 1];
    if ((rule[i] == "-j" || rule[i] == "-g") && IsOurChain(value)) return true;
    // kube-router, which K3s carries, has one rule of its own in FORWARD.
    if (rule[i] == "--comment" && (absl::StartsWith(value, "flanneld ") ||
                                   absl::StartsWith(value, "rule to explictly ACCEPT traffic"))) {
      return true;
    }
  }
  return false;
}

}  // namespace

SweptRules SweepRules(absl::string_view saved) {
  std::vector<absl::string_view> lines = absl::StrSplit(saved, '\n', absl::SkipEmpty());
  std::set<std::string> networks;  // the nat table names them, the filter table comes before it
  for (absl::string_view line : lines) {
    std::string network = FlannelNetwork(RuleOf(line));
    if (!network.empty()) networks.insert(network);
  }
  SweptRules swept;
  std::vector<absl::string_view> table;
  int removed = 0;
  for (absl::string_view line : lines) {
    if (absl::StartsWith(line, "#")) continue;
    if (absl::StartsWith(line, "*")) {
      table.clear();
      removed = 0;
    }
    Words rule = RuleOf(line);
    bool chain = absl::StartsWith(line, ":");
    if ((chain && IsOurChain(line.substr(1))) || (!rule.empty() && IsOurRule(rule, networks))) {
      ++removed;
      continue;
    }
    table.push_back(line);
    if (line == "COMMIT" && removed > 0) {
      absl::StrAppend(&swept.text, absl::StrJoin(table, "\n"), "\n");
      swept.removed += removed;
    }
  }
  return swept;
}

}  // namespace basalt::k3s
