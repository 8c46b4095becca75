// nodectl seal, unseal and recipient: secrets that may stand in Git.
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/sealing.h"
#include "client/commands/secret_check.h"
#include "client/commands/secret_edit.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/seal/config.h"
#include "machineconfig/seal/limits.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

absl::Status Usage(absl::string_view message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage", message, hint);
}

// From standard input, else typed. The line feed that `echo` adds is not part of a value of one
// line; of several lines (a certificate, a manifest) it is.
absl::StatusOr<std::string> ReadValue(Io& io, const std::string& path) {
  absl::StatusOr<std::string> value = io.in_terminal
                                          ? AskSecret(absl::StrCat("Value of ", path, ": "))
                                          : ReadFile("-", seal::kMaxPlaintext);
  if (!value.ok()) return value.status();
  if (!value->empty() && value->find('\n') == value->size() - 1) value->pop_back();
  if (!value->empty() && value->back() == '\r' && value->find('\n') == std::string::npos) {
    value->pop_back();
  }
  return value;
}

struct Source {
  std::string text;
  v1::MachineConfig config;
};

absl::StatusOr<Source> ReadSource(const std::string& file) {
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  Source out{.text = *std::move(text)};
  yaml::DecodeResult read = yaml::Decode(out.text, file, out.config);
  if (!read.ok()) return api::Invalid(read.errors);
  const v1::Metadata& metadata = out.config.metadata();
  if (metadata.cluster().empty() || metadata.name().empty()) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "no-metadata",
                   absl::StrCat(file, " names no cluster and node: a value is sealed for them"),
                   "add `metadata: {cluster: NAME, name: NODE}` first"),
        "file", file);
  }
  return out;
}

// A value that somebody noted elsewhere in the file (in a comment, say) is not gone by sealing it.
void WarnWhereItStillStands(Io& io, const std::string& file, const std::string& text,
                            const std::string& path, absl::string_view value) {
  constexpr size_t kTelling = 6;  // shorter ones stand anywhere by chance
  const absl::string_view first = value.substr(0, value.find('\n'));
  if (first.size() < kTelling || absl::StartsWith(first, "-----BEGIN")) return;
  const size_t at = text.find(first.data(), 0, first.size());
  if (at == std::string::npos) return;
  const auto line = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n') + 1;
  PrintWarning(io, absl::StrCat(file, ":", line, ": the value of ", path,
                                " still stands here in the clear"));
}

absl::StatusOr<int> SealInFile(Session& session, const SealOptions& options) {
  Io& io = session.io();
  absl::StatusOr<Source> source = ReadSource(options.file);
  if (!source.ok()) return source.status();
  if (!options.all) {
    if (absl::Status s = CheckSecretPath(options.path); !s.ok()) return s;
  }
  absl::StatusOr<std::vector<seal::Recipient>> recipients =
      LoadRecipients(session, options.recipients, options.recipient_files);
  if (!recipients.ok()) return recipients.status();
  if (options.recipients.empty() && options.recipient_files.empty()) {
    const std::string& cluster = (*session.context())->cluster;  // it was read just now
    if (source->config.metadata().cluster() != cluster) {
      return api::WithDetail(
          api::Coded(
              absl::StatusCode::kInvalidArgument, "wrong-cluster",
              absl::StrCat(options.file, " is for cluster ", source->config.metadata().cluster(),
                           ", the context is ", cluster),
              "its owner might not be able to open it: choose the context of that "
              "cluster with --context, or name --recipient"),
          "file", options.file);
    }
  }
  std::vector<std::pair<std::string, std::string>> values;
  if (options.all) {
    schema::VisitSecrets(source->config, [&](const std::string& path, v1::Secret& secret) {
      if (secret.has_plain() && !secret.plain().empty()) values.emplace_back(path, secret.plain());
    });
    if (values.empty()) {
      io.err << options.file << ": no secret stands in the clear\n";
      return 0;
    }
  } else {
    absl::StatusOr<std::string> value = ReadValue(io, options.path);
    if (!value.ok()) return value.status();
    values.emplace_back(options.path, *std::move(value));
  }
  std::vector<api::Violation> wrong;
  for (const auto& [path, value] : values) {
    if (absl::Status s = seal::CheckValue(value); !s.ok()) {
      return api::InFile(api::WithDetail(api::Annotate(s, path), "path", path), options.file);
    }
    const SecretFindings found = CheckSecretValue(source->config, path, value, options.file);
    wrong.insert(wrong.end(), found.errors.begin(), found.errors.end());
    PrintViolations(io, "warning", found.warnings);
  }
  if (!wrong.empty()) return api::Invalid(wrong);
  std::string text = source->text;
  for (const auto& [path, value] : values) {
    absl::StatusOr<std::string> armored =
        seal::SealField(seal::FieldOf(source->config, path), value, *recipients, RandomBytes);
    if (!armored.ok()) return api::Annotate(armored.status(), path);
    absl::StatusOr<std::string> edited = EditSecret(text, options.file, path, *armored);
    if (!edited.ok()) return edited.status();
    text = *std::move(edited);
  }
  if (absl::Status s = EditFileAtomically(options.file, text); !s.ok()) return s;
  for (const auto& [path, value] : values) {
    io.err << "sealed " << path << " to " << recipients->size()
           << (recipients->size() == 1 ? " recipient" : " recipients") << ": " << options.file
           << "\n";
    WarnWhereItStillStands(io, options.file, text, path, value);
  }
  return 0;
}

}  // namespace

