#include "images/builder/kernel_modules.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "images/builder/formats/elf.h"
#include "images/builder/host.h"

namespace basalt::image {
namespace {

namespace fs = std::filesystem;

std::string NameOfFile(absl::string_view path) {
  size_t slash = path.rfind('/');
  if (slash != absl::string_view::npos) path.remove_prefix(slash + 1);
  absl::ConsumeSuffix(&path, ".ko");
  return ModuleName(path);
}

// What the module says has to be there before it: hard dependencies, and those that it wants first.
std::vector<std::string> Needs(const ElfFacts& elf) {
  std::vector<std::string> needs;
  for (const std::string& value : elf.ModuleInfo("depends")) {
    for (absl::string_view name : absl::StrSplit(value, ',', absl::SkipEmpty())) {
      needs.push_back(ModuleName(name));
    }
  }
  for (const std::string& value : elf.ModuleInfo("softdep")) {
    bool before = false;
    for (absl::string_view word : absl::StrSplit(value, ' ', absl::SkipEmpty())) {
      if (absl::EndsWith(word, ":")) {
        before = word == "pre:";
      } else if (before) {
        needs.push_back(absl::StrCat("?", ModuleName(word)));
      }
    }
  }
  return needs;
}

}  // namespace

std::string ModuleName(absl::string_view text) {
  std::string name(text);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

absl::StatusOr<KernelModules> KernelModules::Open(const std::string& root) {
  KernelModules modules;
  modules.root_ = root;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root + "/lib/modules", error)) {
    if (!modules.release_.empty())
      return absl::InvalidArgumentError("no-kernel: two in one package");
    modules.release_ = entry.path().filename();
  }
  if (modules.release_.empty() || !Exists(modules.KernelFile())) {
    return absl::NotFoundError(absl::StrCat("no-kernel: below ", root));
  }
  std::string base = absl::StrCat(root, "/lib/modules/", modules.release_);
  for (const auto& entry : fs::recursive_directory_iterator(base, error)) {
    std::string path = entry.path().string().substr(base.size());
    if (absl::EndsWith(path, ".ko")) modules.files_[NameOfFile(path)] = path;
  }
  absl::StatusOr<std::string> built_in = ReadWhole(base + "/modules.builtin");
  if (!built_in.ok()) return built_in.status();
  for (absl::string_view line : absl::StrSplit(*built_in, '\n', absl::SkipEmpty())) {
    modules.built_in_.insert(NameOfFile(line));
  }
  return modules;
}

std::string KernelModules::KernelFile() const {
  return absl::StrCat(root_, "/boot/vmlinuz-", release_);
}

absl::StatusOr<std::vector<KernelModules::File>> KernelModules::Closure(
    const std::vector<std::string>& names) const {
  std::vector<File> order;
  std::set<std::string> done, open;
  // Depth first, so a module comes behind all that it needs.
  std::function<absl::Status(const std::string&, bool)> visit = [&](const std::string& name,
                                                                    bool optional) -> absl::Status {
    if (done.count(name) > 0 || built_in_.count(name) > 0) return absl::OkStatus();
    auto found = files_.find(name);
    if (found == files_.end()) {
      if (optional) return absl::OkStatus();
      return absl::NotFoundError(absl::StrCat("no-module: ", release_, " has no module ", name));
    }
    if (!open.insert(name).second)
      return absl::InvalidArgumentError(absl::StrCat("bad-module: ", name, " needs itself"));
    File file{.name = name,
              .path = absl::StrCat("/usr/lib/modules/", release_, found->second),
              .file = absl::StrCat(root_, "/lib/modules/", release_, found->second)};
    absl::StatusOr<std::string> bytes = ReadWhole(file.file);
    if (!bytes.ok()) return bytes.status();
    absl::StatusOr<ElfFacts> elf = ReadElf(*bytes);
    if (!elf.ok() || !elf->relocatable || !HasModuleSignature(*bytes)) {
      return absl::InvalidArgumentError(absl::StrCat("bad-module: ", name, " is no signed module"));
    }
    for (const std::string& magic : elf->ModuleInfo("vermagic")) {
      if (!absl::StartsWith(magic, release_ + " ")) {
        return absl::InvalidArgumentError(absl::StrCat("bad-module: ", name, " is for ", magic));
      }
    }
    for (std::string need : Needs(*elf)) {
      bool soft = absl::StartsWith(need, "?");
      if (soft) need.erase(0, 1);
      if (absl::Status s = visit(need, soft); !s.ok()) return s;
    }
    open.erase(name);
    done.insert(name);
    order.push_back(std::move(file));
    return absl::OkStatus();
  };
  for (const std::string& name : names) {
    if (absl::Status s = visit(ModuleName(name), false); !s.ok()) return s;
  }
  return order;
}

}  // namespace basalt::image
