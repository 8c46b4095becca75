// nodectl gen config: a complete, commented machine config for a new node.
#include <openssl/rand.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/commands/cluster_secrets.h"
#include "client/commands/commands.h"
#include "client/commands/next_fields.h"
#include "client/commands/schema.h"
#include "client/commands/sealing.h"
#include "client/commands/tokens.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/format/format.h"
#include "machineconfig/merge/set_path.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/seal/config.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

constexpr int kK3sPort = 6443;

std::string RandomHex(size_t bytes) {
  std::string raw(bytes, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(bytes));
  return HexEncode(raw);
}

// URL and CA hash of the server to join. What cannot be learnt now is a warning: the rest of the
// config is still of use, and `validate` asks for nothing that is missing by it.
absl::Status JoinServer(Session& session, const std::string& name, v1::K3s& k3s) {
  absl::StatusOr<InventoryNode> server = session.Node(name);
  if (!server.ok()) return server.status();
  k3s.mutable_cluster()->set_server(
      absl::StrCat("https://", HostOf(server->endpoint), ":", kK3sPort));
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*server);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::Resource> status = (*client)->Get("K3sStatus", "k3s");
  if (status.ok() && !status->k3s_status().ca_hash().empty()) {
    k3s.mutable_cluster()->set_ca_hash(status->k3s_status().ca_hash());
    return absl::OkStatus();
  }
  PrintWarning(
      session.io(),
      absl::StrCat(name,
                   " is not up yet, so k3s.cluster.caHash is left out: the agent would "
                   "believe whoever answers at ",
                   k3s.cluster().server(), " (",
                   status.ok() ? "its K3s has no CA yet" : status.status().message(), ")"));
  return absl::OkStatus();
}

absl::StatusOr<v1::MachineConfig> Build(Session& session, const GenConfigOptions& options) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const Inventory*> inventory = session.inventory();
  if (!inventory.ok()) return inventory.status();
  absl::StatusOr<std::string> ca = ReadFile((*context)->ca);
  if (!ca.ok()) return ca.status();
  absl::StatusOr<seal::SecretBytes> agent_token = ReadToken(session, "agent");
  if (!agent_token.ok()) return agent_token.status();

  v1::MachineConfig config;
  config.set_api_version("basalt/v1");
  config.set_kind("MachineConfig");
  config.mutable_metadata()->set_cluster((*context)->cluster);
  config.mutable_metadata()->set_name(options.name);
  if (const InventoryNode* node = (*inventory)->Find(options.name);
      node != nullptr && !node->fingerprint.empty()) {
    config.mutable_target()->set_machine_id(node->fingerprint);
  }
  v1::ClientCa* owner = config.mutable_api()->add_client_cas();
  owner->set_name("owner");
  owner->set_certificate(*ca);
  owner->add_roles("admin");

  v1::K3s& k3s = *config.mutable_k3s();
  const bool server = options.role == "server";
  k3s.set_role(server ? v1::K3S_ROLE_SERVER : v1::K3S_ROLE_AGENT);
  k3s.set_version(options.version);
  if (server) {
    absl::StatusOr<seal::SecretBytes> token = ReadToken(session, "server");
    if (!token.ok()) return token.status();
    k3s.mutable_token()->set_plain(std::string(token->view()));
  }
  k3s.mutable_agent_token()->set_plain(std::string(agent_token->view()));
  k3s.mutable_node_password()->set_plain(RandomHex(16));
  if (!options.server.empty()) {
    if (absl::Status s = JoinServer(session, options.server, k3s); !s.ok()) return s;
  }
  for (const std::string& assignment : options.set) {
    if (absl::Status s = merge::SetPath(assignment, config); !s.ok()) {
      return s;  // it names the assignment
    }
  }
  if (options.plain) return config;
  if ((*context)->recipients.empty()) {
    PrintWarning(session.io(),
                 absl::StrCat((*context)->path,
                              " lists no recipients: the secrets stand in the clear, keep the file "
                              "private"));
    return config;
  }
  absl::StatusOr<std::vector<seal::Recipient>> recipients = LoadRecipients(session, {}, {});
  if (!recipients.ok()) return recipients.status();
  absl::Status sealed = seal::SealSecrets(config, *recipients, RandomBytes);
  if (!sealed.ok()) return sealed;
  return config;
}

