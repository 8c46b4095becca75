#include "client/context/inventory.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "client/context/flat_yaml.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/seal/keys.h"

namespace basalt::client {
namespace {

std::string Value(const FlatItem& item, absl::string_view key) {
  const std::string* value = item.Find(key);
  return value == nullptr ? "" : *value;
}

size_t IndentOf(const std::string& line) { return line.find_first_not_of(' '); }

// "  endpoint: old  # why" → "  endpoint: new  # why"
std::string WithValue(const std::string& line, absl::string_view key, absl::string_view value) {
  size_t at = line.find(std::string(key));
  size_t comment = line.find(" #");
  return absl::StrCat(line.substr(0, at), key, ": ", QuoteYaml(value),
                      comment == std::string::npos ? "" : absl::StrCat(" ", line.substr(comment)));
}

}  // namespace

absl::StatusOr<Inventory> Inventory::Parse(absl::string_view text, const std::string& file) {
  absl::StatusOr<FlatFile> flat = ReadFlatYaml(text, file, "nodes");
  if (!flat.ok()) return flat.status();
  Inventory out;
  std::vector<api::Violation> errors;
  auto error = [&](const FlatItem& item, std::string path, std::string message) {
    errors.push_back({.reason = "bad-inventory",
                      .file = file,
                      .line = item.line,
                      .column = 1,
                      .path = std::move(path),
                      .message = std::move(message)});
  };
  for (const FlatItem& item : flat->items) {
    InventoryNode node{Value(item, "name"), Value(item, "endpoint"), Value(item, "fingerprint"),
                       Value(item, "recipient")};
    const std::string path = absl::StrCat("nodes[", node.name, "]");
    if (node.name.empty()) error(item, "nodes", "a node has no name");
    if (absl::Status s = CheckEndpoint(node.endpoint); !s.ok()) {
      error(item, path + ".endpoint", std::string(s.message()));
    }
    if (!node.fingerprint.empty() && !Digest::Parse(node.fingerprint).ok()) {
      error(item, path + ".fingerprint", "must be 64 lower-case hex digits");
    }
    if (absl::Status s = seal::Recipient::Parse(node.recipient).status();
        !node.recipient.empty() && !s.ok()) {
      error(item, path + ".recipient", std::string(s.message()));
    }
    if (out.Find(node.name) != nullptr) error(item, path, "stands here twice");
    out.nodes_.push_back(std::move(node));
  }
  if (!errors.empty()) return api::Invalid(errors);
  return out;
}

absl::StatusOr<Inventory> Inventory::Load(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  return Parse(*text, path);
}

const InventoryNode* Inventory::Find(absl::string_view name) const {
  for (const InventoryNode& node : nodes_) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

absl::StatusOr<InventoryNode> Inventory::Get(absl::string_view name) const {
  if (const InventoryNode* node = Find(name)) return *node;
  std::string known = absl::StrJoin(nodes_, ", ", [](std::string* out, const InventoryNode& node) {
    absl::StrAppend(out, node.name);
  });
  return api::Coded(
      absl::StatusCode::kNotFound, "unknown-node",
      absl::StrCat("node ", name,
                   " is not in the inventory (known: ", known.empty() ? "none" : known, ")"),
      absl::StrCat("nodectl pin ", name, " --node HOST:PORT --fingerprint FINGERPRINT"));
}

absl::StatusOr<std::string> PutNode(absl::string_view text, const std::string& file,
                                    const InventoryNode& node) {
  absl::StatusOr<FlatFile> flat = ReadFlatYaml(text, file, "nodes");
  if (!flat.ok()) return flat.status();
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();

  const FlatItem* known = nullptr;
  for (const FlatItem& item : flat->items) {
    if (Value(item, "name") == node.name) known = &item;
  }
  if (known != nullptr) {
    size_t last = 0, indent = 0;
    bool has_fingerprint = false, has_recipient = false;
    std::optional<size_t> drop;
    for (const FlatEntry& entry : known->entries) {
      size_t i = static_cast<size_t>(entry.line - 1);
      if (entry.key == "endpoint") lines[i] = WithValue(lines[i], "endpoint", node.endpoint);
      if (entry.key == "fingerprint") {
        has_fingerprint = true;
        lines[i] = WithValue(lines[i], "fingerprint", node.fingerprint);
      }
      if (entry.key == "recipient") {
        has_recipient = true;
        if (node.recipient.empty()) {
          drop = i;
        } else {
          lines[i] = WithValue(lines[i], "recipient", node.recipient);
        }
      }
      if (i >= last) {
        last = i;
        indent = lines[i].find(entry.key);
      }
    }
    auto add = [&](const char* key, const std::string& value) {
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(++last),
                   absl::StrCat(std::string(indent, ' '), key, ": ", value));
    };
    if (!has_fingerprint && !node.fingerprint.empty()) add("fingerprint", node.fingerprint);
    if (!has_recipient && !node.recipient.empty()) add("recipient", node.recipient);
    if (drop) lines.erase(lines.begin() + static_cast<ptrdiff_t>(*drop));
  } else {
    size_t indent = 2;
    if (flat->list_line == 0) {
      lines.push_back("nodes:");
    } else if (flat->items.empty()) {
      lines[flat->list_line - 1] = "nodes:";
    } else {
      const std::string& first = lines[flat->items.front().line - 1];
      if (IndentOf(first) != std::string::npos) indent = IndentOf(first);
    }
    const std::string pad(indent, ' ');
    std::vector<std::string> block = {absl::StrCat(pad, "- name: ", QuoteYaml(node.name)),
                                      absl::StrCat(pad, "  endpoint: ", QuoteYaml(node.endpoint))};
    if (!node.fingerprint.empty()) {
      block.push_back(absl::StrCat(pad, "  fingerprint: ", QuoteYaml(node.fingerprint)));
    }
    if (!node.recipient.empty()) {
      block.push_back(absl::StrCat(pad, "  recipient: ", QuoteYaml(node.recipient)));
    }
    size_t at = lines.size();
    if (!flat->items.empty()) {
      int last = 0;
      for (const FlatEntry& entry : flat->items.back().entries) last = std::max(last, entry.line);
      at = static_cast<size_t>(last);
    } else if (flat->list_line > 0) {
      at = static_cast<size_t>(flat->list_line);
    }
    lines.insert(lines.begin() + at, block.begin(), block.end());
  }
  std::string out = absl::StrJoin(lines, "\n") + "\n";
  absl::StatusOr<Inventory> back = Inventory::Parse(out, file);
  const InventoryNode* entry = back.ok() ? back->Find(node.name) : nullptr;
  if (entry == nullptr || !(*entry == node)) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "inventory-style",
                   absl::StrCat(file, " is written in a way that cannot be edited in place"),
                   absl::StrCat("write this entry yourself: name: ", node.name,
                                ", endpoint: ", node.endpoint, ", fingerprint: ", node.fingerprint,
                                node.recipient.empty() ? "" : ", recipient: ", node.recipient)),
        "file", file);
  }
  return out;
}