absl::StatusOr<int> RunSeal(Session& session, const SealOptions& options) {
  if (options.all != options.path.empty()) {
    return options.all ? Usage("--all and a field together", "leave one of them out")
                       : Usage("which field?", "nodectl seal -f n1.yaml k3s.token, or --all");
  }
  if (!options.file.empty()) {
    if (!options.name.empty() || !options.cluster.empty()) {
      return Usage("--cluster and --name are those of the file", "leave them out");
    }
    return SealInFile(session, options);
  }
  if (options.all) return Usage("--all of which file?", "nodectl seal -f n1.yaml --all");
  if (absl::Status s = CheckSecretPath(options.path); !s.ok()) return s;
  if (options.name.empty()) {
    return Usage("for which node? A value is sealed for one", "-f FILE of its config, or --name");
  }
  seal::FieldContext field{.cluster = options.cluster, .name = options.name, .path = options.path};
  if (field.cluster.empty()) {
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    field.cluster = (*context)->cluster;
  }
  absl::StatusOr<std::vector<seal::Recipient>> recipients =
      LoadRecipients(session, options.recipients, options.recipient_files);
  if (!recipients.ok()) return recipients.status();
  absl::StatusOr<std::string> value = ReadValue(session.io(), options.path);
  if (!value.ok()) return value.status();
  if (absl::Status s = seal::CheckValue(*value); !s.ok()) {
    return api::WithDetail(s, "path", options.path);
  }
  const SecretFindings found = CheckSecretValue({}, options.path, *value, "");
  if (!found.errors.empty()) return api::Invalid(found.errors);
  absl::StatusOr<std::string> armored = seal::SealField(field, *value, *recipients, RandomBytes);
  if (!armored.ok()) return armored.status();
  session.io().out << *armored;
  return 0;
}

absl::StatusOr<int> RunUnseal(Session& session, const UnsealOptions& options) {
  Io& io = session.io();
  if (absl::Status s = CheckSecretPath(options.path); !s.ok()) return s;
  absl::StatusOr<Source> source = ReadSource(options.file);
  if (!source.ok()) return source.status();
  bool found = false;
  std::string armored;
  schema::VisitSecrets(source->config, [&](const std::string& path, v1::Secret& secret) {
    if (path != options.path) return;
    found = true;
    armored = secret.sealed();
  });
  if (armored.empty()) {
    return api::WithDetail(api::Coded(absl::StatusCode::kNotFound, "not-sealed",
                                      absl::StrCat(options.file, ": ", options.path,
                                                   found ? " is not sealed" : " is not there")),
                           "file", options.file);
  }
  absl::StatusOr<std::vector<seal::Identity>> identities =
      LoadIdentities(session, options.identities);
  if (!identities.ok()) return identities.status();
  absl::StatusOr<seal::SecretBytes> value =
      seal::OpenField(seal::FieldOf(source->config, options.path), armored, *identities);
  if (!value.ok()) {
    return api::Annotate(value.status(), absl::StrCat(options.file, ": ", options.path));
  }
  if (io.out_terminal) {
    io.out << Escape(value->view(), true) << "\n";
  } else {
    MakeOutputPrivate(io);
    io.out << value->view();
  }
  return 0;
}

absl::StatusOr<int> RunRecipient(Session& session, const RecipientOptions& options) {
  std::vector<std::string> texts;
  if (options.identities.empty()) {
    absl::StatusOr<std::vector<seal::Recipient>> recipients = LoadRecipients(session, {}, {});
    if (!recipients.ok()) return recipients.status();
    for (const seal::Recipient& one : *recipients) texts.push_back(one.Text());
  } else {
    absl::StatusOr<std::vector<seal::Identity>> identities =
        LoadIdentities(session, options.identities);
    if (!identities.ok()) return identities.status();
    for (const seal::Identity& one : *identities) texts.push_back(one.recipient().Text());
  }
  Io& io = session.io();
  const nlohmann::ordered_json out{{"recipients", texts}};
  if (io.json()) {
    io.out << out.dump() << "\n";
  } else if (io.format == Format::kYaml) {
    io.out << JsonToYaml(out.dump());
  } else {
    for (const std::string& text : texts) io.out << text << "\n";
  }
  return 0;
}

}  // namespace basalt::client
