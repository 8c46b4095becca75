#include "server/k3s/registries.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/k3s/yaml_text.h"

namespace basalt::k3s {
namespace {

// A file name for a registry: "reg:5000" and "*" are not portable ones.
std::string FileName(const std::string& registry) {
  return absl::StrReplaceAll(registry, {{":", "_"}, {"*", "any"}});
}

template <typename List>
std::vector<const typename List::value_type*> ByName(const List& list) {
  std::vector<const typename List::value_type*> out;
  for (const auto& item : list) out.push_back(&item);
  std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return a->name() < b->name(); });
  return out;
}

std::string MirrorText(const v1::RegistryMirror& mirror) {
  std::string text = absl::StrCat("  ", Quoted(mirror.name()), ":\n");
  if (mirror.endpoints_size() > 0) absl::StrAppend(&text, "    \"endpoint\":\n");
  for (const std::string& endpoint : mirror.endpoints()) {
    absl::StrAppend(&text, "      - ", Quoted(endpoint), "\n");
  }
  if (mirror.rewrites_size() > 0) absl::StrAppend(&text, "    \"rewrite\":\n");
  for (const v1::RegistryRewrite& rewrite : mirror.rewrites()) {
    absl::StrAppend(&text, "      ", Quoted(rewrite.match()), ": ", Quoted(rewrite.replace()),
                    "\n");
  }
  if (mirror.endpoints_size() == 0 && mirror.rewrites_size() == 0) {
    text = absl::StrCat("  ", Quoted(mirror.name()), ": {}\n");
  }
  return text;
}

std::string ConfigText(const v1::RegistryConfig& config, const std::string& root,
                       std::vector<RenderedFile>* files) {
  std::string auth, tls;
  auto add = [](std::string* to, const char* key, const std::string& value) {
    absl::StrAppend(to, "      ", Quoted(key), ": ", Quoted(value), "\n");
  };
  if (config.has_username()) add(&auth, "username", config.username());
  if (config.has_password()) add(&auth, "password", config.password().plain());
  if (config.has_token()) add(&auth, "identity_token", config.token().plain());
  auto file = [&](const char* key, const char* suffix, const std::string& content) {
    std::string path = absl::StrCat(kCertificatesDir, "/", FileName(config.name()), suffix);
    files->push_back({path, content});
    add(&tls, key, absl::StrCat(root, "/", path));
  };
  if (config.has_ca()) file("ca_file", "-ca.crt", config.ca());
  if (config.has_certificate()) file("cert_file", ".crt", config.certificate());
  if (config.has_key()) file("key_file", ".key", config.key().plain());
  if (config.insecure_skip_verify())
    absl::StrAppend(&tls, "      \"insecure_skip_verify\": true\n");
  if (auth.empty() && tls.empty()) return absl::StrCat("  ", Quoted(config.name()), ": {}\n");
  std::string text = absl::StrCat("  ", Quoted(config.name()), ":\n");
  if (!auth.empty()) absl::StrAppend(&text, "    \"auth\":\n", auth);
  if (!tls.empty()) absl::StrAppend(&text, "    \"tls\":\n", tls);
  return text;
}

}  // namespace

std::vector<RenderedFile> RenderRegistries(const v1::K3sRegistries& registries,
                                           const std::string& root) {
  std::vector<RenderedFile> files;
  std::string text;
  if (registries.mirrors_size() > 0) text += "\"mirrors\":\n";
  for (const v1::RegistryMirror* mirror : ByName(registries.mirrors())) text += MirrorText(*mirror);
  if (registries.configs_size() > 0) text += "\"configs\":\n";
  for (const v1::RegistryConfig* config : ByName(registries.configs())) {
    text += ConfigText(*config, root, &files);
  }
  if (!text.empty()) files.push_back({kRegistriesPath, text});
  return files;
}

}  // namespace basalt::k3s
