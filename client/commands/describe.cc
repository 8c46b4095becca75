// nodectl describe: one page about a node, or about what a file means with its defaults.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/config_schema.h"
#include "client/commands/editing.h"
#include "client/commands/flatten.h"
#include "client/commands/inputs.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/table.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

using nlohmann::ordered_json;

// Lines "Name:   value", blocks with a title, as kubectl describes.
class Page {
 public:
  explicit Page(Io& io) : io_(io) {}
  void Title(absl::string_view title) { io_.out << "\n" << Bold(io_, title) << "\n"; }
  void Line(absl::string_view name, const std::string& value) {
    if (value.empty()) return;
    std::string label = absl::StrCat("  ", name, ":");
    label.resize(std::max<size_t>(label.size() + 1, 18), ' ');
    io_.out << label << Escape(value) << "\n";
  }
  void Plain(const std::string& text) { io_.out << text << "\n"; }

 private:
  Io& io_;
};

struct Known {
  InventoryNode node;
  v1::HelloReply hello;
  std::vector<v1::Resource> resources;
  v1::HistoryReply history;
};

std::string When(const google::protobuf::Timestamp& time) {
  return time.seconds() == 0 ? "" : FormatTime(time);
}

std::string Number(int64_t number) { return number == 0 ? "" : absl::StrCat(number); }

void Identity(Page& page, const Known& known) {
  const v1::HelloReply& hello = known.hello;
  page.Title(known.node.name);
  page.Line("Endpoint", known.node.endpoint);
  page.Line("Fingerprint", hello.machine_id());
  page.Line("Pinned", known.node.fingerprint.empty() ? "no: known by its certificate"
                      : known.node.fingerprint == hello.machine_id() ? "yes"
                                                                     : "to another fingerprint");
  page.Line("noded",
            absl::StrCat(hello.version(), " on ", hello.platform(), ", ", hello.architecture()));
  page.Line("State", hello.state());
  page.Line("Condition", hello.condition());
  page.Line("Clock", absl::StrCat(When(hello.now()), hello.time_synced() ? "" : ", not synced"));
  page.Line("Trust", absl::StrCat("cluster ", hello.trust_cluster(), ", epoch ",
                                  hello.trust_epoch(), ", version ", hello.trust_version()));
  page.Line("Floor",
            absl::StrCat("epoch ", hello.floor_epoch(), ", generation ", hello.floor_generation()));
}

void Machine(Io& io, Page& page, const v1::MachineStatus& machine) {
  page.Title("Machine");
  page.Line("Stage", machine.stage());
  page.Line("Processors", Number(machine.cpus()));
  if (machine.memory_total() > 0) {
    page.Line("Memory", absl::StrCat(machine.memory_total() >> 20, " MiB"));
  }
  if (machine.conditions().empty()) return;
  page.Title("Conditions");
  Table table{{"", "TYPE", "HOLDS", "REASON", "MESSAGE"}, {}};
  for (const v1::Condition& condition : machine.conditions()) {
    table.rows.push_back({"", condition.type(), condition.holds() ? "yes" : "no",
                          condition.reason(), condition.message()});
  }
  PrintTable(io, table);
}

void Config(Page& page, const v1::ConfigStatus& config) {
  page.Title("Config");
  page.Line("Generation", Number(config.generation()));
  page.Line("Digest", config.digest());
  page.Line("Signers", absl::StrJoin(config.signers(), ", "));
  page.Line("Reason", config.reason());
  page.Line("Committed", When(config.committed_at()));
  if (config.pending_generation() != 0) {
    page.Line("Pending",
              absl::StrCat(config.pending_generation(), ": ", StateWord(config.pending_state())));
    page.Line("Confirm until", When(config.confirm_deadline()));
  }
  if (config.staged_generation() != 0) {
    page.Line("Staged", absl::StrCat(config.staged_generation(), ", applied at the next boot"));
  }
  if (!config.last_error_code().empty()) {
    page.Line("Last error", absl::StrCat(config.last_error_code(), ": ", config.last_error()));
  }
}

