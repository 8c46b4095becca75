#include "images/builder/recipe.h"

#include <elf.h>

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::image {
namespace {

struct Line {
  std::string file;
  int number = 0;
  std::vector<std::string> words;
  std::string why;

  absl::Status Bad(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("bad-recipe: ", file, ":", number, ": ", what));
  }
};

bool GoodPath(absl::string_view path) {
  if (!absl::StartsWith(path, "/") || path.size() < 2) return false;
  std::vector<absl::string_view> parts = absl::StrSplit(path.substr(1), '/');
  return std::none_of(parts.begin(), parts.end(), [](absl::string_view part) {
    return part.empty() || part == "." || part == "..";
  });
}

class Reader {
 public:
  Reader(absl::string_view profile, const ReadRecipeFile& read, bool nonfree)
      : read_(read), nonfree_(nonfree) {
    recipe_.profile = std::string(profile);
  }

  absl::Status File(const std::string& name) {
    if (!included_.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("bad-recipe: ", name, " is included twice"));
    }
    absl::StatusOr<std::string> text = read_(name);
    if (!text.ok()) return text.status();
    int number = 0;
    for (absl::string_view raw : absl::StrSplit(*text, '\n')) {
      Line line{.file = name, .number = ++number};
      std::vector<std::string> halves = absl::StrSplit(raw, absl::MaxSplits(" # ", 1));
      if (absl::StartsWith(raw, "#")) continue;
      if (halves.size() == 2) line.why = std::string(absl::StripAsciiWhitespace(halves[1]));
      line.words = absl::StrSplit(halves[0], ' ', absl::SkipEmpty());
      if (line.words.empty()) continue;
      if (absl::Status s = Take(line); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Recipe> Finish() {
    Line end{.file = absl::StrCat(recipe_.profile, ".profile")};
    if (recipe_.architecture.empty()) return end.Bad("no `architecture`");
    if (recipe_.kernel_package.empty()) return end.Bad("no `kernel`");
    if (recipe_.stub_package.empty()) return end.Bad("no `stub`");
    if (recipe_.partitions.empty()) return end.Bad("no `partition`");
    if (recipe_.budget == 0) return end.Bad("no `budget`");
    auto is_mbr = [&](const PartitionSize& p) { return p.name == recipe_.mbr_partition; };
    if (!recipe_.mbr_partition.empty() &&
        std::none_of(recipe_.partitions.begin(), recipe_.partitions.end(), is_mbr)) {
      return end.Bad("`mbr` names no partition");
    }
    for (Entry& e : recipe_.entries) {
      for (std::string* text : {&e.path, &e.source}) {
        *text = absl::StrReplaceAll(*text, {{"@triplet@", recipe_.Triplet()}});
      }
    }
    return std::move(recipe_);
  }

 private:
  absl::Status Take(const Line& line) {
    const std::string& word = line.words[0];
    if (word == "include" || word == "include-nonfree" || word == "architecture") {
      if (line.words.size() != 2) return line.Bad(absl::StrCat("`", word, "` takes one word"));
      if (word == "include-nonfree") {
        return nonfree_ ? File(line.words[1]) : absl::OkStatus();
      }
      if (word == "include") return File(line.words[1]);
      recipe_.architecture = line.words[1];
      if (recipe_.Triplet().empty()) return line.Bad("known architectures: amd64, arm64");
      return absl::OkStatus();
    }
    if (line.why.empty()) return line.Bad("says no ` # why`");
    static constexpr std::pair<absl::string_view, Kind> kPaths[] = {
        {"link", Kind::kLink},          {"program", Kind::kProgram},
        {"plugins", Kind::kPlugins},    {"file", Kind::kFile},
        {"files", Kind::kFiles},        {"generated", Kind::kGenerated},
        {"directory", Kind::kDirectory}};
    for (const auto& [name, kind] : kPaths) {
      if (word == name) return TakePath(line, kind);
    }
    if (word == "esp") return TakeEsp(line);
    bool partition = word == "partition";
    if (line.words.size() != (partition ? 3u : 2u)) {
      return line.Bad(absl::StrCat("unknown, or not as many words as it takes: ", word));
    }
    const std::string& value = line.words[1];
    if (!partition && word != "budget" && !seen_.insert(word + " " + value).second) {
      return line.Bad(absl::StrCat(value, " is there already"));
    }
    if (word == "kernel" || word == "stub" || word == "package") {
      if (word != "package") {
        std::string& name = word == "kernel" ? recipe_.kernel_package : recipe_.stub_package;
        if (!name.empty()) return line.Bad(absl::StrCat("a second `", word, "`"));
        name = value;
      }
      recipe_.packages.push_back({value, line.why});
    } else if (word == "module" || word == "early-module") {
      recipe_.modules.push_back({value, word == "early-module", line.why});
    } else if (word == "argument") {
      recipe_.arguments.push_back({value, line.why});
    } else if (word == "mbr") {
      recipe_.mbr_partition = value;
    } else if (word == "budget") {
      if (!absl::SimpleAtoi(value, &recipe_.budget)) return line.Bad("not a number of bytes");
    } else if (partition) {
      PartitionSize p{.name = value, .why = line.why};
      if (!absl::SimpleAtoi(line.words[2], &p.mebibytes) || p.mebibytes == 0) {
        return line.Bad("not a number of MiB");
      }
      recipe_.partitions.push_back(p);
    } else {
      return line.Bad(absl::StrCat("unknown word: ", word));
    }
    return absl::OkStatus();
  }

  absl::Status TakePath(const Line& line, Kind kind) {
    if (line.words.size() != (kind == Kind::kDirectory ? 2u : kind == Kind::kPlugins ? 4u : 3u)) {
      return line.Bad(absl::StrCat("`", line.words[0], "` does not take that many words"));
    }
    Entry e{.kind = kind, .path = line.words[1], .why = line.why};
    if (!GoodPath(e.path)) return line.Bad(absl::StrCat("not a clean absolute path: ", e.path));
    if (line.words.size() > 2) e.source = line.words[2];
    if (kind == Kind::kPlugins) e.names = absl::StrSplit(line.words[3], ',');
    if (!paths_.insert(e.path).second) return line.Bad(absl::StrCat(e.path, " is there already"));
    recipe_.entries.push_back(e);
    return absl::OkStatus();
  }

  absl::Status TakeEsp(const Line& line) {
    if (line.words.size() != 3) return line.Bad("`esp` takes a path and a source");
    if (!GoodPath("/" + line.words[1]) || !paths_.insert("ESP:" + line.words[1]).second) {
      return line.Bad(absl::StrCat("an odd path, or one that is there already: ", line.words[1]));
    }
    recipe_.esp.push_back(
        {.kind = Kind::kFile, .path = line.words[1], .source = line.words[2], .why = line.why});
    return absl::OkStatus();
  }

  const ReadRecipeFile& read_;
  const bool nonfree_;
  Recipe recipe_;
  std::set<std::string> included_, paths_, seen_;
};

}  // namespace

std::string Recipe::Triplet() const {
  return architecture == "amd64"   ? "x86_64-linux-gnu"
         : architecture == "arm64" ? "aarch64-linux-gnu"
                                   : "";
}

std::string Recipe::EfiArchitecture() const { return architecture == "amd64" ? "x64" : "aa64"; }

uint16_t Recipe::ElfMachine() const { return architecture == "amd64" ? EM_X86_64 : EM_AARCH64; }

std::string Recipe::CommandLine() const {
  return absl::StrJoin(arguments, " ", [](std::string* out, const Named& a) { *out += a.name; });
}

absl::StatusOr<Recipe> ReadRecipe(absl::string_view profile, const ReadRecipeFile& read,
                                  bool nonfree) {
  Reader reader(profile, read, nonfree);
  if (absl::Status s = reader.File(absl::StrCat(profile, ".profile")); !s.ok()) return s;
  return reader.Finish();
}

}  // namespace basalt::image
