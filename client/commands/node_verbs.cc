// confirm, cancel, history, get, logs, kubeconfig, version: one call each.
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/table.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

void PrintMessage(Io& io, const google::protobuf::Message& message, const std::string& text) {
  if (io.json()) {
    io.out << ToPrettyJson(message) << "\n";
  } else if (io.format == Format::kYaml) {
    io.out << ToYaml(message);
  } else {
    io.out << text << "\n";
  }
}

// "k3sstatus" → "K3sStatus": kinds are the types of Resource's oneof, in any case; "services" too.
absl::StatusOr<std::string> FindKind(const std::string& word) {
  const auto* body = v1::Resource::descriptor()->FindOneofByName("body");
  std::vector<std::string> known;
  for (int i = 0; i < body->field_count(); ++i) {
    const std::string kind(body->field(i)->message_type()->name());
    known.push_back(kind);
    const std::string low = absl::AsciiStrToLower(kind), asked = absl::AsciiStrToLower(word);
    if (asked == low || asked == low + "s" || asked == low + "es") return kind;
  }
  return api::Coded(absl::StatusCode::kInvalidArgument, "unknown-kind",
                    absl::StrCat("'", word, "' is not a kind of resource"),
                    absl::StrCat("one of ", absl::StrJoin(known, ", ")));
}

}  // namespace

absl::StatusOr<int> RunConfirm(Session& session, const NodeOptions& options) {
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::ConfirmReply> reply = (*client)->Confirm(options.digest);
  if (!reply.ok()) return AtNode(reply.status(), node->name);
  PrintMessage(session.io(), *reply,
               absl::StrCat(node->name, ": confirmed generation ", reply->generation()));
  return 0;
}

absl::StatusOr<int> RunCancel(Session& session, const NodeOptions& options) {
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::CancelReply> reply = (*client)->Cancel(options.digest);
  if (!reply.ok()) return AtNode(reply.status(), node->name);
  PrintMessage(session.io(), *reply,
               absl::StrCat(node->name, ": cancelled generation ", reply->generation(), " (",
                            StateWord(reply->state()), ")"));
  return 0;
}

absl::StatusOr<int> RunHistory(Session& session, const NodeOptions& options) {
  Io& io = session.io();
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::HistoryReply> reply = (*client)->History(options.limit);
  if (!reply.ok()) return AtNode(reply.status(), node->name);
  if (io.json() || io.format == Format::kYaml) {
    PrintMessage(io, *reply, "");
    return 0;
  }
  std::vector<const google::protobuf::Message*> rows;
  for (const v1::Generation& generation : reply->generations()) {
    if (io.format == Format::kName) io.out << generation.generation() << "\n";
    rows.push_back(&generation);
  }
  if (io.format == Format::kName) return 0;
  if (rows.empty()) {
    io.out << node->name << ": no generation yet\n";
    return 0;
  }
  PrintTable(io, MessageTable(rows, io.format == Format::kWide));
  return 0;
}

absl::StatusOr<int> RunGet(Session& session, const GetOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::string> kind = FindKind(options.kind);
  if (!kind.ok()) return kind.status();
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  v1::ListReply list;
  if (options.name.empty()) {
    absl::StatusOr<v1::ListReply> reply = (*client)->List(*kind);
    if (!reply.ok()) return AtNode(reply.status(), node->name);
    list = *reply;
  } else {
    absl::StatusOr<v1::Resource> one = (*client)->Get(*kind, options.name);
    if (!one.ok()) return AtNode(one.status(), node->name);
    *list.add_resources() = *one;
  }
  if (io.json() || io.format == Format::kYaml) {
    PrintMessage(io, list, "");
    return 0;
  }
  const std::vector<v1::Resource> resources(list.resources().begin(), list.resources().end());
  if (io.format == Format::kName) {
    for (const v1::Resource& resource : resources) {
      io.out << absl::AsciiStrToLower(resource.kind()) << "/" << Escape(resource.name()) << "\n";
    }
    return 0;
  }
  if (resources.empty()) {
    io.out << node->name << ": no " << *kind << "\n";
    return 0;
  }
  PrintTable(io, ResourceTable(resources, io.format == Format::kWide));
  return 0;
}

absl::StatusOr<int> RunLogs(Session& session, const LogsOptions& options) {
  Io& io = session.io();
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  v1::LogsRequest request;
  request.set_service(options.service);
  request.set_tail(options.tail);
  request.set_follow(options.follow);
  request.set_stored(options.stored);
  if (options.since) {
    if (*options.since < absl::Seconds(1)) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "--since is at least 1s");
    }
    request.set_since_seconds(absl::ToInt64Seconds(*options.since));
  }
  // A chunk may end inside a character: what is incomplete waits for the rest of its line.
  std::string kept;
  auto print = [&](absl::string_view text) {
    if (io.json()) {
      nlohmann::ordered_json line{{"node", node->name}, {"line", std::string(text)}};
      io.out << line.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    } else {
      io.out << Escape(text) << "\n";
    }
  };
  absl::Status status = (*client)->Logs(request, [&](const std::string& data) {
    kept += data;
    size_t start = 0;
    for (size_t end; (end = kept.find('\n', start)) != std::string::npos; start = end + 1) {
      absl::string_view line = absl::string_view(kept).substr(start, end - start);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      print(line);
    }
    kept.erase(0, start);
    io.out << std::flush;
    return io.out.good();
  });
  if (!kept.empty()) print(kept);
  if (!status.ok()) return AtNode(status, node->name);
  return 0;
}

absl::StatusOr<int> RunKubeconfig(Session& session, const KubeconfigOptions& options) {
  Io& io = session.io();
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::KubeconfigReply> reply = (*client)->Kubeconfig();
  if (!reply.ok()) return AtNode(reply.status(), node->name);
  if (!options.output_file.empty()) {
    absl::Status s = WriteFileAtomically(options.output_file, reply->kubeconfig(), 0600);
    if (!s.ok()) return s;
    io.err << options.output_file << ": valid until " << FormatTime(reply->expires())
           << "; use it with KUBECONFIG=" << options.output_file << "\n";
    return 0;
  }
  if (io.json()) {
    io.out << ToPrettyJson(*reply) << "\n";
  } else if (io.out_terminal) {
    io.out << Escape(reply->kubeconfig(), true);
  } else {
    io.out << reply->kubeconfig();
  }
  return 0;
}

absl::StatusOr<int> RunVersion(Session& session) {
  Io& io = session.io();
  const nlohmann::ordered_json out{{"version", BASALT_VERSION}, {"apiVersion", "basalt/v1"}};
  switch (io.format) {
    case Format::kJson:
      io.out << out.dump() << "\n";
      break;
    case Format::kYaml:
      io.out << JsonToYaml(out.dump());
      break;
    case Format::kName:
      io.out << BASALT_VERSION << "\n";
      break;
    default:
      io.out << "nodectl " << BASALT_VERSION << " (basalt/v1)\n";
  }
  return 0;
}

}  // namespace basalt::client
