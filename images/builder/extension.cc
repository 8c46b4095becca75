#include "images/builder/extension.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "images/builder/host.h"
#include "images/builder/lock.h"
#include "images/builder/pack.h"
#include "images/builder/packages.h"
#include "images/builder/root.h"
#include "images/builder/statement.h"
#include "machineconfig/format/format.h"
#include "machineconfig/sign/document.h"

namespace basalt::image {
namespace {

absl::Status BadRecipe(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("bad-recipe: ", what));
}

std::string ExtensionLockPath(const BuildOptions& o, const std::string& name,
                              const std::string& architecture) {
  return absl::StrCat(o.recipe, "/extensions/", name, ".", architecture, ".lock");
}

absl::StatusOr<std::vector<LockedPackage>> ReadLock(const std::string& path) {
  absl::StatusOr<std::string> text = ReadWhole(path);
  if (!text.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("stale-lock: no ", path, "; run with --update-lock"));
  }
  return ParseLock(*text);
}

class ExtensionBuild {
 public:
  ExtensionBuild(const BuildOptions& options, const std::string& name)
      : o_(options), name_(name), tools_(options.time), read_(RecipeDirectory(options.recipe)) {}

  absl::StatusOr<ExtensionResult> Run() {
    for (auto step :
         {&ExtensionBuild::ReadInputs, &ExtensionBuild::GetPackages, &ExtensionBuild::MakeTree,
          &ExtensionBuild::Pack, &ExtensionBuild::MakeStatements}) {
      if (absl::Status s = (this->*step)(); !s.ok()) return s;
    }
    return result_;
  }

 private:
  std::string Name(absl::string_view end) const {
    return absl::StrCat("basalt-", name_, "-", o_.version, "-", base_.architecture, end);
  }
  std::string Out(absl::string_view end) const { return absl::StrCat(o_.out, "/", Name(end)); }

  absl::Status ReadInputs() {
    absl::StatusOr<Recipe> base = ReadRecipe(o_.profile, read_);
    if (!base.ok()) return base.status();
    base_ = *std::move(base);
    absl::StatusOr<Recipe> recipe = ReadExtensionRecipe(base_, name_, read_);
    if (!recipe.ok()) return recipe.status();
    recipe_ = *std::move(recipe);
    absl::StatusOr<std::vector<LockedPackage>> base_lock = ReadLock(LockPath(o_));
    if (!base_lock.ok()) return base_lock.status();
    base_locked_ = *std::move(base_lock);
    if (!recipe_.packages.empty()) {
      const std::string path = ExtensionLockPath(o_, name_, base_.architecture);
      absl::StatusOr<std::vector<LockedPackage>> lock = ReadLock(path);
      if (!lock.ok()) return lock.status();
      locked_ = *std::move(lock);
      std::set<std::string> want, have;
      for (const Named& p : recipe_.packages) want.insert(p.name);
      for (const LockedPackage& p : locked_) have.insert(p.name);
      if (want != have) {
        return absl::FailedPreconditionError(absl::StrCat(
            "stale-lock: ", path, " and the list name different packages; run with --update-lock"));
      }
    }
    work_ = absl::StrCat(o_.out, "/work-", name_);
    if (absl::Status s = RemoveTree(work_); !s.ok()) return s;
    return MakeDirectories(work_);
  }

  absl::Status GetPackages() {
    PackageStore store(tools_, o_.cache, absl::StrCat(o_.recipe, "/debian.sources"),
                       base_.architecture);
    if (absl::Status s = MakeDirectories(o_.cache); !s.ok()) return s;
    std::vector<LockedPackage> all = base_locked_;
    all.insert(all.end(), locked_.begin(), locked_.end());
    if (absl::Status s = store.Fetch(all); !s.ok()) return s;
    files_ = std::make_unique<PackageFiles>(base_.Triplet());
    for (const LockedPackage& p : all) {
      absl::StatusOr<std::string> directory = store.Unpack(p);
      if (!directory.ok()) return directory.status();
      files_->Add(p.name, *directory);
      if (absl::StartsWith(p.name, "linux-image-")) kernel_ = p;
    }
    absl::StatusOr<KernelModules> modules = KernelModules::Open(files_->Directory(kernel_.name));
    if (!modules.ok()) return modules.status();
    modules_ = std::make_unique<KernelModules>(*std::move(modules));
    info_ = {.version = o_.version, .epoch = 1, .time = o_.time, .kernel = modules_->release()};
    return absl::OkStatus();
  }

