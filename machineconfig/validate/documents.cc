#include <map>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/format/format.h"
#include "machineconfig/format/time.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

void CheckOrder(absl::string_view early, absl::string_view late, absl::string_view path,
                absl::string_view message, Report& report) {
  const auto a = format::ParseTimestamp(early);
  const auto b = format::ParseTimestamp(late);
  if (a.ok() && b.ok() && *a >= *b) report.Error(path, "bad-order", message);
}

// Where leaving a list out means all, one that stands there empty would say the opposite of what it
// looks like.
void CheckWrittenEmpty(bool empty, const std::string& path, Report& report) {
  if (!empty || !report.Written(path)) return;
  report.Error(path, "empty-list", "stands there empty, which would mean all",
               "list what is meant, or leave it out for all");
}

}  // namespace

void CheckTarget(const v1::Target& target, absl::string_view path, Report& report) {
  if (!target.has_machine_id() && !target.has_serial() && !target.has_mac() &&
      !target.has_medium_id()) {
    return report.Error(path, "required", "the target names no machine",
                        "machineId; `nodectl pin` records it");
  }
  if (!target.has_machine_id()) return;
  for (const auto& [present, name] :
       {std::make_pair(target.has_serial(), "serial"), std::make_pair(target.has_mac(), "mac"),
        std::make_pair(target.has_medium_id(), "mediumId")}) {
    if (present) {
      report.Warning(schema::Child(path, name), "ignored", "ignored beside machineId", "remove it");
    }
  }
}

void CheckMetadata(const v1::MachineConfig& config, Stage stage, Report& report) {
  const v1::Metadata& metadata = config.metadata();
  CheckOrder(metadata.not_before(), metadata.not_after(), "metadata.notAfter",
             "must be later than notBefore", report);
  CheckOrder(metadata.signed_at(), metadata.not_after(), "metadata.notAfter",
             "must be later than signedAt", report);
  if (metadata.apply().has_confirm_within() && metadata.apply().mode() != v1::APPLY_MODE_TRY) {
    report.Warning("metadata.apply.confirmWithin", "ignored", "has a meaning with mode `try` only",
                   "write mode: try");
  }
  // nodectl fills in the target of a source.
  if (config.has_target() && (stage == Stage::kComplete || config.target().ByteSizeLong() > 0)) {
    CheckTarget(config.target(), "target", report);
  }
  CheckWrittenEmpty(config.api().allowed_networks().empty(), "api.allowedNetworks", report);
  if (config.api().client_cas().empty()) {
    report.Warning("api.clientCas", "no-readers",
                   "without client CAs nobody can read this node's state",
                   "name the CA that `nodectl init` made, with roles: [admin]");
  }
}