void K3s(Page& page, const v1::K3sStatus& k3s) {
  if (k3s.role().empty()) return;
  page.Title("K3s");
  page.Line("Role", k3s.role());
  page.Line("Version",
            absl::StrCat(k3s.version(), k3s.is_double() ? " (DOUBLE: runs no pods)" : ""));
  page.Line("Binary", k3s.sha256());
  page.Line("Ready", k3s.ready() ? "yes" : absl::StrCat("no, ", k3s.rung(), ": ", k3s.reason()));
  page.Line("Message", k3s.message());
  page.Line("Server", k3s.server_url());
  page.Line("CA hash", k3s.ca_hash());
  for (const std::string& line : k3s.last_lines()) page.Line("Said", line);
}

void System(Page& page, const v1::SystemStatus& system) {
  page.Title("System");
  page.Line("Host name", system.host_name());
  page.Line("Clock", absl::StrCat(system.clock(), system.clock_authenticated() ? ", by NTS" : ""));
  page.Line("Asked", absl::StrJoin(system.time_servers(), ", "));
  page.Line("Hardened", absl::StrCat(system.hardened(), " settings of the image's baseline"));
  for (const v1::KernelSetting& setting : system.hardening()) {
    if (setting.verdict() != "by-config" && setting.verdict() != "changed") continue;
    page.Line(setting.verdict() == "changed" ? "Changed" : "By config",
              absl::StrCat(setting.name(), " is ", setting.found(), ", not ", setting.wanted()));
  }
  page.Line("Maintenance", system.maintenance());
}

void Image(Page& page, const v1::Image& image) {
  page.Title("Image");
  page.Line("Version",
            absl::StrCat(image.version(), " in slot ", image.slot(), ", epoch ", image.epoch()));
  page.Line("State", image.state());
  page.Line("Message", image.message());
  page.Line("Secure Boot", image.secure_boot());
  page.Line("PCR 11", image.pcr11_measured().empty()
                          ? ""
                          : absl::StrCat(image.pcr11(), ": ", image.pcr11_measured()));
  if (image.pcr11() == "differs") page.Line("PCR 11 predicted", image.pcr11_expected());
}

ordered_json Tree(const google::protobuf::Message& message) {
  return ordered_json::parse(ToJson(message), nullptr, false);
}

void Print(Io& io, const Known& known) {
  if (io.json() || io.format == Format::kYaml) {
    ordered_json out{{"name", known.node.name}, {"endpoint", known.node.endpoint}};
    out["hello"] = Tree(known.hello);
    out["resources"] = ordered_json::array();
    for (const v1::Resource& resource : known.resources) out["resources"].push_back(Tree(resource));
    out["history"] = Tree(known.history)["generations"];
    const std::string text = out.dump(2, ' ', true, ordered_json::error_handler_t::replace);
    io.out << (io.json() ? text + "\n" : JsonToYaml(text));
    return;
  }
  if (io.format == Format::kName) {
    io.out << known.node.name << "\n";
    return;
  }
  Page page(io);
  Identity(page, known);
  Table services{{"", "NAME", "STATE", "PID", "STARTS", "LAST EXIT"}, {}};
  for (const v1::Resource& resource : known.resources) {
    if (resource.has_machine_status()) Machine(io, page, resource.machine_status());
    if (resource.has_config_status()) Config(page, resource.config_status());
    if (resource.has_k3s_status()) K3s(page, resource.k3s_status());
    if (resource.has_system_status()) System(page, resource.system_status());
    if (resource.has_image()) Image(page, resource.image());
    if (!resource.has_service()) continue;
    const v1::Service& service = resource.service();
    services.rows.push_back({"", resource.name(), service.state(), Number(service.pid()),
                             Number(service.starts()), service.last_exit()});
  }
  if (!services.rows.empty()) {
    page.Title("Services");
    PrintTable(io, services);
  }
  if (!known.history.generations().empty()) {
    page.Title("History");
    std::vector<const google::protobuf::Message*> rows;
    for (const v1::Generation& one : known.history.generations()) rows.push_back(&one);
    PrintTable(io, MessageTable(rows, io.format == Format::kWide));
  }
}

