#include "client/commands/sealed_text.h"

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/inputs.h"
#include "client/commands/sealing.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/seal/config.h"
#include "machineconfig/seal/field.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/layout.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::client {
namespace {

// Where the values of fields stand in a text.
class Values {
 public:
  Values(const std::string& text, const yaml::SourceMap& source)
      : source_(source),
        tree_(yaml::ParseTree(text, "", none_)),
        layout_(yaml::Layout(text, tree_)) {}

  struct Place {
    size_t begin = 0, end = 0;
    int column = 0;
  };
  std::optional<Place> Of(const std::string& path) const {
    auto at = source_.find(path);
    if (at == source_.end() || !layout_) return std::nullopt;
    for (size_t i = 0; i < tree_.nodes.size(); ++i) {
      const yaml::Node& node = tree_.nodes[i];
      if (node.line != at->second.line || node.column != at->second.column || node.next < 0) {
        continue;
      }
      if (!node.scalar()) continue;
      const yaml::Extent& value = (*layout_)[static_cast<size_t>(node.next)];
      return Place{value.begin, value.end, node.column};
    }
    return std::nullopt;
  }

 private:
  std::vector<api::Violation> none_;
  const yaml::SourceMap& source_;
  yaml::Tree tree_;
  std::optional<std::vector<yaml::Extent>> layout_;
};

std::map<std::string, v1::Secret> SecretsOf(v1::MachineConfig config) {
  std::map<std::string, v1::Secret> out;
  schema::VisitSecrets(
      config, [&](const std::string& path, v1::Secret& secret) { out.emplace(path, secret); });
  return out;
}

absl::Status At(const absl::Status& status, const std::string& file, const std::string& path) {
  return api::InFile(api::WithDetail(api::Annotate(status, path), "path", path), file);
}

}  // namespace

absl::StatusOr<OpenedText> OpenText(const std::string& text, const std::string& file,
                                    const std::vector<seal::Identity>& identities) {
  v1::MachineConfig config;
  const yaml::DecodeResult read = yaml::Decode(text, file, config);
  if (!read.ok()) return api::Invalid(read.errors);
  OpenedText out;
  std::vector<api::Violation> wrong;
  v1::MachineConfig opened = config;
  schema::VisitSecrets(opened, [&](const std::string& path, v1::Secret& secret) {
    if (!secret.has_sealed()) return;
    absl::StatusOr<seal::SecretBytes> value =
        seal::OpenField(seal::FieldOf(config, path), secret.sealed(), identities);
    const absl::Status status = value.ok() ? seal::CheckValue(value->view()) : value.status();
    if (status.ok()) {
      out.values.emplace(path, value->view());
      return secret.set_plain(std::string(value->view()));
    }
    auto at = read.source.find(path);
    const yaml::Position position = at == read.source.end() ? yaml::Position{} : at->second;
    wrong.push_back({.reason = api::Reason(status),
                     .file = file,
                     .line = position.line,
                     .column = position.column,
                     .path = path,
                     .message = std::string(status.message()),
                     .hint = api::Hint(status)});
  });
  if (!wrong.empty()) return api::Invalid(wrong);
  absl::StatusOr<std::string> rewritten = merge::Rewrite(text, file, opened);
  if (!rewritten.ok()) return rewritten.status();
  out.text = *std::move(rewritten);
  return out;
}

absl::StatusOr<std::string> SealText(
    const std::string& original, const OpenedText& opened, const std::string& edited,
    const std::string& file,
    const std::function<absl::StatusOr<std::vector<seal::Recipient>>()>& load_recipients,
    std::vector<std::string>& sealed) {
  if (edited == opened.text) return original;
  v1::MachineConfig before, config;
  const yaml::DecodeResult old = yaml::Decode(original, file, before);
  const yaml::DecodeResult read = yaml::Decode(edited, file, config);
  if (!old.ok() || !read.ok()) return api::Invalid(old.ok() ? read.errors : old.errors);
  const std::map<std::string, v1::Secret> was = SecretsOf(before);
  std::optional<std::vector<seal::Recipient>> recipients;
  std::vector<std::string> same;
  absl::Status failed = absl::OkStatus();
  schema::VisitSecrets(config, [&](const std::string& path, v1::Secret& secret) {
    if (!failed.ok() || !secret.has_plain() || secret.plain().empty()) return;
    auto value = opened.values.find(path);
    auto old_secret = was.find(path);
    if (value != opened.values.end() && value->second == secret.plain() &&
        before.metadata().name() == config.metadata().name() &&
        before.metadata().cluster() == config.metadata().cluster()) {
      same.push_back(path);
      secret.set_sealed(old_secret->second.sealed());
      return;
    }
    // What stood in the clear and is the same stays as it was written.
    if (old_secret != was.end() && old_secret->second.has_plain() &&
        old_secret->second.plain() == secret.plain()) {
      return;
    }
    if (!recipients) {
      absl::StatusOr<std::vector<seal::Recipient>> loaded = load_recipients();
      if (!loaded.ok()) {
        failed = loaded.status();
        return;
      }
      recipients = *std::move(loaded);
    }
    absl::Status good = seal::CheckValue(secret.plain());
    absl::StatusOr<std::string> armored =
        good.ok()
            ? seal::SealField(seal::FieldOf(config, path), secret.plain(), *recipients, RandomBytes)
            : absl::StatusOr<std::string>(good);
    if (!armored.ok()) {
      failed = At(armored.status(), file, path);
      return;
    }
    sealed.push_back(path);
    secret.set_sealed(*std::move(armored));
  });
  if (!failed.ok()) return failed;
  absl::StatusOr<std::string> out = merge::Rewrite(edited, file, config);
  if (!out.ok()) return out;
  // The rewriter writes a sealed block its own way; what did not change keeps the way it had.
  const Values from(original, old.source);
  for (const std::string& path : same) {
    v1::MachineConfig current;
    const yaml::DecodeResult now = yaml::Decode(*out, file, current);
    const auto place = Values(*out, now.source).Of(path);
    const auto old_place = from.Of(path);
    if (!place || !old_place || place->column != old_place->column) continue;
    std::string with = *out;
    with.replace(place->begin, place->end - place->begin,
                 original.substr(old_place->begin, old_place->end - old_place->begin));
    v1::MachineConfig again;
    if (yaml::Decode(with, file, again).ok() &&
        again.SerializeAsString() == current.SerializeAsString()) {
      *out = std::move(with);
    }
  }
  return out;
}

}  // namespace basalt::client