void CheckTrustPolicy(const v1::TrustPolicy& policy, Report& report) {
  std::set<std::string> names;
  std::map<std::string, std::string> by_text;  // public key → name
  for (const v1::TrustKey& key : policy.keys()) {
    names.insert(key.name());
    // Comments of OpenSSH lines and line ends do not make another key.
    std::string text(absl::StripAsciiWhitespace(key.public_key()));
    if (text.rfind("ssh-", 0) == 0 || text.rfind("ecdsa-", 0) == 0 || text.rfind("sk-", 0) == 0) {
      const size_t comment = text.find(' ', text.find(' ') + 1);
      if (comment != std::string::npos) text.resize(comment);
    }
    auto [it, fresh] = by_text.try_emplace(text, key.name());
    if (!fresh && !text.empty()) {
      report.Error(schema::Child(schema::Element("keys", key.name()), "publicKey"), "duplicate-key",
                   absl::StrCat("is the same key as that of `", it->second, "`"));
    }
  }
  const std::set<std::string> revoked(policy.revoked().begin(), policy.revoked().end());
  const std::set<std::string> root(policy.root().keys().begin(), policy.root().keys().end());

  auto check_keys = [&](const auto& keys, int64_t threshold, const std::string& path) {
    for (int i = 0; i < keys.size(); ++i) {
      const std::string here = schema::Element(schema::Child(path, "keys"), i);
      if (names.count(keys[i]) == 0) {
        const std::string near =
            schema::Nearest(keys[i], std::vector<absl::string_view>(names.begin(), names.end()));
        report.Error(here, "unknown-key", "no key of this name stands under `keys`",
                     near.empty() ? "" : absl::StrCat("did you mean `", near, "`?"));
      }
      if (revoked.count(keys[i]) != 0) {
        report.Error(here, "revoked-key", "the key is revoked", "remove it here");
      }
    }
    const std::set<std::string> distinct(keys.begin(), keys.end());
    if (!keys.empty() && threshold > static_cast<int64_t>(distinct.size())) {
      report.Error(
          schema::Child(path, "threshold"), "out-of-range",
          absl::StrCat("cannot be met: ", threshold, " signers of ", distinct.size(), " keys"),
          absl::StrCat("at most ", distinct.size(), ", or name more keys under `",
                       schema::Child(path, "keys"), "`; a key that stands twice counts once"));
    }
  };
  const int64_t root_threshold = policy.root().has_threshold() ? policy.root().threshold() : 1;
  check_keys(policy.root().keys(), root_threshold, "root");
  for (int i = 0; i < policy.grants_size(); ++i) {
    const v1::Grant& grant = policy.grants(i);
    const std::string path = schema::Element("grants", i);
    check_keys(grant.keys(), grant.has_threshold() ? grant.threshold() : 1, path);
    for (int j = 0; j < grant.keys_size(); ++j) {
      if (root.count(grant.keys(j)) == 0) continue;
      report.Error(schema::Element(schema::Child(path, "keys"), j), "root-in-grant",
                   "a root key signs trust policies and nothing else",
                   "use a key of its own for the grant");
    }
    CheckWrittenEmpty(grant.paths().empty(), schema::Child(path, "paths"), report);
    CheckWrittenEmpty(grant.labels().empty(), schema::Child(path, "labels"), report);
    CheckWrittenEmpty(grant.verbs().empty(), schema::Child(path, "verbs"), report);
    if (grant.for_() != "machineconfig" && !grant.labels().empty()) {
      report.Error(schema::Child(path, "labels"), "conflict",
                   "labels belong to grants for machineconfig: nothing else has any",
                   "remove them, or write `for: machineconfig`");
    }
    // One that no node can have would scope the grant to nothing.
    for (const auto& [key, value] : grant.labels()) {
      for (const absl::Status& status : {format::Check(v1::FORMAT_LABEL_KEY, key),
                                         format::Check(v1::FORMAT_LABEL_VALUE, value)}) {
        if (status.ok()) continue;
        report.Error(schema::Element(schema::Child(path, "labels"), key), "bad-format",
                     status.message());
      }
    }
    CheckGrantPaths(grant, path, report);
    const bool is_action = grant.for_() == "action" || grant.for_() == "breakglass";
    if (grant.for_() == "breakglass" && grant.verbs().empty()) {
      report.Error(schema::Child(path, "verbs"), "required",
                   "a breakglass grant lists the verbs it allows", "for example [clusterReset]");
    }
    if (!is_action && !grant.verbs().empty()) {
      report.Error(schema::Child(path, "verbs"), "conflict",
                   "verbs belong to grants for action and breakglass",
                   "remove them, or write `for: action`");
    }
    if (grant.for_() != "machineconfig" && !grant.paths().empty()) {
      report.Error(schema::Child(path, "paths"), "conflict",
                   "paths belong to grants for machineconfig",
                   "remove them, or write `for: machineconfig`");
    }
  }
  for (int i = 0; i < policy.revoked_size(); ++i) {
    if (names.count(policy.revoked(i)) == 0) {
      report.Error(schema::Element("revoked", i), "unknown-key",
                   "no key of this name stands under `keys`",
                   "a revoked key stays listed, so that its signatures are named");
    }
  }
}

void CheckAction(const v1::Action& action, Report& report) {
  if (action.has_target()) CheckTarget(action.target(), "target", report);
  const auto signed_at = format::ParseTimestamp(action.signed_at());
  const auto not_after = format::ParseTimestamp(action.not_after());
  if (!signed_at.ok() || !not_after.ok()) return;
  if (*not_after <= *signed_at) {
    report.Error("notAfter", "bad-order", "must be later than signedAt");
  } else if (*not_after > *signed_at + absl::Hours(24)) {
    report.Error("notAfter", "out-of-range", "must be at most 24 hours after signedAt");
  }
}

}  // namespace basalt::validate