std::string NewInventoryText() {
  return "# The nodes of this cluster. Public: keep it in Git. `nodectl pin` adds to it.\n"
         "nodes: []\n";
}

std::string HostOf(absl::string_view endpoint) {
  size_t colon = endpoint.rfind(':');
  return std::string(colon == endpoint.npos ? endpoint : endpoint.substr(0, colon));
}

absl::Status CheckEndpoint(absl::string_view endpoint) {
  std::string host = HostOf(endpoint);
  int port = 0;
  bool good = host.size() < endpoint.size() && !host.empty() &&
              absl::SimpleAtoi(endpoint.substr(host.size() + 1), &port) && port > 0 && port < 65536;
  // SimpleAtoi passes over white space around a number.
  good = good && absl::ascii_isdigit(endpoint[host.size() + 1]) &&
         absl::ascii_isdigit(endpoint.back());
  bool bracketed = good && host[0] == '[' && host.back() == ']';
  for (char c : host) {
    good = good && (absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_' ||
                    (bracketed && (c == ':' || c == '[' || c == ']' || c == '%')));
  }
  if (good) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-endpoint",
                    absl::StrCat("'", endpoint, "' is not HOST:PORT"),
                    "for example 192.168.1.10:6050 or [fd00::10]:6050");
}

}  // namespace basalt::client
