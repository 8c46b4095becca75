// What K3s deploys, what the owner deploys beside it, and hardening.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/k3s_rules.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::validate {
namespace {

std::vector<absl::string_view> Packaged() {
  std::vector<absl::string_view> names;
  for (const schema::K3sValue& value : schema::FindK3sKey("disable")->values) {
    names.push_back(value.name);
  }
  return names;
}

// K3s says nothing to a component that it does not have: the misspelt one goes on running.
void CheckDisabled(const K3sFacts& facts, Report& report) {
  const std::vector<absl::string_view> known = Packaged();
  for (const char* key : {"disable", "no-deploy"}) {
    for (const Placed& placed : facts.Values(key)) {
      const std::string& name = placed.value;
      if (name.empty() || std::find(known.begin(), known.end(), name) != known.end()) continue;
      const auto& manifests = facts.k3s.manifests();
      if (std::any_of(manifests.begin(), manifests.end(),
                      [&](const auto& manifest) { return manifest.name() == name; })) {
        report.Warning(placed.path, "likely-mistake",
                       absl::StrCat("does nothing to the manifest ", yaml::QuotedText(name),
                                    " of k3s.manifests"),
                       "take it out of k3s.manifests, and noded removes it");
        continue;
      }
      const std::string near = schema::Nearest(name, known);
      report.Warning(placed.path, "unknown-component",
                     absl::StrCat("K3s has no component ", yaml::QuotedText(name.substr(0, 64))),
                     near.empty() ? absl::StrCat("it has ", absl::StrJoin(known, ", "))
                                  : absl::StrCat("did you mean `", near, "`?"));
    }
  }
  if (facts.Disables("servicelb") && facts.Has("servicelb-namespace")) {
    report.Warning(ConfigPath("servicelb-namespace"), "ignored", "servicelb is disabled",
                   "remove it");
  }
}

void CheckManifests(const K3sFacts& facts, Report& report) {
  const std::vector<absl::string_view> packaged = Packaged();
  for (const v1::K3sManifest& manifest : facts.k3s.manifests()) {
    const std::string path = schema::Element("k3s.manifests", manifest.name());
    for (absl::string_view suffix : {".yaml", ".yml", ".json"}) {
      if (!absl::EndsWith(manifest.name(), suffix)) continue;
      report.Error(schema::Child(path, "name"), "bad-format",
                   "is written without the suffix of the file", "noded adds .yaml");
    }
    const std::string& name = manifest.name();
    if (std::find(packaged.begin(), packaged.end(), name) != packaged.end() &&
        !facts.Disables(name)) {
      report.Warning(schema::Child(path, "name"), "likely-mistake",
                     absl::StrCat("K3s deploys its own ", name, " too"),
                     absl::StrCat("give it another name, or disable K3s's with k3s.config: "
                                  "{disable: [",
                                  name, "]}"));
    }
    // Counts as secret: what is said of it names none of its words.
    const std::string& text = manifest.content().plain();
    if (text.empty() || text == yaml::kRedacted) continue;
    const std::string content = schema::Child(path, "content");
    if (!absl::StrContains(text, "kind") || !absl::StrContains(text, "apiVersion")) {
      report.Warning(content, "likely-mistake",
                     "holds no Kubernetes object: neither `kind` nor `apiVersion` stands in it",
                     "write the manifest itself, indented behind `|`");
    }
    if (facts.On("disable-helm-controller") && absl::StrContains(text, "helm.cattle.io/")) {
      report.Warning(content, "likely-mistake",
                     "HelmChart objects do nothing with disable-helm-controller: true",
                     "remove one of the two");
    }
    if (facts.Disables("traefik") && absl::StrContains(text, "kind: HelmChartConfig") &&
        absl::StrContains(text, "name: traefik")) {
      report.Warning(content, "likely-mistake", "configures traefik, which is disabled",
                     "remove one of the two");
    }
  }
}

// What K3s imports it knows by the suffix: tar, alone or compressed in one of four ways.
bool CannotBeImported(absl::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  for (absl::string_view suffix : {".tar.gz", ".tar.bz2", ".tar.lz4", ".tar.zst"}) {
    if (absl::EndsWith(url, suffix)) return false;
  }
  for (absl::string_view suffix : {".zip", ".7z", ".rar", ".xz", ".txz", ".gz", ".bz2", ".zst",
                                   ".lz4", ".iso", ".img", ".sqfs", ".squashfs"}) {
    if (absl::EndsWith(url, suffix)) return true;
  }
  return false;
}

void CheckArtifacts(const v1::K3sArtifacts& artifacts, const std::string& path, Report& report) {
  if (!artifacts.has_amd64() && !artifacts.has_arm64() && !artifacts.has_arm()) {
    report.Error(path, "required", "at least one architecture is required",
                 "amd64, arm64 or arm; `nodectl k3s pin` writes it");
  }
}

// The same bytes for two architectures run on one of them.
void CheckSameBinary(const v1::K3sArtifacts& artifacts, Report& report) {
  const std::pair<const v1::Artifact*, absl::string_view> all[] = {
      {artifacts.has_amd64() ? &artifacts.amd64() : nullptr, "amd64"},
      {artifacts.has_arm64() ? &artifacts.arm64() : nullptr, "arm64"},
      {artifacts.has_arm() ? &artifacts.arm() : nullptr, "arm"}};
  for (size_t i = 0; i < std::size(all); ++i) {
    for (size_t j = i + 1; j < std::size(all); ++j) {
      if (all[i].first == nullptr || all[j].first == nullptr) continue;
      const std::string& digest = all[j].first->sha256();
      if (digest.empty() || digest != all[i].first->sha256()) continue;
      report.Error(
          absl::StrCat("k3s.artifacts.", all[j].second, ".sha256"), "conflict",
          absl::StrCat("is that of ", all[i].second, ": each architecture has a binary of its own"),
          "`nodectl k3s pin` writes both");
    }
  }
}

}  // namespace

