// What is seen of extensions.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/controllers/extensions/controller_impl.h"

namespace basalt::extensions {

ControllerImpl::State ControllerImpl::StateOf(const Wanted& wanted) const {
  State state{.wanted = wanted, .word = "missing", .message = ""};
  const auto known = known_.find(wanted.digest);
  if (known == known_.end()) {
    state.message = "its manifest is not on this node any more; it is fetched again";
    return state;
  }
  const sign::ExtensionManifest& m = known->second.manifest;
  if (absl::Status fits = CheckKernel(m, deps_.kernel_release, "the image that runs"); !fits.ok()) {
    state.word = "waiting";
    state.message = std::string(fits.message());
    return state;
  }
  const std::string id = IdOf(wanted);
  const auto it = std::find_if(attached_.begin(), attached_.end(),
                               [&](const host::AttachedExtension& a) { return a.id == id; });
  if (const auto failed = failed_.find(id); failed != failed_.end()) {
    state.message = failed->second;
  } else if (it == attached_.end() || !it->shown) {
    state.message = "it is not attached";
  } else if (it->corrupt) {
    state.word = "corrupt";
    state.message =
        "a block of it is not what was signed: reading it fails. Remove it, restart the machine, "
        "and add it again";
  } else if (const auto module = module_failed_.find(wanted.name); module != module_failed_.end()) {
    state.message = module->second;
  } else {
    state.word = "active";
  }
  return state;
}

std::vector<engine::Condition> ControllerImpl::Observe() const {
  // Also while none is named: the first that fails is then one that held before, and goes back.
  if (!config_) return {};
  engine::Condition condition{.type = "ExtensionsActive", .holds = true, .reason = "AsWanted"};
  for (const Wanted& wanted : wanted_) {
    const State state = StateOf(wanted);
    if (state.word == "active") continue;
    condition.holds = false;
    condition.hopeless = true;
    condition.reason = state.word == "corrupt"   ? "Corrupt"
                       : state.word == "waiting" ? "OtherKernel"
                                                 : "Missing";
    condition.code =
        absl::StrCat("extension-", state.word == "waiting" ? "wrong-kernel" : state.word);
    condition.message = absl::StrCat(wanted.name, ": ", state.message);
    break;
  }
  return {condition};
}

std::vector<v1::Resource> ControllerImpl::Resources() const {
  std::vector<v1::Resource> out;
  auto add = [&](const std::string& name, const std::string& digest) -> v1::Extension& {
    v1::Resource& resource = out.emplace_back();
    resource.set_kind("Extension");
    resource.set_name(name);
    v1::Extension& body = *resource.mutable_extension();
    body.set_digest(absl::StrCat("sha256:", digest));
    const auto it = known_.find(digest);
    if (it == known_.end()) return body;
    const sign::ExtensionManifest& m = it->second.manifest;
    body.set_version(m.version);
    body.set_kernel_release(m.kernel_release);
    body.set_root_hash(m.root);
    body.set_sbom_digest(m.sbom.sha256.ToString());
    for (const std::string& signer : it->second.signers) body.add_signers(signer);
    for (const std::string& module : m.modules) body.add_modules(module);
    return body;
  };
  std::set<std::string> ids;
  for (const Wanted& wanted : wanted_) {
    const State state = StateOf(wanted);
    v1::Extension& body = add(wanted.name, wanted.digest);
    body.set_state(state.word);
    body.set_message(state.message);
    ids.insert(IdOf(wanted));
  }
  // What no config names any more, and something still uses.
  for (const host::AttachedExtension& one : attached_) {
    if (ids.count(one.id) > 0) continue;
    for (const auto& [digest, known] : known_) {
      if (host::ExtensionId(SourceOf(known.manifest, "")) != one.id) continue;
      v1::Extension& body =
          add(absl::StrCat(known.manifest.name, "@", known.manifest.version), digest);
      body.set_state("leaving");
      body.set_message("it is in use, and goes with the next restart of the machine");
      break;
    }
  }
  return out;
}

}  // namespace basalt::extensions