// Comments for the lines of the emitted text that a newcomer has to know about.
std::string Commented(const std::string& yaml, bool has_artifacts, bool sealed) {
  struct Note {
    absl::string_view line;
    absl::string_view before;
  };
  const absl::string_view secrets = sealed ? "  # Secrets are sealed to the recipients of "
                                             "context.yaml, for this field of this node: they\n"
                                             "  # may stand in Git. `nodectl unseal -f FILE "
                                             "k3s.agentToken` shows one, `nodectl seal`\n"
                                             "  # changes it.\n"
                                           : "  # Secrets without !sealed stand in the clear: keep "
                                             "this file private, or seal them with\n"
                                             "  #   nodectl seal -f FILE --all\n";
  const bool has_token = absl::StrContains(yaml, "\n  token:");
  const Note notes[] = {
      {"metadata:", "# epoch, generation and signedAt are filled in by `nodectl sign`.\n"},
      {"target:", "\n# The one machine that may accept this config.\n"},
      {"api:", "\n# Whose certificates the node's API accepts, and as what.\n"},
      {"k3s:", "\n"},
      {has_token ? "  token:" : "  agentToken:", secrets},
      {"  nodePassword:", "  # With it a reflashed node of the same name rejoins.\n"},
      {"  cluster:", "  # The server to join; caHash pins its certificate authority.\n"},
  };
  std::string out =
      "# A machine config of Basalt: what this node is to be. Change it, then\n"
      "#   nodectl plan -f FILE     and     nodectl apply -f FILE\n";
  bool in_k3s = false;
  for (absl::string_view line : absl::StrSplit(yaml, '\n')) {
    if (!line.empty() && line[0] != ' ') in_k3s = line == "k3s:";
    for (const Note& note : notes) {
      const bool k3s_note = absl::StartsWith(note.line, " ");
      if (absl::StartsWith(line, note.line) && k3s_note == (in_k3s && line[0] == ' ')) {
        absl::StrAppend(&out, note.before);
      }
    }
    absl::StrAppend(&out, line, "\n");
    if (in_k3s && absl::StartsWith(line, "  version:") && !has_artifacts) {
      absl::StrAppend(
          &out,
          "  # The K3s binary for each architecture, written by\n"
          "  #   nodectl k3s pin -f FILE --version v1.30.4+k3s1    or    --file PATH\n"
          "  # artifacts:\n"
          "  #   amd64:\n"
          "  #     urls: [https://github.com/k3s-io/k3s/releases/download/v1.30.4%2Bk3s1/k3s]\n"
          "  #     sha256: (64 hex digits)\n");
    }
  }
  while (absl::EndsWith(out, "\n\n")) out.pop_back();
  return out;
}

}  // namespace

absl::StatusOr<int> RunGenConfig(Session& session, const GenConfigOptions& options) {
  Io& io = session.io();
  if (!format::Check(v1::FORMAT_HOSTNAME, options.name).ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-name",
                      absl::StrCat("'", options.name, "' cannot name a node"),
                      "1 to 63 lower-case letters, digits and dashes: --name pi-server-0");
  }
  if (options.role == "agent" && options.server.empty()) {
    bool given = false;
    for (const std::string& set : options.set) {
      given = given || absl::StartsWith(set, "k3s.cluster.server=");
    }
    if (!given) {
      return api::Coded(
          absl::StatusCode::kInvalidArgument, "no-server", "an agent joins a server: which one?",
          "--server NAME of the inventory, or --set k3s.cluster.server=https://HOST:6443");
    }
  }
  absl::StatusOr<v1::MachineConfig> config = Build(session, options);
  if (!config.ok()) return config.status();
  const bool has_artifacts = config->k3s().has_artifacts();
  // The editor's line only where it leads somewhere: a broken one is marked in every file.
  const std::string text = absl::StrCat(EditorLine(options.schema, options.output_file),
                                        WithNextFields(Commented(yaml::Emit(*config), has_artifacts,
                                                                 schema::HasSealedSecrets(*config)),
                                                       *config));
  if (options.output_file.empty() || options.output_file == "-") {
    MakeOutputPrivate(io);
    io.out << text;
  } else {
    if (Exists(options.output_file)) {
      return api::Coded(absl::StatusCode::kAlreadyExists, "file-exists",
                        absl::StrCat(options.output_file, " exists; nothing was changed"),
                        "it may hold the only copy of a node password");
    }
    if (absl::Status s = WriteNewFile(options.output_file, text, 0600); !s.ok()) return s;
  }
  if (!options.schema.empty() && !SchemaIsThere(options.schema)) {
    PrintWarning(io, absl::StrCat("no schema is there yet: nodectl schema -o ", options.schema));
  }
  if (!has_artifacts) {
    io.err << "next: nodectl k3s pin -f "
           << (options.output_file.empty() ? "FILE" : options.output_file) << " --version "
           << config->k3s().version() << "   (or --file PATH of a K3s binary)\n";
  }
  if (!config->has_target()) {
    PrintWarning(io, absl::StrCat(options.name, " is not pinned: nodectl pin ", options.name,
                                  " --node HOST:PORT --fingerprint F, before you sign"));
  }
  return 0;
}

}  // namespace basalt::client
