#include "images/builder/tree.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "images/builder/host.h"
#include "machineconfig/base/digest.h"

namespace basalt::image {
namespace {

namespace fs = std::filesystem;

char Letter(Node::Type type) {
  switch (type) {
    case Node::Type::kDirectory:
      return 'd';
    case Node::Type::kFile:
      return 'f';
    case Node::Type::kLink:
      return 'l';
    case Node::Type::kOther:
      return '?';
  }
  return '?';
}

// The columns that a file system has, without origin and reason.
std::map<std::string, std::string> Facts(absl::string_view contents) {
  std::map<std::string, std::string> facts;
  for (absl::string_view line : absl::StrSplit(contents, '\n', absl::SkipEmpty())) {
    std::vector<absl::string_view> columns = absl::StrSplit(line, '\t');
    if (columns.size() < 5) continue;
    facts[std::string(columns[0])] =
        absl::StrCat(columns[1], " ", columns[2], " ", columns[3], " ", columns[4]);
  }
  return facts;
}

}  // namespace

absl::Status AddNode(Tree& tree, const std::string& path, Node node) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    Node directory{.type = Node::Type::kDirectory,
                   .mode = 0755,
                   .from = "generated",
                   .why = "holds what is below"};
    auto [at, added] = tree.try_emplace(path.substr(0, slash), directory);
    if (at->second.type != Node::Type::kDirectory) {
      return absl::InvalidArgumentError(
          absl::StrCat("through-link: ", at->first, " above ", path, " is no directory"));
    }
  }
  auto [at, added] = tree.try_emplace(path, node);
  if (added) return absl::OkStatus();
  bool both_directories =
      at->second.type == Node::Type::kDirectory && node.type == Node::Type::kDirectory;
  if (!both_directories) return absl::AlreadyExistsError(absl::StrCat("doubled: ", path));
  at->second = std::move(node);  // with its own reason
  return absl::OkStatus();
}

std::string FormatContents(const Tree& tree) {
  std::string out;
  for (const auto& [path, n] : tree) {
    bool file = n.type == Node::Type::kFile;
    absl::StrAppendFormat(&out, "%s\t%c\t%04o\t%d\t%s\t%s\t%s\n", path, Letter(n.type), n.mode,
                          file ? n.content.size() : 0, file ? Sha256(n.content).Hex() : n.content,
                          n.from, n.why);
  }
  return out;
}

std::vector<std::string> CompareContents(absl::string_view expected, absl::string_view found) {
  std::map<std::string, std::string> want = Facts(expected), have = Facts(found);
  std::vector<std::string> differences;
  for (const auto& [path, facts] : want) {
    auto at = have.find(path);
    if (at == have.end()) {
      differences.push_back(absl::StrCat(path, ": is missing"));
    } else if (at->second != facts) {
      differences.push_back(absl::StrCat(path, ": is [", at->second, "], not [", facts, "]"));
    }
  }
  for (const auto& [path, facts] : have) {
    if (want.count(path) == 0) differences.push_back(absl::StrCat(path, ": nothing asked for it"));
  }
  return differences;
}

absl::StatusOr<Tree> ReadTree(const std::string& directory) {
  Tree tree;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(directory, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    struct stat info;
    std::string file = at->path();
    if (lstat(file.c_str(), &info) != 0)
      return absl::InternalError(absl::StrCat("io-failed: ", file));
    Node n{.mode = info.st_mode & 07777u};
    if (S_ISREG(info.st_mode)) {
      absl::StatusOr<std::string> bytes = ReadWhole(file);
      if (!bytes.ok()) return bytes.status();
      n.content = *std::move(bytes);
    } else if (S_ISLNK(info.st_mode)) {
      n.type = Node::Type::kLink;
      n.content = fs::read_symlink(file);
    } else {
      n.type = S_ISDIR(info.st_mode) ? Node::Type::kDirectory : Node::Type::kOther;
    }
    tree[file.substr(directory.size())] = std::move(n);
  }
  if (error)
    return absl::InternalError(absl::StrCat("io-failed: ", directory, ": ", error.message()));
  return tree;
}

absl::Status WriteTree(const Tree& tree, const std::string& directory) {
  if (absl::Status s = RemoveTree(directory); !s.ok()) return s;
  if (absl::Status s = MakeDirectories(directory); !s.ok()) return s;
  // Sorted by path: a directory comes before what is in it.
  for (const auto& [path, n] : tree) {
    std::string file = directory + path;
    absl::Status done;
    switch (n.type) {
      case Node::Type::kDirectory:
        done = MakeDirectories(file);
        break;
      case Node::Type::kFile:
        done = WriteWhole(file, n.content, n.mode);
        break;
      case Node::Type::kLink:
        done = MakeSymlink(n.content, file);
        break;
      case Node::Type::kOther:
        done = absl::InvalidArgumentError(absl::StrCat("io-failed: ", path));
        break;
    }
    if (!done.ok()) return done;
  }
  return absl::OkStatus();
}

}  // namespace basalt::image
