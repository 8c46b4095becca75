// nodectl trust add-key, revoke-key, grant, ungrant, rotate, epoch, adopt and apply.
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/trust_edit.h"
#include "client/commands/trust_next.h"
#include "client/commands/trust_store.h"
#include "client/commands/trust_words.h"
#include "client/context/files.h"
#include "client/context/passphrase.h"
#include "client/context/ssh_agent.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

// A file, or the text of a key itself: "ssh-ed25519 AAAA...".
absl::StatusOr<std::string> ReadPublicKey(const std::string& given) {
  if (!Exists(given)) {
    absl::StatusOr<sign::PublicKey> line = sign::PublicKey::Parse(given);
    if (line.ok()) return given;
    // A line that was cut off is no name of a file.
    if (absl::StrContains(given, ' ')) return line.status();
  }
  absl::StatusOr<std::string> text = ReadFile(given, 64 << 10);
  if (!text.ok()) return text.status();
  absl::StatusOr<sign::PublicKey> key = sign::PublicKey::Parse(*text);
  if (key.ok()) return text;
  // Easily done, and the remedy is near.
  if (absl::StrContains(*text, "PRIVATE KEY")) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-key",
                      absl::StrCat(given, " is a private key, which goes into no policy"),
                      "its public half: openssl pkey -in FILE -pubout, or FILE.pub of ssh-keygen");
  }
  return api::InFile(key.status(), given);
}

struct NewKey {
  sign::PrivateKey key;
  std::string path;
  std::string pem;
};

absl::StatusOr<NewKey> Generate(Session& session, const std::string& name, bool no_passphrase) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  NewKey out{.key = sign::PrivateKey::GenerateEd25519(),
             .path = JoinPath(DirectoryOf((*context)->key), name + ".key")};
  if (Exists(out.path)) {
    return api::Coded(absl::StatusCode::kAlreadyExists, "file-exists",
                      absl::StrCat(out.path, " exists; nothing was changed"),
                      "keys that exist are never overwritten: choose another name");
  }
  std::string passphrase;
  if (!no_passphrase) {
    absl::StatusOr<std::string> chosen = NewPassphrase(session.passphrase());
    if (!chosen.ok()) return chosen.status();
    passphrase = *std::move(chosen);
  }
  out.pem = out.key.Pem(passphrase);
  return out;
}

absl::Status Usage(const std::string& what, const std::string& hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage", what, hint);
}

absl::StatusOr<NextVersion> Begin(Session& session) {
  absl::StatusOr<v1::TrustPolicy> current = CurrentPolicy(session);
  if (!current.ok()) return current.status();
  return NextVersion{.policy = NextOf(*current)};
}

absl::StatusOr<int> End(Session& session, const TrustEditOptions& options,
                        const NextVersion& next) {
  absl::StatusOr<Outcome> made = MakeNext(session, options, next);
  if (!made.ok()) return made.status();
  return made->code;
}

bool IsRoot(const v1::TrustPolicy& policy, const std::string& name) {
  for (const std::string& root : policy.root().keys()) {
    if (root == name) return true;
  }
  return false;
}

// The context signs with the key that was replaced: from now on with the new one, where its file is
// known. A line in place, so that a person's comments stay.
absl::Status FollowRotation(Session& session, const std::string& old_name,
                            const std::string& new_file) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  const std::string keys = DirectoryOf((*context)->key);
  if ((*context)->key != JoinPath(keys, old_name + ".key")) return absl::OkStatus();
  std::string shown = new_file;
  const std::string below = AbsolutePath((*context)->directory) + "/";
  if (absl::StartsWith(AbsolutePath(new_file), below)) {
    shown = AbsolutePath(new_file).substr(below.size());
  }
  absl::StatusOr<std::string> text = ReadFile((*context)->path);
  if (!text.ok()) return text.status();
  const std::string old_line = absl::StrCat("\nkey: keys/", old_name, ".key\n");
  if (new_file.empty() || !absl::StrContains(*text, old_line)) {
    PrintWarning(session.io(),
                 absl::StrCat((*context)->path, " still signs with ", (*context)->key,
                              ": write `key: FILE` of the new key there, or give --key"));
    return absl::OkStatus();
  }
  session.io().err << (*context)->path << ": signs with " << shown << " from now on\n";
  return EditFileAtomically(
      (*context)->path,
      absl::StrReplaceAll(*text, {{old_line, absl::StrCat("\nkey: ", shown, "\n")}}));
}

}  // namespace