  // On the root that it will be laid over: what that has is not packed again, and nothing of it may
  // be replaced.
  absl::Status MakeTree() {
    // Only names and needs of our programs count here, so they are not stripped.
    RootSources sources{*files_, *modules_,
                        [this](absl::string_view program) {
                          return ReadWhole(absl::StrCat(o_.programs, "/", program));
                        },
                        read_};
    absl::StatusOr<Tree> root = AssembleRoot(base_, info_, sources);
    if (!root.ok()) return root.status();
    Recipe recipe = recipe_;
    recipe.kernel_package = base_.kernel_package;
    // What the initramfs has loaded is there as well.
    for (const Module& m : base_.modules) {
      if (m.early) recipe.modules.push_back(m);
    }
    absl::StatusOr<Tree> whole = AssembleRoot(recipe, info_, sources, *root);
    if (!whole.ok()) return whole.status();
    if (absl::Status s = ListModules(*root, *whole); !s.ok()) return s;
    tree_ = Difference(*whole, *root);
    std::vector<std::string> faults;
    for (const std::string& fault : FindFaults(*whole, base_.ElfMachine())) {
      if (tree_.count(fault.substr(0, fault.find(": "))) > 0) faults.push_back(fault);
    }
    uint64_t bytes = 0;
    for (const auto& [path, node] : tree_) {
      bytes += node.content.size();
      if (path != "/usr" && !absl::StartsWith(path, "/usr/")) {
        faults.push_back(absl::StrCat(path, ": lies outside /usr"));
      }
    }
    if (!faults.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("faults:\n  ", absl::StrJoin(faults, "\n  ")));
    }
    o_.say(absl::StrFormat("%s: %d entries, %.1f MB, %d modules; no shell, no interpreter", name_,
                           tree_.size(), bytes / 1e6, manifest_.modules.size()));
    if (absl::Status s = WriteWhole(Out(".contents.tsv"), FormatContents(tree_)); !s.ok()) return s;
    return WriteTree(tree_, work_ + "/root");
  }

  // In load order: for noded, which loads them when the extension is there, and for the config.
  absl::Status ListModules(const Tree& root, Tree& whole) {
    std::vector<std::string> names;
    for (const Module& m : recipe_.modules) names.push_back(m.name);
    absl::StatusOr<std::vector<KernelModules::File>> closure = modules_->Closure(names);
    if (!closure.ok()) return closure.status();
    std::string list;
    for (const KernelModules::File& m : *closure) {
      if (whole.count(m.path) == 0 || root.count(m.path) > 0) continue;
      manifest_.modules.push_back(m.name);
      absl::StrAppend(&list, m.path, "\n");
    }
    if (list.empty()) return absl::OkStatus();
    manifest_.kernel_release = modules_->release();
    return AddNode(whole, absl::StrCat("/usr/lib/basalt/extensions/", name_, "/modules.list"),
                   {.mode = 0644,
                    .content = list,
                    .from = "generated",
                    .why = "what is loaded when the extension is there"});
  }

  absl::Status Pack() {
    absl::StatusOr<VeritySlot> packed =
        PackSlot(tools_, work_ + "/root", "basalt extension " + name_, work_ + "/erofs");
    if (!packed.ok()) return packed.status();
    manifest_.root = absl::StrCat(packed->root_hash.Hex(), ":", packed->data_blocks);
    manifest_.salt = HexEncode(VeritySalt());
    manifest_.file = {Name(".extension"), static_cast<int64_t>(packed->bytes.size()),
                      Sha256(packed->bytes)};
    result_.size = packed->bytes.size();
    result_.file = Out(".extension");
    return WriteWhole(result_.file, packed->bytes);
  }

  absl::Status MakeStatements() {
    std::vector<LockedPackage> parts;
    for (const LockedPackage& p : locked_) parts.push_back(p);
    if (!manifest_.modules.empty()) parts.push_back(kernel_);
    const std::string sbom =
        MakeSbom({absl::StrCat("basalt-extension-", name_), "APPLICATION", false}, info_, parts);
    manifest_.sbom = {Name(".spdx.json"), static_cast<int64_t>(sbom.size()), Sha256(sbom)};
    if (absl::Status s = WriteWhole(Out(".spdx.json"), sbom); !s.ok()) return s;
    manifest_.name = name_;
    manifest_.architecture = base_.architecture;
    manifest_.version = o_.version;
    manifest_.build_time = o_.time;
    for (const auto& [path, node] : tree_) {
      if (node.type == Node::Type::kFile) manifest_.files[path] = Sha256(node.content).Hex();
      if (node.type == Node::Type::kLink) manifest_.files[path] = "-> " + node.content;
    }
    const std::string manifest = FormatExtensionManifest(manifest_);
    // What a node could not read, it could not have.
    if (auto read = sign::ParseExtensionManifest(manifest); !read.ok()) return read.status();
    result_.manifest = Out(".extension.yaml");
    if (absl::Status s = WriteWhole(result_.manifest, manifest); !s.ok()) return s;
    o_.say(absl::StrFormat("%s: %.2f MB, root hash %s", result_.file, result_.size / 1e6,
                           manifest_.root));
    if (absl::Status s = RemoveTree(work_); !s.ok()) return s;
    if (o_.key == nullptr) return RemoveTree(Out(".extension.json"));  // of an earlier build
    return WriteWhole(Out(".extension.json"),
                      sign::ToDsseJson(sign::Sign(v1::DOCUMENT_TYPE_IMAGE, manifest, {o_.key})));
  }

  const BuildOptions& o_;
  const std::string name_;
  Tools tools_;
  ReadRecipeFile read_;
  Recipe base_, recipe_;
  std::vector<LockedPackage> base_locked_, locked_;
  LockedPackage kernel_;
  std::string work_;
  std::unique_ptr<PackageFiles> files_;
  std::unique_ptr<KernelModules> modules_;
  ImageInfo info_;
  Tree tree_;
  sign::ExtensionManifest manifest_;
  ExtensionResult result_;
};

}  // namespace

