// nodectl status: what each node observed of itself, and what Hello says where there is no config.
#include <algorithm>
#include <future>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/cluster_flags.h"
#include "client/commands/commands.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/table.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

// A node that does not answer costs seconds: they are asked side by side, so many at a time.
constexpr size_t kSideBySide = 32;

struct NodeStatus {
  InventoryNode node;
  absl::Status error;  // the node did not answer, or not as we hoped
  v1::HelloReply hello;
  v1::MachineStatus machine;
  v1::ConfigStatus config;
  v1::K3sStatus k3s;
  bool configured = false;
  bool has_k3s = false;
};

NodeStatus Ask(const InventoryNode& node,
               const absl::StatusOr<std::unique_ptr<NodeClient>>& client) {
  NodeStatus out;
  out.node = node;
  if (!client.ok()) {
    out.error = client.status();
    return out;
  }
  absl::StatusOr<v1::HelloReply> hello = (*client)->Hello(absl::Seconds(10));
  if (!hello.ok()) {
    out.error = AtNode(hello.status(), node.name);
    return out;
  }
  out.hello = *hello;
  out.configured = hello->state() == "configured";
  if (!out.configured) return out;
  absl::StatusOr<v1::ListReply> all = (*client)->List("");
  if (!all.ok()) {
    out.error = AtNode(all.status(), node.name);
    return out;
  }
  for (const v1::Resource& resource : all->resources()) {
    if (resource.has_machine_status()) out.machine = resource.machine_status();
    if (resource.has_config_status()) out.config = resource.config_status();
    if (resource.has_k3s_status()) {
      out.k3s = resource.k3s_status();
      out.has_k3s = true;
    }
  }
  return out;
}

// In the order of `nodes`. The session is used by this thread alone: it may ask for a passphrase.
std::vector<NodeStatus> AskAll(Session& session, const std::vector<InventoryNode>& nodes) {
  std::vector<NodeStatus> out;
  for (size_t start = 0; start < nodes.size(); start += kSideBySide) {
    std::vector<std::future<NodeStatus>> answers;
    for (size_t i = start; i < std::min(nodes.size(), start + kSideBySide); ++i) {
      answers.push_back(std::async(
          std::launch::async,
          [&node = nodes[i], client = session.ConnectTo(nodes[i])] { return Ask(node, client); }));
    }
    for (std::future<NodeStatus>& answer : answers) out.push_back(answer.get());
  }
  return out;
}

std::string K3sText(const NodeStatus& s) {
  if (!s.has_k3s || s.k3s.role().empty()) return "-";
  std::string text = absl::StrCat(s.k3s.role(), " ", s.k3s.version());
  if (s.k3s.is_double() || s.machine.k3s_double()) absl::StrAppend(&text, " (DOUBLE)");
  return text;
}

std::string K3sReady(const NodeStatus& s) {
  if (!s.has_k3s || s.k3s.role().empty()) return "-";
  if (s.k3s.ready()) return "ready";
  return absl::StrCat("not ready: ", s.k3s.reason().empty() ? s.k3s.rung() : s.k3s.reason());
}

std::vector<std::string> Row(const NodeStatus& s) {
  if (!s.error.ok()) {
    return {s.node.name, CodeOf(s.error), "-", "-", "-", "-", "see below"};
  }
  if (!s.configured) {
    std::string note = s.hello.condition().empty() ? "waits for a config" : s.hello.condition();
    return {s.node.name, s.hello.state(), "-", "-", "-", absl::StrCat(s.hello.trust_version()),
            note};
  }
  std::string note;
  if (s.config.pending_generation() != 0) {
    note = absl::StrCat("pending ", s.config.pending_generation(), ": ",
                        StateWord(s.config.pending_state()));
  } else if (s.config.staged_generation() != 0) {
    note = absl::StrCat("staged ", s.config.staged_generation(), ": applied at the next boot");
  } else if (!s.config.last_error_code().empty()) {
    note = absl::StrCat("last apply: ", s.config.last_error_code());
  } else {
    note = s.config.reason();
  }
  return {s.node.name, s.machine.stage(), absl::StrCat(s.config.generation()),
          K3sText(s),  K3sReady(s),       absl::StrCat(s.config.trust_version()),
          note};
}

nlohmann::ordered_json Tree(const google::protobuf::Message& message) {
  return nlohmann::ordered_json::parse(ToJson(message), nullptr, false);
}

nlohmann::ordered_json Json(const NodeStatus& s) {
  nlohmann::ordered_json out;
  out["name"] = s.node.name;
  out["endpoint"] = s.node.endpoint;
  if (!s.error.ok()) {
    out["errors"] = nlohmann::ordered_json::parse(ErrorsJson(s.error))["errors"];
    return out;
  }
  out["state"] = s.hello.state();
  out["hello"] = Tree(s.hello);
  if (s.configured) {
    out["machine"] = Tree(s.machine);
    out["config"] = Tree(s.config);
    if (s.has_k3s) out["k3s"] = Tree(s.k3s);
  }
  return out;
}

