#include "images/builder/root.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "images/builder/formats/elf.h"
#include "images/builder/host.h"

namespace basalt::image {
namespace {

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

class Assembler {
 public:
  Assembler(const Recipe& recipe, const ImageInfo& info, const RootSources& sources, Tree base)
      : recipe_(recipe), info_(info), sources_(sources), tree_(std::move(base)) {}

  absl::StatusOr<Tree> Run() {
    for (const Entry& entry : recipe_.entries) {
      if (absl::Status s = Take(entry); !s.ok()) {
        return absl::Status(s.code(), absl::StrCat(s.message(), " (for ", entry.path, ")"));
      }
    }
    if (absl::Status s = AddModules(); !s.ok()) return s;
    return std::move(tree_);
  }

 private:
  struct Source {
    std::string bytes;
    std::string from;
  };

  absl::StatusOr<Source> Read(absl::string_view source) {
    std::pair<std::string, std::string> parts = absl::StrSplit(source, absl::MaxSplits(':', 1));
    absl::StatusOr<std::string> bytes;
    if (parts.first == "build") {
      bytes = sources_.program(parts.second);
    } else if (parts.first == "recipe") {
      bytes = sources_.recipe_file(parts.second);
    } else {
      absl::StatusOr<std::string> file = sources_.packages.Find(parts.first, parts.second);
      if (!file.ok()) return file.status();
      bytes = ReadWhole(*file);
    }
    if (!bytes.ok()) return bytes.status();
    return Source{*std::move(bytes), parts.first};
  }

  absl::Status Take(const Entry& entry) {
    Node node{.type = Node::Type::kFile, .mode = 0644, .from = "recipe", .why = entry.why};
    switch (entry.kind) {
      case Kind::kDirectory:
        node.type = Node::Type::kDirectory;
        node.mode = 0755;
        return AddNode(tree_, entry.path, node);
      case Kind::kLink:
        node.type = Node::Type::kLink;
        node.mode = 0777;
        node.content = entry.source;
        return AddNode(tree_, entry.path, node);
      case Kind::kPlugins:
        return TakePlugins(entry);
      case Kind::kGenerated: {
        absl::StatusOr<std::string> bytes = Generate(entry.source);
        if (!bytes.ok()) return bytes.status();
        node.content = *std::move(bytes);
        node.from = entry.source == "authorities" ? "ca-certificates" : "generated";
        return AddNode(tree_, entry.path, node);
      }
      case Kind::kFile:
      case Kind::kProgram:
        break;
    }
    absl::StatusOr<Source> source = Read(entry.source);
    if (!source.ok()) return source.status();
    node.content = std::move(source->bytes);
    node.from = source->from;
    if (entry.kind == Kind::kFile) return AddNode(tree_, entry.path, node);
    node.mode = 0755;
    absl::StatusOr<ElfFacts> elf = ReadElf(node.content);
    if (!elf.ok()) return elf.status();
    if (absl::Status s = AddNode(tree_, entry.path, node); !s.ok()) return s;
    return AddNeeds(*elf, entry.path);
  }

