// The section `k3s` of a config up to the verdict: the catalogue of K3s's keys, values, networks,
// ports, flags. One field a line: WORD [NAME] VALUE. Whatever stands there: no crash, bounded
// findings, each with a path and a reason, and no secret in any of them.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/diff/k3s_fixed.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/validate.h"

namespace {

constexpr char kSecret[] = "planted-secret-0123";

void Require(bool ok, const char* what, const std::string& text) {
  if (ok) return;
  std::fprintf(stderr, "%s:\n%s\n", what, text.c_str());
  std::abort();
}

void Apply(absl::string_view line, basalt::v1::MachineConfig* config) {
  basalt::v1::K3s& k3s = *config->mutable_k3s();
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::MaxSplits(' ', 2));
  const std::string word(words[0]);
  const std::string name(words.size() > 1 ? words[1] : "");
  const std::string value(words.size() > 2 ? words[2] : "");
  const std::string rest(line.substr(std::min(word.size() + 1, line.size())));
  if (word == "version") k3s.set_version(rest);
  if (word == "agent") k3s.set_role(basalt::v1::K3S_ROLE_AGENT);
  if (word == "text") (*k3s.mutable_config())[name].set_text(value);
  if (word == "list") (*k3s.mutable_config())[name].mutable_list()->add_values(value);
  if (word == "bool") (*k3s.mutable_config())[name].set_boolean(value != "false");
  int64_t number = 0;
  if (word == "int" && absl::SimpleAtoi(value, &number)) {
    (*k3s.mutable_config())[name].set_integer(number);
  }
  if (word == "init") k3s.mutable_cluster()->set_init(true);
  if (word == "server") k3s.mutable_cluster()->set_server(rest);
  if (word == "endpoint") {
    k3s.mutable_datastore()->mutable_endpoint()->set_plain(absl::StrCat(rest, kSecret, rest));
  }
  if (word == "ip") k3s.mutable_node()->add_ip(rest);
  if (word == "subnet") k3s.mutable_node()->set_ip_subnet(rest);
  if (word == "label") (*k3s.mutable_node()->mutable_labels())[name] = value;
  if (word == "taint") k3s.mutable_node()->add_taints(rest);
  if (word == "reserve") (*k3s.mutable_kubelet()->mutable_system_reserved())[name] = value;
  if (word == "evict") (*k3s.mutable_kubelet()->mutable_eviction_hard())[name] = value;
  if (word == "harden") k3s.mutable_hardening()->set_audit_policy(rest);
  if (word == "s3") k3s.mutable_snapshots()->mutable_s3()->set_endpoint(rest);
  if (word == "listen") config->mutable_api()->add_listen(rest);
  if (word == "env") {
    k3s.add_env()->set_name(name);
    k3s.mutable_env(k3s.env_size() - 1)->set_value(value);
  }
  if (word == "mirror") {
    basalt::v1::RegistryMirror& mirror = *k3s.mutable_registries()->add_mirrors();
    mirror.set_name(name);
    mirror.add_endpoints(value);
    basalt::v1::RegistryRewrite& rewrite = *mirror.add_rewrites();
    rewrite.set_match(name);
    rewrite.set_replace(value);
  }
  if (word == "manifest") {
    k3s.add_manifests()->set_name(name);
    k3s.mutable_manifests(k3s.manifests_size() - 1)
        ->mutable_content()
        ->set_plain(absl::StrCat(value, kSecret));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (text.size() > 4096 || absl::StrContains(text, kSecret)) return 0;
  basalt::v1::MachineConfig config;
  config.mutable_metadata()->set_name("n1");
  config.mutable_k3s()->set_role(basalt::v1::K3S_ROLE_SERVER);
  config.mutable_k3s()->set_version("v1.30.4+k3s1");
  config.mutable_k3s()->mutable_token()->set_plain(kSecret);
  for (absl::string_view line : absl::StrSplit(text, '\n')) Apply(line, &config);

  using basalt::validate::Stage;
  const basalt::validate::Findings findings = basalt::validate::Validate(config, Stage::kSource);
  for (const auto* list : {&findings.errors, &findings.warnings}) {
    Require(list->size() <= 101, "more findings than the limit", text);
    for (const auto& v : *list) {
      Require(!v.reason.empty() && !v.message.empty(), "a finding without words", text);
      Require(!absl::StrContains(v.ToString(), kSecret), "a secret in a finding", text);
    }
  }
  for (const basalt::schema::K3sKey& key : basalt::schema::K3sKeys()) {
    Require(!basalt::diff::ChangesFixedValue(config.k3s(), config.k3s(), key),
            "a config differs from itself", text);
  }
  return 0;
}