// What a table has no room for: what does not hold, and where to look.
void PrintDetails(Io& io, const NodeStatus& s) {
  if (!s.error.ok() || !s.configured) return;
  for (const v1::Condition& condition : s.machine.conditions()) {
    if (condition.holds() != condition.alarm()) continue;
    io.out << "  " << s.node.name << ": " << Yellow(io, Escape(condition.type()))
           << (condition.alarm() ? ": " : " does not hold: ") << Escape(condition.reason());
    if (!condition.message().empty()) io.out << ": " << Escape(condition.message());
    io.out << "\n";
  }
  // One that is ready may have something to say too: that its certificates end, for example.
  if (s.has_k3s && !s.k3s.message().empty()) {
    io.out << "  " << s.node.name << ": K3s: " << Escape(s.k3s.message()) << "\n";
  }
  if (s.has_k3s && !s.k3s.ready()) {
    for (const std::string& line : s.k3s.last_lines()) io.out << "    | " << Escape(line) << "\n";
  }
  if (!s.config.last_error().empty()) {
    io.out << "  " << s.node.name
           << ": last apply that did not commit: " << Escape(s.config.last_error_code()) << ": "
           << Escape(s.config.last_error()) << "\n";
  }
  if (s.k3s.is_double() || s.machine.k3s_double()) {
    io.out << "  " << s.node.name << ": this K3s is the DOUBLE, a stand-in that runs no pods\n";
  }
}

std::vector<FlagDifference> Differences(const std::vector<NodeStatus>& all) {
  std::vector<ServerFlags> servers;
  for (const NodeStatus& s : all) {
    const auto& flags = s.k3s.cluster_flags();
    servers.push_back({s.node.name, {flags.begin(), flags.end()}});
  }
  return CompareFlags(servers);
}

void PrintDifferences(Io& io, const std::vector<FlagDifference>& differences) {
  for (const FlagDifference& difference : differences) {
    io.out << "  " << Yellow(io, "servers differ") << " in " << Escape(difference.key) << ":";
    for (const auto& [server, value] : difference.values) {
      io.out << " " << server << " " << (value.empty() ? "(default)" : Escape(value));
    }
    io.out << "; K3s wants it equal on all servers of a cluster\n";
  }
}

}  // namespace

absl::StatusOr<int> RunStatus(Session& session, const StatusOptions& options) {
  Io& io = session.io();
  absl::StatusOr<const Inventory*> inventory = session.inventory();
  if (!inventory.ok()) return inventory.status();
  std::vector<InventoryNode> nodes = (*inventory)->nodes();
  if (!options.nodes.empty()) {
    nodes.clear();
    for (const std::string& name : options.nodes) {
      absl::StatusOr<InventoryNode> node = (*inventory)->Get(name);
      if (!node.ok()) return node.status();
      nodes.push_back(*node);
    }
  }
  int exit_code = 0;
  const std::vector<NodeStatus> all = AskAll(session, nodes);
  for (const NodeStatus& status : all) {
    if (!status.error.ok() || status.machine.stage() == "degraded") exit_code = 1;
  }
  if (io.json() || io.format == Format::kYaml) {
    nlohmann::ordered_json out;
    out["nodes"] = nlohmann::ordered_json::array();
    for (const NodeStatus& status : all) out["nodes"].push_back(Json(status));
    out["serversDiffer"] = nlohmann::ordered_json::array();
    for (const FlagDifference& difference : Differences(all)) {
      out["serversDiffer"].push_back({{"key", difference.key}, {"values", difference.values}});
    }
    const std::string text =
        out.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
    io.out << (io.json() ? text + "\n" : JsonToYaml(text));
    return exit_code;
  }
  if (all.empty()) {
    io.out << "The inventory has no nodes yet: nodectl pin NAME --node HOST:PORT --fingerprint F\n";
    return 0;
  }
  Table table{{"NODE", "STAGE", "GENERATION", "K3S", "K3S STATE", "TRUST", "NOTE"}, {}};
  if (io.format == Format::kName) table.titles.clear();
  for (const NodeStatus& status : all) {
    if (io.format == Format::kName) {
      table.rows.push_back({status.node.name});
      continue;
    }
    table.rows.push_back(Row(status));
    if (io.format == Format::kWide) {
      table.rows.back().push_back(status.node.endpoint);
      table.rows.back().push_back(status.hello.platform());
      table.rows.back().push_back(status.hello.version());
      table.rows.back().push_back(status.node.fingerprint);
    }
  }
  if (io.format == Format::kWide) {
    for (const char* title : {"ENDPOINT", "PLATFORM", "VERSION", "FINGERPRINT"}) {
      table.titles.push_back(title);
    }
  }
  PrintTable(io, table);
  if (io.format == Format::kName) return exit_code;
  for (const NodeStatus& status : all) PrintDetails(io, status);
  PrintDifferences(io, Differences(all));
  for (const NodeStatus& status : all) {
    if (!status.error.ok()) PrintError(io, status.error);
  }
  return exit_code;
}

}  // namespace basalt::client