  // The loader, and the libraries, each once and under the one name that others ask for.
  absl::Status AddNeeds(const ElfFacts& elf, const std::string& who) {
    if (!elf.interpreter.empty()) {
      absl::string_view name = elf.interpreter;
      std::string path = absl::StrCat("/usr", name);
      name.remove_prefix(name.rfind('/') + 1);
      if (absl::Status s = AddLibrary(std::string(name), path, 0755, who); !s.ok()) return s;
    }
    for (const std::string& name : elf.needed) {
      // The loader is asked for by name, too, and lies where programs look for it.
      if (absl::StartsWith(name, "ld-linux")) continue;
      std::string path = absl::StrCat("/usr/lib/", recipe_.Triplet(), "/", name);
      if (absl::Status s = AddLibrary(name, path, 0644, who); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  absl::Status AddLibrary(const std::string& name, const std::string& path, unsigned mode,
                          const std::string& who) {
    if (tree_.count(path) > 0) return absl::OkStatus();
    const PackageFiles::Library* library = sources_.packages.FindLibrary(name);
    if (library == nullptr) {
      return absl::NotFoundError(absl::StrCat("no-library: ", who, " needs ", name,
                                              ", which no package of the recipe has"));
    }
    absl::StatusOr<std::string> bytes = ReadWhole(library->file);
    if (!bytes.ok()) return bytes.status();
    absl::StatusOr<ElfFacts> elf = ReadElf(*bytes);
    if (!elf.ok()) return elf.status();
    Node node{.type = Node::Type::kFile,
              .mode = mode,
              .content = *std::move(bytes),
              .from = library->package,
              .why = absl::StrCat("a library of ", who)};
    if (absl::Status s = AddNode(tree_, path, node); !s.ok()) return s;
    return AddNeeds(*elf, path);
  }

  absl::Status TakePlugins(const Entry& entry) {
    for (const std::string& name : entry.names) {
      Entry one{.kind = Kind::kProgram,
                .path = absl::StrCat(entry.path, "/", name, ".so"),
                .source = absl::StrCat(entry.source, "/", name, ".so"),
                .why = entry.why};
      if (absl::Status s = Take(one); !s.ok()) return s;
      tree_[one.path].mode = 0644;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Generate(absl::string_view what) {
    if (what == "os-release") return info_.OsRelease(recipe_);
    if (what == "image-info") return info_.Json(recipe_);
    if (what == "authorities") return AuthorityBundle(sources_.packages);
    absl::StatusOr<std::vector<KernelModules::File>> all = Modules();
    if (!all.ok()) return all.status();
    std::string list;
    for (const KernelModules::File& m : *all) {
      if (what == "module-list") absl::StrAppend(&list, m.path, "\n");
    }
    if (list.empty())
      return absl::InvalidArgumentError(absl::StrCat("bad-source: nothing is generated as ", what));
    return list;
  }

  absl::StatusOr<std::vector<KernelModules::File>> Modules() {
    std::vector<std::string> all, early;
    for (const Module& m : recipe_.modules) {
      all.push_back(m.name);
      if (m.early) early.push_back(m.name);
    }
    absl::StatusOr<std::vector<KernelModules::File>> closure = sources_.modules.Closure(all);
    absl::StatusOr<std::vector<KernelModules::File>> loaded = sources_.modules.Closure(early);
    if (!closure.ok()) return closure.status();
    if (!loaded.ok()) return loaded.status();
    // A root is never without those of its own kernel image: a second copy would be 1 MB for
    // nobody.
    std::erase_if(*closure, [&](const KernelModules::File& m) {
      return std::any_of(loaded->begin(), loaded->end(),
                         [&](const auto& l) { return l.name == m.name; });
    });
    return closure;
  }

  absl::Status AddModules() {
    absl::StatusOr<std::vector<KernelModules::File>> all = Modules();
    if (!all.ok()) return all.status();
    std::map<std::string, std::string> why;
    for (const Module& m : recipe_.modules) why[ModuleName(m.name)] = m.why;
    for (const KernelModules::File& m : *all) {
      if (tree_.count(m.path) > 0) continue;  // of the base
      absl::StatusOr<std::string> bytes = ReadWhole(m.file);
      if (!bytes.ok()) return bytes.status();
      auto asked = why.find(m.name);
      Node node{.type = Node::Type::kFile,
                .mode = 0644,
                .content = *std::move(bytes),
                .from = recipe_.kernel_package,
                .why = asked != why.end() ? asked->second : "another module needs it"};
      if (absl::Status s = AddNode(tree_, m.path, node); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  const Recipe& recipe_;
  const ImageInfo& info_;
  const RootSources& sources_;
  Tree tree_;
};

}  // namespace

std::string ImageInfo::OsRelease(const Recipe& recipe) const {
  return absl::StrCat("NAME=Basalt\nID=basalt\nPRETTY_NAME=\"Basalt ", version, " (",
                      recipe.profile, ")\"\nVERSION_ID=", version, "\nIMAGE_ID=basalt-",
                      recipe.profile, "\nIMAGE_VERSION=", version, "\nBASALT_EPOCH=", epoch, "\n");
}

std::string ImageInfo::Json(const Recipe& recipe) const {
  return absl::StrCat("{\n  \"architecture\": \"", recipe.architecture, "\",\n  \"buildTime\": \"",
                      Rfc3339(time), "\",\n  \"epoch\": ", epoch, ",\n  \"kernel\": \"", kernel,
                      "\",\n  \"profile\": \"", recipe.profile, "\",\n  \"version\": \"", version,
                      "\"\n}\n");
}

absl::StatusOr<Tree> AssembleRoot(const Recipe& recipe, const ImageInfo& info,
                                  const RootSources& sources, Tree base) {
  return Assembler(recipe, info, sources, std::move(base)).Run();
}

absl::StatusOr<std::string> AuthorityBundle(const PackageFiles& packages) {
  constexpr absl::string_view kPlace = "/usr/share/ca-certificates/mozilla";
  absl::StatusOr<std::vector<std::string>> names = packages.List("ca-certificates", kPlace);
  if (!names.ok()) return names.status();
  std::string bundle;
  for (const std::string& name : *names) {
    absl::StatusOr<std::string> file =
        packages.Find("ca-certificates", absl::StrCat(kPlace, "/", name));
    if (!file.ok()) return file.status();
    absl::StatusOr<std::string> pem = ReadWhole(*file);
    if (!pem.ok()) return pem.status();
    absl::StrAppend(&bundle, *pem, absl::EndsWith(*pem, "\n") ? "" : "\n");
  }
  return bundle;
}

}  // namespace basalt::image
