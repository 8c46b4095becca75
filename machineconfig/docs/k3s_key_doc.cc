// What is said of a key of K3s's own configuration file.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "machineconfig/docs/field_doc.h"

namespace basalt::docs {
namespace {

using schema::K3sKey;
using schema::K3sKeyFormat;
using schema::K3sKeyOwner;
using schema::K3sKeyRole;
using schema::K3sKeyType;
using schema::K3sValue;

std::string TypeWord(K3sKeyType type) {
  switch (type) {
    case K3sKeyType::kBool:
      return "boolean";
    case K3sKeyType::kInt:
      return "integer";
    case K3sKeyType::kString:
      return "string";
    case K3sKeyType::kList:
      break;
  }
  return "list of strings";
}

std::string On(K3sKeyRole role) {
  switch (role) {
    case K3sKeyRole::kServer:
      return "servers";
    case K3sKeyRole::kAgent:
      return "agents";
    case K3sKeyRole::kBoth:
      break;
  }
  return "servers and agents";
}

Choice ChoiceOf(const K3sValue& value) {
  std::string means(value.means);
  if (value.since > schema::kOldestK3sMinor) {
    absl::StrAppend(&means, " (from v1.", value.since, " on)");
  }
  if (value.until != 0) {
    absl::StrAppend(&means, " (until v1.", value.until, "; then ", value.instead, ")");
  }
  return {std::string(value.name), means};
}

// "26.13 27.10" → "v1.26.13, v1.27.10".
std::string Ports(absl::string_view ports) {
  std::vector<std::string> out;
  for (absl::string_view port : absl::StrSplit(ports, ' ', absl::SkipEmpty())) {
    out.push_back(absl::StrCat("v1.", port));
  }
  return absl::StrJoin(out, ", ");
}

}  // namespace

absl::string_view FormatWords(K3sKeyFormat format) {
  switch (format) {
    case K3sKeyFormat::kArgument:
      return "flags without their dashes: NAME=VALUE";
    case K3sKeyFormat::kCidr:
      return FormatWords(v1::FORMAT_CIDR);
    case K3sKeyFormat::kDnsName:
      return FormatWords(v1::FORMAT_DNS_NAME);
    case K3sKeyFormat::kDnsLabel:
      return FormatWords(v1::FORMAT_HOSTNAME);
    case K3sKeyFormat::kDuration:
      return FormatWords(v1::FORMAT_DURATION);
    case K3sKeyFormat::kFileName:
      return FormatWords(v1::FORMAT_FILE_NAME);
    case K3sKeyFormat::kImage:
      return "name of an image: \"rancher/mirrored-pause:3.6\"";
    case K3sKeyFormat::kInterface:
      return "name of a network interface: at most 15 characters";
    case K3sKeyFormat::kIp:
      return FormatWords(v1::FORMAT_IP);
    case K3sKeyFormat::kPath:
      return "absolute path";
    case K3sKeyFormat::kPortRange:
      return "FIRST-LAST: \"30000-32767\"";
    case K3sKeyFormat::kRegistry:
      return "HOST[:PORT][/PATH], without https://";
    case K3sKeyFormat::kAny:
      break;
  }
  return "";
}

FieldDoc DescribeK3sKey(const K3sKey& key) {
  FieldDoc doc{.name = std::string(key.name),
               .type = TypeWord(key.type),
               .format_words = std::string(FormatWords(key.format)),
               .default_text = std::string(key.default_value),
               .secret = key.secret,
               .cluster = key.cluster_scoped};
  K3sKeyDoc k3s{.on = On(key.role),
                .since = absl::StrCat("v1.", key.since),
                .ports = Ports(key.ports),
                .until = key.until == 0 ? "" : absl::StrCat("v1.", key.until),
                .instead = std::string(key.instead)};
  if (key.owner == K3sKeyOwner::kTyped) {
    k3s.use = std::string(key.note);
    doc.description = absl::StrCat("Not here: noded sets this key from `", key.note, "`.");
  } else if (key.owner == K3sKeyOwner::kRefused) {
    k3s.refused = std::string(key.note);
    doc.description = absl::StrCat("Not allowed: ", key.note, ".");
  } else {
    doc.description = std::string(key.says);
    if (key.max > 0) doc.limits = absl::StrCat("from ", key.min, " to ", key.max);
    for (const K3sValue& value : key.values) doc.choices.push_back(ChoiceOf(value));
  }
  doc.k3s = std::move(k3s);
  return doc;
}

}  // namespace basalt::docs