absl::StatusOr<int> RunTrustAddKey(Session& session, const AddKeyOptions& options) {
  if (options.generate == !options.public_key.empty()) {
    return Usage("either --public-key or --generate", "--public-key FILE, or the line itself");
  }
  const bool grants = !options.for_what.empty();
  if (options.root && grants) {
    return Usage("--root and --for exclude each other: a root key signs trust policies alone",
                 "add two keys");
  }
  if (!grants && !(options.paths.empty() && options.labels.empty() && options.verbs.empty())) {
    return Usage("--path, --label and --verb belong to a grant", "--for machineconfig");
  }
  absl::StatusOr<NextVersion> next = Begin(session);
  if (!next.ok()) return next.status();
  std::string text;
  if (options.generate) {
    absl::StatusOr<NewKey> made = Generate(session, options.name, options.no_passphrase);
    if (!made.ok()) return made.status();
    text = made->key.public_key().Pem();
    next->new_files.emplace_back(made->path, made->pem);
    if (options.root) next->signers.push_back(made->key);
  } else {
    absl::StatusOr<std::string> read = ReadPublicKey(options.public_key);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  if (absl::Status s = AddKey(next->policy, options.name, text); !s.ok()) return s;
  if (options.root) {
    absl::Status s = AddRoot(next->policy, options.name, options.threshold);
    if (!s.ok()) return s;
    // One signature of the new key is enough of it; where the old roots suffice it needs none.
    if (next->policy.root().threshold() <= 1) next->signers.clear();
  }
  if (grants) {
    absl::Status s = AddGrant(next->policy, {.for_what = options.for_what,
                                             .keys = {options.name},
                                             .threshold = options.threshold,
                                             .paths = options.paths,
                                             .labels = options.labels,
                                             .verbs = options.verbs});
    if (!s.ok()) return s;
  }
  return End(session, options.edit, *next);
}

absl::StatusOr<int> RunTrustRevokeKey(Session& session, const RevokeKeyOptions& options) {
  absl::StatusOr<NextVersion> next = Begin(session);
  if (!next.ok()) return next.status();
  if (absl::Status s = RevokeKey(next->policy, options.name, options.threshold); !s.ok()) return s;
  return End(session, options.edit, *next);
}

absl::StatusOr<int> RunTrustGrant(Session& session, const TrustGrantOptions& options) {
  absl::StatusOr<NextVersion> next = Begin(session);
  if (!next.ok()) return next.status();
  absl::Status added = AddGrant(next->policy, {.for_what = options.for_what,
                                               .keys = options.keys,
                                               .threshold = options.threshold,
                                               .paths = options.paths,
                                               .labels = options.labels,
                                               .verbs = options.verbs});
  if (!added.ok()) return added;
  // Grants only add: a stricter one beside a wider one binds nobody.
  const v1::Grant& last = next->policy.grants(next->policy.grants_size() - 1);
  for (int i = 0; i + 1 < next->policy.grants_size(); ++i) {
    const v1::Grant& wider = next->policy.grants(i);
    if (wider.for_() != last.for_() || !wider.paths().empty() || !wider.labels().empty() ||
        wider.threshold() >= last.threshold()) {
      continue;
    }
    PrintWarning(session.io(),
                 absl::StrCat("grant ", i + 1, " (", GrantWords(wider),
                              ") still allows the same with fewer signatures: nodectl trust "
                              "ungrant ",
                              i + 1, " takes it away"));
  }
  return End(session, options.edit, *next);
}

absl::StatusOr<int> RunTrustUngrant(Session& session, const UngrantOptions& options) {
  absl::StatusOr<NextVersion> next = Begin(session);
  if (!next.ok()) return next.status();
  if (absl::Status s = RemoveGrant(next->policy, options.number); !s.ok()) return s;
  return End(session, options.edit, *next);
}

absl::StatusOr<int> RunTrustRotate(Session& session, const RotateOptions& options) {
  if (options.generate && !(options.new_key.empty() && options.new_public_key.empty())) {
    return Usage(
        "--generate makes the new key: --new-key and --new-public-key name one that "
        "exists",
        "one or the other");
  }
  if (!options.generate && options.new_key.empty() && options.new_public_key.empty()) {
    return Usage("which key takes its place?",
                 "--new-key FILE, --new-public-key FILE or the line itself, or --generate");
  }
  absl::StatusOr<NextVersion> next = Begin(session);
  if (!next.ok()) return next.status();
  const std::string name = options.as.empty() ? NextName(next->policy, options.name) : options.as;
  const bool is_root = IsRoot(next->policy, options.name);
  TrustEditOptions edit = options.edit;
  std::string text, new_file;
  if (!options.new_public_key.empty()) {
    absl::StatusOr<std::string> read = ReadPublicKey(options.new_public_key);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  if (options.generate) {
    absl::StatusOr<NewKey> made = Generate(session, name, options.no_passphrase);
    if (!made.ok()) return made.status();
    text = made->key.public_key().Pem();
    new_file = made->path;
    next->new_files.emplace_back(made->path, made->pem);
    if (is_root) next->signers.push_back(made->key);
  } else if (absl::StartsWith(options.new_key, kAgentPrefix)) {
    if (text.empty()) {
      return Usage("a key of ssh-agent needs --new-public-key: the policy holds the public half",
                   "--new-public-key ~/.ssh/id_ed25519.pub");
    }
    if (is_root) edit.signing.keys.push_back(options.new_key);
    new_file = options.new_key;
  } else if (!options.new_key.empty()) {
    absl::StatusOr<sign::PrivateKey> key = LoadKey(options.new_key, session.passphrase());
    if (!key.ok()) return key.status();
    if (text.empty()) text = key->public_key().Pem();
    absl::StatusOr<sign::PublicKey> half = sign::PublicKey::Parse(text);
    if (!half.ok() || half->raw() != key->public_key().raw()) {
      return Usage("--new-public-key is not the public half of --new-key", "leave it out");
    }
    if (is_root) next->signers.push_back(*std::move(key));
    new_file = options.new_key;
  }
  if (absl::Status s = RotateKey(next->policy, options.name, name, text); !s.ok()) return s;
  absl::StatusOr<Outcome> made = MakeNext(session, edit, *next);
  if (!made.ok()) return made.status();
  if (made->complete) {
    absl::Status followed = FollowRotation(session, options.name, new_file);
    if (!followed.ok()) return followed;
  }
  return made->code;
}

absl::StatusOr<int> RunTrustEpoch(Session& session, const EpochOptions& options) {
  absl::StatusOr<NextVersion> next = Begin(session);
  if (!next.ok()) return next.status();
  if (absl::Status s = RaiseEpoch(next->policy, options.epoch); !s.ok()) return s;
  return End(session, options.edit, *next);
}

absl::StatusOr<int> RunTrustAdopt(Session& session, const AdoptOptions& options) {
  Io& io = session.io();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  const int64_t before = (*trust)->policy.version();
  absl::StatusOr<v1::TrustChain> update = ReadChain(options.file);
  if (!update.ok()) return update.status();
  absl::StatusOr<sign::VerifiedChain> kept = Adopt(session, *update);
  if (!kept.ok()) return api::InFile(kept.status(), options.file);
  const int64_t version = kept->policy.version();
  if (io.json() || io.format == Format::kYaml) {
    const nlohmann::ordered_json out{
        {"version", version}, {"epoch", kept->policy.epoch()}, {"unchanged", version == before}};
    io.out << (io.json() ? out.dump() + "\n" : JsonToYaml(out.dump()));
    return 0;
  }
  io.out << "trust version " << version << ", epoch " << kept->policy.epoch()
         << (version == before ? " (unchanged)" : "") << "\n";
  if (version != before) PrintDelivery(session, version);
  return 0;
}

absl::StatusOr<int> RunTrustApply(Session& session, const TrustApplyOptions& options) {
  Io& io = session.io();
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  const std::string file = options.file.empty() ? (*context)->trust : options.file;
  absl::StatusOr<v1::TrustChain> chain = ReadChain(file);
  if (!chain.ok()) return chain.status();
  if (chain->policies().empty()) return sign::VerifyChain(*chain).status();
  absl::StatusOr<v1::TrustPolicy> head =
      validate::LoadAcceptedTrustPolicy(chain->policies(0).payload());
  if (head.ok() && head->version() > 1) {
    // The end of a chain: it is kept here first, and nodes are given the whole.
    absl::StatusOr<sign::VerifiedChain> kept = Adopt(session, *chain);
    if (!kept.ok()) return api::InFile(kept.status(), file);
    *chain = kept->chain;
  }
  absl::StatusOr<sign::VerifiedChain> verified = sign::VerifyChain(*chain);
  if (!verified.ok()) return api::InFile(verified.status(), file);
  std::vector<std::string> names = options.nodes;
  if (names.empty()) names.push_back("");
  absl::Status first;
  for (size_t i = 0; i < names.size(); ++i) {
    absl::Status status = [&] {
      absl::StatusOr<InventoryNode> node = session.Node(names[i]);
      if (!node.ok()) return node.status();
      absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
      if (!client.ok()) return client.status();
      v1::ApplyTrustRequest request;
      *request.mutable_chain() = *chain;
      absl::StatusOr<v1::ApplyTrustReply> reply = (*client)->ApplyTrust(request);
      if (!reply.ok()) return AtNode(reply.status(), node->name);
      if (io.json()) {
        io.out << ToPrettyJson(*reply) << "\n";
      } else if (io.format == Format::kYaml) {
        io.out << (names.size() > 1 ? "---\n" : "") << ToYaml(*reply);
      } else {
        io.out << node->name << ": trust version " << reply->version() << ", epoch "
               << reply->epoch() << (reply->unchanged() ? " (unchanged)" : "") << "\n";
      }
      return absl::OkStatus();
    }();
    if (status.ok()) continue;
    // The others are told all the same: a key that is revoked must not wait for a node that is off.
    if (first.ok()) {
      first = status;
    } else {
      PrintError(io, status);
    }
  }
  if (!first.ok()) return first;
  return 0;
}

}  // namespace basalt::client