absl::StatusOr<Recipe> ReadExtensionRecipe(const Recipe& base, const std::string& name,
                                           const ReadRecipeFile& read) {
  if (!format::Check(v1::FORMAT_HOSTNAME, name).ok()) {
    return BadRecipe(absl::StrCat("`", name, "` is no name of an extension"));
  }
  const std::string profile = absl::StrCat("extensions/", name);
  // Its list is read as that of a profile is; what a profile needs beside is not looked at.
  const std::string frame = absl::StrCat(
      "architecture ", base.architecture, "\nkernel ", base.kernel_package, " # of the base\nstub ",
      base.stub_package, " # of the base\npartition NONE 1 # none\nbudget 1 # none\ninclude ",
      profile, ".list\n");
  absl::StatusOr<Recipe> recipe =
      ReadRecipe(profile, [&](absl::string_view file) -> absl::StatusOr<std::string> {
        return file == profile + ".profile" ? frame : read(file);
      });
  if (!recipe.ok()) return recipe.status();
  std::erase_if(recipe->packages, [&](const Named& p) {
    return p.name == base.kernel_package || p.name == base.stub_package;
  });
  recipe->kernel_package.clear();
  if (!recipe->arguments.empty() || recipe->partitions.size() != 1) {
    return BadRecipe(absl::StrCat(profile, ".list: `argument` and `partition` are of an image"));
  }
  for (const Module& m : recipe->modules) {
    if (m.early) return BadRecipe(absl::StrCat(profile, ".list: ", m.name, " cannot be early"));
  }
  for (const Entry& e : recipe->entries) {
    if (!absl::StartsWith(e.path, "/usr/")) {
      return BadRecipe(absl::StrCat(profile, ".list: ", e.path, " lies outside /usr"));
    }
    if (e.kind == Kind::kGenerated) {
      return BadRecipe(absl::StrCat(profile, ".list: `generated` is of an image"));
    }
  }
  return recipe;
}

Tree Difference(const Tree& whole, const Tree& base) {
  Tree out;
  for (const auto& [path, node] : whole) {
    // Ignoring its status: paths of a tree are not doubled, and lead through no link.
    if (base.count(path) == 0) (void)AddNode(out, path, node);
  }
  return out;
}

std::string FormatExtensionManifest(const sign::ExtensionManifest& m) {
  using Json = nlohmann::ordered_json;
  auto file = [](const sign::ImageFile& f) {
    return Json{{"name", f.name}, {"size", f.size}, {"sha256", f.sha256.Hex()}};
  };
  Json out = {
      {"apiVersion", "basalt/v1"},
      {"kind", "Extension"},
      {"name", m.name},
      {"version", m.version},
      {"architecture", m.architecture},
      {"buildTime", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", m.build_time, absl::UTCTimeZone())}};
  if (!m.kernel_release.empty()) out["kernelRelease"] = m.kernel_release;
  out["root"] = m.root;
  out["salt"] = m.salt;
  out["file"] = file(m.file);
  out["sbom"] = file(m.sbom);
  if (!m.modules.empty()) out["modules"] = m.modules;
  out["files"] = Json::object();
  for (const auto& [path, what] : m.files) out["files"][path] = what;
  return out.dump(2) + "\n";
}

absl::StatusOr<ExtensionResult> BuildExtension(const BuildOptions& options,
                                               const std::string& name) {
  return ExtensionBuild(options, name).Run();
}

absl::Status UpdateExtensionLock(const BuildOptions& options, const std::string& name) {
  const ReadRecipeFile read = RecipeDirectory(options.recipe);
  absl::StatusOr<Recipe> base = ReadRecipe(options.profile, read);
  if (!base.ok()) return base.status();
  absl::StatusOr<Recipe> recipe = ReadExtensionRecipe(*base, name, read);
  if (!recipe.ok()) return recipe.status();
  if (recipe->packages.empty()) return absl::OkStatus();
  if (absl::Status s = MakeDirectories(options.cache); !s.ok()) return s;
  Tools tools(options.time);
  PackageStore store(tools, options.cache, absl::StrCat(options.recipe, "/debian.sources"),
                     recipe->architecture);
  absl::StatusOr<std::vector<LockedPackage>> packages = store.Resolve(*recipe);
  if (!packages.ok()) return packages.status();
  const std::string path = ExtensionLockPath(options, name, recipe->architecture);
  options.say(absl::StrCat("wrote ", path, ": ", packages->size(), " packages"));
  return WriteWhole(path, FormatLock(*packages));
}

}  // namespace basalt::image