void CheckK3sComponents(const K3sFacts& facts, Report& report) {
  if (facts.server) CheckDisabled(facts, report);
  CheckManifests(facts, report);
  if (facts.On("disable-default-registry-endpoint") && facts.k3s.registries().mirrors().empty() &&
      !facts.On("embedded-registry")) {
    report.Warning(ConfigPath("disable-default-registry-endpoint"), "ignored",
                   "has a meaning for registries with mirrors, and there are none",
                   "write k3s.registries.mirrors");
  }
  if (facts.On("embedded-registry") && facts.k3s.registries().mirrors().empty()) {
    report.Warning(ConfigPath("embedded-registry"), "likely-mistake",
                   "nodes share images of the registries under mirrors, and there are none",
                   "for example registries: {mirrors: [{name: docker.io}]}");
  }
  if (facts.On("disable-cloud-controller") &&
      !facts.Argument("kubelet-arg", "cloud-provider").has_value()) {
    report.Warning(ConfigPath("disable-cloud-controller"), "likely-mistake",
                   "nodes stay uninitialised until another cloud controller runs",
                   "servicelb goes with it too; install one, or remove it");
  }
}

void CheckK3sHardening(const K3sFacts& facts, Report& report) {
  if (!facts.k3s.has_hardening()) return;
  const v1::K3sHardening& hardening = facts.k3s.hardening();
  if (facts.Before(25)) {
    report.Error("k3s.hardening", "wrong-k3s-version",
                 absl::StrCat("needs Pod Security Admission, which K3s has from v1.25 on; this is ",
                              facts.k3s.version()),
                 "pin a newer release");
  }
  if (facts.agent) {
    for (const auto& [written, name] :
         {std::make_pair(hardening.has_pod_security(), "podSecurity"),
          std::make_pair(hardening.exempt_namespaces_size() > 0, "exemptNamespaces"),
          std::make_pair(hardening.has_audit_policy(), "auditPolicy")}) {
      if (!written) continue;
      report.Error(schema::Child("k3s.hardening", name), "wrong-role",
                   "is for servers only; this node is an agent", "remove it");
    }
  }
  if (facts.Has("protect-kernel-defaults") && !facts.On("protect-kernel-defaults")) {
    report.Error(ConfigPath("protect-kernel-defaults"), "conflict", "k3s.hardening turns it on",
                 "remove it");
  }
  // Flags that the profile renders; a second one would win in silence.
  const std::pair<absl::string_view, absl::string_view> kRendered[] = {
      {"kube-apiserver-arg", "admission-control-config-file"},
      {"kube-apiserver-arg", "enable-admission-plugins"},
      {"kube-apiserver-arg", "audit-policy-file"},
      {"kube-apiserver-arg", "audit-log-path"},
      {"kubelet-arg", "streaming-connection-idle-timeout"},
      {"kubelet-arg", "tls-cipher-suites"},
  };
  for (const auto& [key, name] : kRendered) {
    if (const auto argument = facts.Argument(key, name)) {
      report.Error(argument->path, "conflict", absl::StrCat("k3s.hardening renders `", name, "`"),
                   name == "enable-admission-plugins"
                       ? "write enable-admission-plugins+=NAME to add one"
                       : "remove it, or the section");
    }
  }
  if (facts.server && !facts.On("secrets-encryption")) {
    report.Warning("k3s.hardening", "likely-mistake",
                   "the benchmark wants Secrets encrypted in the datastore, which is decided at "
                   "the first start of a cluster",
                   "k3s.config: {secrets-encryption: true} for a new cluster");
  }
  if (hardening.has_audit_policy() && !absl::StrContains(hardening.audit_policy(), "rules")) {
    report.Error("k3s.hardening.auditPolicy", "bad-format", "is no audit policy: it has no `rules`",
                 "an object of kind Policy of audit.k8s.io/v1");
  }
}

void CheckK3sImages(const K3sFacts& facts, Report& report) {
  if (facts.k3s.has_artifacts()) {
    CheckArtifacts(facts.k3s.artifacts(), "k3s.artifacts", report);
    CheckSameBinary(facts.k3s.artifacts(), report);
  }
  for (const v1::K3sImage& image : facts.k3s.images()) {
    if (!image.has_artifacts()) continue;
    const std::string path =
        schema::Child(schema::Element("k3s.images", image.name()), "artifacts");
    CheckArtifacts(image.artifacts(), path, report);
    for (const auto& [artifact, name] : {std::make_pair(&image.artifacts().amd64(), "amd64"),
                                         std::make_pair(&image.artifacts().arm64(), "arm64"),
                                         std::make_pair(&image.artifacts().arm(), "arm")}) {
      if (artifact->urls_size() == 0 || !CannotBeImported(artifact->urls(0))) continue;
      report.Error(absl::StrCat(path, ".", name, ".urls[0]"), "bad-format",
                   "K3s cannot import an archive of this kind",
                   "it knows .tar, .tar.gz, .tar.zst, .tar.bz2 and .tar.lz4");
    }
  }
}

}  // namespace basalt::validate
