#include "images/builder/packages.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::image {
namespace {

namespace fs = std::filesystem;

// A path of a package on this machine, with its links resolved inside `root`. "" when there is
// none.
std::string ResolveInside(const std::string& root, std::string path) {
  for (int links = 0; links < 8; ++links) {
    std::string full = absl::StrCat(root, path);
    std::error_code error;
    if (!fs::is_symlink(full, error)) return fs::exists(full, error) ? full : "";
    fs::path target = fs::read_symlink(full, error);
    if (error) return "";
    path = (target.is_absolute() ? target : fs::path(path).parent_path() / target)
               .lexically_normal()
               .string();
    if (!absl::StartsWith(path, "/") || absl::StartsWith(path, "/../")) return "";
  }
  return "";
}

// The kernel behind a package that only points to the newest one.
absl::StatusOr<std::string> KernelOf(absl::string_view stanza) {
  for (absl::string_view part : absl::StrSplit(StanzaField(stanza, "Depends"), ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (absl::StartsWith(part, "linux-image-")) {
      return std::string(part.substr(0, part.find_first_of(" (")));
    }
  }
  return absl::NotFoundError(
      absl::StrCat("no-kernel: ", StanzaField(stanza, "Package"), " depends on no linux-image-*"));
}

}  // namespace

std::string PackageStore::DebPath(const LockedPackage& package) const {
  return absl::StrCat(cache_, "/", package.sha256.Hex(), ".deb");
}

absl::StatusOr<std::vector<std::string>> PackageStore::AptOptions() {
  std::string apt = absl::StrCat(cache_, "/apt-", architecture_);
  for (const char* part : {"/state/lists/partial", "/cache/archives/partial", "/etc/empty"}) {
    if (absl::Status s = MakeDirectories(apt + part); !s.ok()) return s;
  }
  if (absl::Status s = WriteWhole(apt + "/status", ""); !s.ok()) return s;
  return std::vector<std::string>{
      "-qq",
      absl::StrCat("-oDir::State=", apt, "/state"),
      absl::StrCat("-oDir::State::status=", apt, "/status"),
      absl::StrCat("-oDir::Cache=", apt, "/cache"),
      absl::StrCat("-oDir::Etc::SourceList=", sources_),
      absl::StrCat("-oDir::Etc::SourceParts=", apt, "/etc/empty"),
      absl::StrCat("-oDir::Etc::Preferences=", apt, "/etc/empty/none"),
      absl::StrCat("-oDir::Etc::PreferencesParts=", apt, "/etc/empty"),
      absl::StrCat("-oAPT::Architecture=", architecture_),
      absl::StrCat("-oAPT::Architectures=", architecture_),
      "-oAPT::Sandbox::User=",
      "-oAPT::Update::Post-Invoke=",  // of this machine's configuration; not ours to run
      "-oAcquire::Languages=none",
      "-oAcquire::Retries=3"};
}

absl::Status PackageStore::RefreshIndex() {
  if (index_is_fresh_) return absl::OkStatus();
  absl::StatusOr<std::vector<std::string>> argv = AptOptions();
  if (!argv.ok()) return argv.status();
  argv->insert(argv->begin(), "apt-get");
  argv->push_back("-oAPT::Update::Error-Mode=any");
  argv->push_back("update");
  absl::StatusOr<std::string> done = tools_.Run(*argv);
  index_is_fresh_ = done.ok();
  return done.status();
}

absl::StatusOr<std::vector<std::string>> PackageStore::Show(const std::vector<std::string>& names) {
  absl::StatusOr<std::vector<std::string>> argv = AptOptions();
  if (!argv.ok()) return argv.status();
  argv->insert(argv->begin(), "apt-cache");
  argv->insert(argv->end(), {"show", "--no-all-versions"});
  argv->insert(argv->end(), names.begin(), names.end());
  absl::StatusOr<std::string> text = tools_.Run(*argv);
  if (!text.ok()) return text.status();
  std::vector<std::string> stanzas = absl::StrSplit(*text, "\n\n", absl::SkipWhitespace());
  if (stanzas.size() != names.size()) {
    return absl::NotFoundError(absl::StrCat("bad-stanza: asked for ", names.size(),
                                            " packages, the archive has ", stanzas.size()));
  }
  return stanzas;
}

absl::StatusOr<std::vector<LockedPackage>> PackageStore::Resolve(const Recipe& recipe) {
  if (absl::Status s = RefreshIndex(); !s.ok()) return s;
  std::vector<std::string> names;
  for (const Named& package : recipe.packages) names.push_back(package.name);
  absl::StatusOr<std::vector<std::string>> stanzas = Show(names);
  if (!stanzas.ok()) return stanzas.status();
  std::vector<LockedPackage> packages;
  for (std::string stanza : *stanzas) {
    if (StanzaField(stanza, "Package") == recipe.kernel_package) {
      absl::StatusOr<std::string> kernel = KernelOf(stanza);
      if (!kernel.ok()) return kernel.status();
      absl::StatusOr<std::vector<std::string>> shown = Show({*kernel});
      if (!shown.ok()) return shown.status();
      stanza = shown->front();
    }
    absl::StatusOr<LockedPackage> locked = FromStanza(stanza);
    if (!locked.ok()) return locked.status();
    packages.push_back(*locked);
  }
  std::sort(packages.begin(), packages.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return packages;
}

absl::StatusOr<std::vector<LockedPackage>> PackageStore::ResolveClosure(
    const std::vector<std::string>& names) {
  if (absl::Status s = RefreshIndex(); !s.ok()) return s;
  absl::StatusOr<std::vector<std::string>> argv = AptOptions();
  if (!argv.ok()) return argv.status();
  argv->insert(argv->begin(), "apt-get");
  argv->insert(argv->end(), {"-oAPT::Install-Recommends=false", "--simulate", "install"});
  argv->insert(argv->end(), names.begin(), names.end());
  absl::StatusOr<std::string> plan = tools_.Run(*argv);
  if (!plan.ok()) return plan.status();
  std::vector<std::string> all;
  for (absl::string_view line : absl::StrSplit(*plan, '\n')) {
    if (!absl::ConsumePrefix(&line, "Inst ")) continue;
    all.emplace_back(line.substr(0, line.find_first_of(" :")));
  }
  absl::StatusOr<std::vector<std::string>> stanzas = Show(all);
  if (!stanzas.ok()) return stanzas.status();
  std::vector<LockedPackage> packages;
  for (const std::string& stanza : *stanzas) {
    absl::StatusOr<LockedPackage> locked = FromStanza(stanza);
    if (!locked.ok()) return locked.status();
    packages.push_back(*locked);
  }
  std::sort(packages.begin(), packages.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return packages;
}

absl::Status PackageStore::Fetch(const std::vector<LockedPackage>& packages) {
  std::vector<const LockedPackage*> missing;
  for (const LockedPackage& p : packages) {
    if (!Exists(DebPath(p))) missing.push_back(&p);
  }
  if (missing.empty()) return absl::OkStatus();
  if (absl::Status s = RefreshIndex(); !s.ok()) return s;
  std::string incoming = absl::StrCat(cache_, "/incoming");
  if (absl::Status s = RemoveTree(incoming); !s.ok()) return s;
  if (absl::Status s = MakeDirectories(incoming); !s.ok()) return s;
  absl::StatusOr<std::vector<std::string>> argv = AptOptions();
  if (!argv.ok()) return argv.status();
  argv->insert(argv->begin(), "apt-get");
  argv->push_back("download");
  for (const LockedPackage* p : missing) argv->push_back(absl::StrCat(p->name, "=", p->version));
  if (absl::StatusOr<std::string> done = tools_.Run(*argv, incoming); !done.ok()) {
    return absl::NotFoundError(
        absl::StrCat("package-gone: the archive does not give what the lock file names; `./dev "
                     "image --update-lock` "
                     "takes what there is now, or put the .deb as SHA256.deb into ",
                     cache_,
                     " (snapshot.debian.org "
                     "keeps old ones): ",
                     done.status().message()));
  }
  // By content and not by name: apt has verified them against the archive's signature, we against
  // the lock.
  for (const auto& file : fs::directory_iterator(incoming)) {
    absl::StatusOr<std::string> bytes = ReadWhole(file.path());
    if (!bytes.ok()) return bytes.status();
    fs::rename(file.path(), absl::StrCat(cache_, "/", Sha256(*bytes).Hex(), ".deb"));
  }
  for (const LockedPackage* p : missing) {
    if (!Exists(DebPath(*p))) {
      return absl::DataLossError(absl::StrCat("package-gone: the archive has other bytes for ",
                                              p->name, " ", p->version,
                                              " than the lock file says"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> PackageStore::Unpack(const LockedPackage& package) {
  std::string directory = absl::StrCat(cache_, "/", package.sha256.Hex());
  if (Exists(directory)) return directory;
  std::string partial = directory + ".partial";
  if (absl::Status s = RemoveTree(partial); !s.ok()) return s;
  if (absl::Status s = UnpackInto(package, partial); !s.ok()) return s;
  fs::rename(partial, directory);
  return directory;
}

absl::Status PackageStore::UnpackInto(const LockedPackage& package, const std::string& directory) {
  absl::StatusOr<std::string> bytes = ReadWhole(DebPath(package));
  if (!bytes.ok()) return bytes.status();
  if (Sha256(*bytes) != package.sha256) {
    return absl::DataLossError(
        absl::StrCat("package-gone: ", DebPath(package), " is damaged: remove it"));
  }
  return tools_.Run({"dpkg-deb", "--extract", DebPath(package), directory}).status();
}

void PackageFiles::Add(const std::string& package, const std::string& directory) {
  directories_[package] = directory;
  for (const std::string& place :
       {absl::StrCat("/usr/lib/", triplet_), absl::StrCat("/lib/", triplet_),
        std::string("/usr/lib"), std::string("/lib"), std::string("/lib64"),
        std::string("/usr/lib64")}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory + place, error)) {
      std::string name = entry.path().filename();
      if (!absl::StrContains(name, ".so")) continue;
      std::string file = ResolveInside(directory, absl::StrCat(place, "/", name));
      std::error_code ignored;
      if (!file.empty() && fs::is_regular_file(file, ignored))
        libraries_.try_emplace(name, Library{package, file});
    }
  }
}

absl::StatusOr<std::string> PackageFiles::Find(absl::string_view package,
                                               absl::string_view path) const {
  std::string root = Directory(package);
  if (root.empty()) {
    return absl::NotFoundError(absl::StrCat("no-such-file: the recipe has no package ", package));
  }
  std::string other =
      absl::StartsWith(path, "/usr/") ? std::string(path.substr(4)) : absl::StrCat("/usr", path);
  for (const std::string& candidate : {std::string(path), other}) {
    if (std::string file = ResolveInside(root, candidate); !file.empty()) return file;
  }
  return absl::NotFoundError(absl::StrCat("no-such-file: ", package, " has no ", path));
}

absl::StatusOr<std::vector<std::string>> PackageFiles::List(absl::string_view package,
                                                            absl::string_view path) const {
  absl::StatusOr<std::string> directory = Find(package, path);
  if (!directory.ok()) return directory.status();
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(*directory, error))
    names.push_back(entry.path().filename());
  if (error)
    return absl::NotFoundError(absl::StrCat("no-such-file: ", package, " has no directory ", path));
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<std::string>> PackageFiles::ListBelow(absl::string_view package,
                                                                 absl::string_view path) const {
  absl::StatusOr<std::string> directory = Find(package, path);
  if (!directory.ok()) return directory.status();
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(*directory, error)) {
    std::error_code ignored;
    if (entry.is_regular_file(ignored)) {
      names.push_back(entry.path().string().substr(directory->size() + 1));
    }
  }
  if (error || names.empty())
    return absl::NotFoundError(absl::StrCat("no-such-file: nothing in ", package, ":", path));
  std::sort(names.begin(), names.end());
  return names;
}

const PackageFiles::Library* PackageFiles::FindLibrary(const std::string& name) const {
  auto found = libraries_.find(name);
  return found == libraries_.end() ? nullptr : &found->second;
}

std::string PackageFiles::Directory(absl::string_view package) const {
  auto found = directories_.find(package);
  return found == directories_.end() ? "" : found->second;
}

}  // namespace basalt::image
