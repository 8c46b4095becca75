#include "server/controllers/extensions/decide.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"

namespace basalt::extensions {
namespace {

constexpr size_t kMostNamed = 3;  // paths in one message

absl::Status Refused(absl::string_view reason, const std::string& what, const std::string& hint) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, reason, what, hint);
}

std::string Short(const Wanted& wanted, const KnownExtensions& known) {
  const auto it = known.find(wanted.digest);
  return absl::StrCat(wanted.name, it == known.end() ? "" : " ",
                      it == known.end() ? "" : it->second.manifest.version,
                      " (sha256:", wanted.digest.substr(0, 12), "...)");
}

std::string Some(const std::vector<std::string>& paths) {
  std::vector<std::string> some(paths.begin(), paths.begin() + std::min(paths.size(), kMostNamed));
  return absl::StrCat(
      absl::StrJoin(some, ", "),
      paths.size() > kMostNamed ? absl::StrCat(" and ", paths.size() - kMostNamed, " more") : "");
}

const Wanted* Find(const std::vector<Wanted>& all, const std::string& name) {
  const auto it =
      std::find_if(all.begin(), all.end(), [&](const Wanted& w) { return w.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace

std::vector<Wanted> WantedBy(const v1::MachineConfig* config) {
  std::vector<Wanted> out;
  if (config == nullptr) return out;
  for (const v1::SystemExtension& one : config->system().extensions()) {
    absl::string_view digest = one.digest();
    absl::ConsumePrefix(&digest, "sha256:");
    out.push_back({.name = one.name(),
                   .digest = std::string(digest),
                   .urls = {one.urls().begin(), one.urls().end()}});
  }
  return out;
}

absl::StatusOr<engine::ControllerPlan> PlanExtensions(const v1::MachineConfig* from,
                                                      const v1::MachineConfig& to,
                                                      const KnownExtensions& known,
                                                      const std::string& kernel) {
  engine::ControllerPlan plan;
  const std::vector<Wanted> before = WantedBy(from), after = WantedBy(&to);
  auto step = [&plan](std::string what, v1::Effect effect) {
    plan.steps.push_back({.controller = kName,
                          .description = std::move(what),
                          .effect = effect,
                          .unimplemented = {}});
  };
  std::vector<const sign::ExtensionManifest*> manifests;
  for (const Wanted& wanted : after) {
    if (const auto it = known.find(wanted.digest); it != known.end()) {
      manifests.push_back(&it->second.manifest);
      absl::Status fits = CheckKernel(it->second.manifest, kernel, "the image of this config");
      if (!fits.ok()) return fits;
    }
    const Wanted* last = Find(before, wanted.name);
    if (last == nullptr) {
      step(absl::StrCat("add the extension ", Short(wanted, known)), v1::EFFECT_LIVE);
    } else if (last->digest != wanted.digest) {
      step(absl::StrCat("replace the extension ", Short(*last, known), " by ", Short(wanted, known),
                        ", restart the machine"),
           v1::EFFECT_REBOOT);
    }
  }
  if (absl::Status status = CheckConflicts(manifests); !status.ok()) return status;
  for (const Wanted& last : before) {
    if (Find(after, last.name) != nullptr) continue;
    step(absl::StrCat("remove the extension ", Short(last, known), ", restart the machine"),
         v1::EFFECT_REBOOT);
  }
  return plan;
}

absl::StatusOr<KnownExtension> CheckManifest(absl::string_view envelope, const std::string& digest,
                                             const v1::TrustPolicy& policy,
                                             const v1::MachineConfig& node) {
  absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(envelope);
  if (!document.ok()) return document.status();
  if (const std::string found = sign::DocumentDigest(*document).Hex(); found != digest) {
    return api::Coded(
        absl::StatusCode::kDataLoss, "extension-mismatch",
        absl::StrCat("the manifest is sha256:", found, ", and the config names sha256:", digest));
  }
  absl::StatusOr<sign::VerifiedDocument> verified =
      sign::Verify(*document, v1::DOCUMENT_TYPE_IMAGE, policy);
  if (!verified.ok()) return verified.status();
  if (absl::Status status = sign::AuthorizeImage(policy, verified->signers(), node); !status.ok()) {
    return status;
  }
  absl::StatusOr<sign::ExtensionManifest> manifest =
      sign::ParseExtensionManifest(verified->payload());
  if (!manifest.ok()) return manifest.status();
  KnownExtension out{.manifest = *std::move(manifest), .signers = {}};
  for (const sign::Signer& signer : verified->signers()) out.signers.push_back(signer.name);
  return out;
}

absl::Status CheckFits(const sign::ExtensionManifest& m, const std::string& wanted_name,
                       const std::string& architecture, const std::string& kernel) {
  if (m.name != wanted_name) {
    return Refused("extension-name-mismatch",
                   absl::StrCat("the manifest is of the extension ", m.name,
                                ", and the config calls it ", wanted_name),
                   "nodectl extension pin writes name and digest together");
  }
  if (m.architecture != architecture) {
    return Refused("extension-wrong-architecture",
                   absl::StrCat("the extension ", m.name, " is for ", m.architecture,
                                ", and this machine is ", architecture),
                   "name the manifest of this machine's architecture");
  }
  return CheckKernel(m, kernel, "the image that runs");
}

absl::Status CheckKernel(const sign::ExtensionManifest& m, const std::string& kernel,
                         const std::string& runs) {
  if (m.kernel_release.empty() || kernel.empty() || m.kernel_release == kernel) {
    return absl::OkStatus();
  }
  return Refused(
      "extension-wrong-kernel",
      absl::StrCat("the extension ", m.name, " ", m.version, " has modules for the kernel ",
                   m.kernel_release, ", and ", runs, " has ", kernel),
      "build the extension on the same profile and lock as the image; name both in one "
      "config");
}

absl::Status CheckConflicts(const std::vector<const sign::ExtensionManifest*>& manifests) {
  std::map<absl::string_view, const sign::ExtensionManifest*> owner;
  for (const sign::ExtensionManifest* m : manifests) {
    for (const auto& [path, what] : m->files) {
      const auto [it, fresh] = owner.try_emplace(path, m);
      // A library that both need, and the same one, is no conflict.
      if (fresh || it->second->files.at(path) == what) continue;
      return Refused("extension-conflict",
                     absl::StrCat("the extensions ", it->second->name, " and ", m->name,
                                  " both have ", path, ", and not the same"),
                     "build both anew from one lock of packages, or keep one of the two");
    }
  }
  // A file where another has a directory.
  for (const sign::ExtensionManifest* m : manifests) {
    for (const auto& [path, what] : m->files) {
      for (size_t at = path.rfind('/'); at != std::string::npos && at > 0;
           at = path.rfind('/', at - 1)) {
        const auto it = owner.find(absl::string_view(path).substr(0, at));
        if (it == owner.end()) continue;
        return Refused("extension-conflict",
                       absl::StrCat("the extension ", it->second->name, " has the file ", it->first,
                                    ", which is a directory of ", m->name),
                       "keep one of the two");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status RefuseOfRoot(const sign::ExtensionManifest& m, const std::vector<std::string>& paths) {
  if (paths.empty()) return absl::OkStatus();
  return Refused(
      "extension-conflict",
      absl::StrCat("the extension ", m.name, " would replace what the image has: ", Some(paths)),
      "an extension adds; it was built on another image than runs: build it anew");
}

host::ExtensionSource SourceOf(const sign::ExtensionManifest& m, const std::string& file) {
  return {.name = m.name, .file = file, .root = m.root, .salt = m.salt};
}

}  // namespace basalt::extensions