absl::StatusOr<int> DescribeNode(Session& session, const DescribeOptions& options) {
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  Known known{.node = *node};
  absl::StatusOr<v1::HelloReply> hello = (*client)->Hello(kHelloTimeout);
  if (!hello.ok()) return AtNode(hello.status(), node->name);
  known.hello = *hello;
  // A node without a config has nothing else to tell, and whom to tell it is not settled.
  if (hello->state() == "configured") {
    absl::StatusOr<v1::ListReply> all = (*client)->List("");
    if (!all.ok()) return AtNode(all.status(), node->name);
    known.resources.assign(all->resources().begin(), all->resources().end());
    absl::StatusOr<v1::HistoryReply> history = (*client)->History(options.limit);
    if (!history.ok()) return AtNode(history.status(), node->name);
    known.history = *history;
  }
  Print(session.io(), known);
  return 0;
}

absl::StatusOr<std::string> PayloadOf(const Input& input) {
  if (!input.is_envelope) return input.text;
  absl::StatusOr<v1::SignedDocument> envelope = sign::FromDsseJson(input.text);
  if (!envelope.ok()) return api::InFile(envelope.status(), input.file);
  return envelope->payload();
}

// What a file means: every value, and whether the file says it or a default does.
absl::StatusOr<int> DescribeFile(Session& session, const DescribeOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs({options.file});
  if (!inputs.ok()) return inputs.status();
  for (const Input& input : *inputs) {
    absl::StatusOr<std::string> text = PayloadOf(input);
    if (!text.ok()) return text.status();
    v1::MachineConfig config;
    const yaml::DecodeResult read = yaml::Decode(*text, input.file, config);
    if (!read.ok()) return api::Invalid(read.errors);
    // What is not right yet is told; the rest of the page is of use all the same.
    std::vector<api::Violation> warnings;
    const absl::Status good =
        validate::Load(*text, input.file, validate::Stage::kSource, &warnings).status();
    PrintViolations(io, "warning", api::Violations(good));
    PrintViolations(io, "warning", warnings);
    const yaml::SourceMap& source = read.source;
    const std::map<std::string, Said> said = Flatten(schema::Resolve(config), docs::BuiltIn());
    Table table{{"PATH", "VALUE", "FROM"}, {}};
    ordered_json values = ordered_json::array();
    for (const auto& [path, value] : said) {
      auto at = source.find(path);
      const bool written = at != source.end();
      ordered_json one{{"path", path}, {"value", value.shown}};
      one["from"] = written ? "file" : "default";
      if (written) one["line"] = at->second.line;
      values.push_back(std::move(one));
      constexpr size_t kShown = 60;
      std::string shown = value.shown;
      if (shown.size() > kShown && io.format != Format::kWide)
        shown = shown.substr(0, kShown) + "...";
      table.rows.push_back(
          {path, shown, written ? absl::StrCat(input.file, ":", at->second.line) : "default"});
      if (io.format == Format::kName) io.out << path << "\n";
    }
    const ordered_json out{{"file", input.file}, {"values", values}};
    if (io.json()) io.out << out.dump(-1, ' ', true) << "\n";
    if (io.format == Format::kYaml) io.out << "---\n" << JsonToYaml(out.dump());
    if (io.format == Format::kTable || io.format == Format::kWide) PrintTable(io, table);
  }
  return 0;
}

}  // namespace

absl::StatusOr<int> RunDescribe(Session& session, const DescribeOptions& options) {
  if (!options.file.empty() && !options.node.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "a node and a file together",
                      "leave one of them out");
  }
  return options.file.empty() ? DescribeNode(session, options) : DescribeFile(session, options);
}

}  // namespace basalt::client
