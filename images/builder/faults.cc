// FindFaults: the image's own promises, checked on what was really assembled.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "images/builder/formats/elf.h"
#include "images/builder/tree.h"

namespace basalt::image {
namespace {

// Programs that would run what somebody types or sends. Compared without a version ("python3.11").
constexpr absl::string_view kForbidden[] = {
    "sh",      "bash",    "dash",   "ash",    "zsh",  "ksh",  "mksh",    "csh",      "tcsh",
    "fish",    "busybox", "toybox", "python", "perl", "ruby", "lua",     "luajit",   "node",
    "php",     "tclsh",   "awk",    "gawk",   "mawk", "sed",  "env",     "expect",   "login",
    "getty",   "agetty",  "su",     "sudo",   "sshd", "ssh",  "telnetd", "dropbear", "apt",
    "apt-get", "dpkg",    "rpm",    "gdb",    "nc",   "socat"};
constexpr absl::string_view kForbiddenLibraries[] = {"libpython", "libperl", "liblua", "libruby",
                                                     "libguile"};

// Targets of links that exist on a running node only.
bool MadeAtRun(absl::string_view path) {
  return absl::StartsWith(path, "/run/") || absl::StartsWith(path, "/proc/") ||
         absl::StartsWith(path, "/dev/");
}

class Inspector {
 public:
  Inspector(const Tree& tree, uint16_t machine) : tree_(tree), machine_(machine) {}

  std::vector<std::string> Run() {
    for (const auto& [path, node] : tree_) {
      path_ = path;
      Look(node);
    }
    return std::move(faults_);
  }

 private:
  void Say(absl::string_view what) { faults_.push_back(absl::StrCat(path_, ": ", what)); }

  void Look(const Node& n) {
    if (n.type == Node::Type::kOther) return Say("is a device, a pipe or a socket");
    if (n.type == Node::Type::kLink) return LookAtLink(n);
    if (n.mode & 06000) Say("is setuid or setgid");
    if (n.mode & 0002) Say("may be written by everybody");
    LookAtName();
    if (n.type == Node::Type::kDirectory) return;
    if (absl::StartsWith(n.content, "#!")) Say("is a script");
    if (IsElf(n.content)) {
      LookAtElf(n);
    } else if (n.mode & 0111) {
      Say("may be executed and is no program");
    } else if (absl::EndsWith(path_, ".ko")) {
      Say("is no kernel module");
    }
  }

  void LookAtName() {
    absl::string_view name = absl::string_view(path_).substr(path_.rfind('/') + 1);
    absl::string_view bare = name.substr(0, name.find_last_not_of("0123456789.-") + 1);
    auto is = [&](absl::string_view forbidden) { return name == forbidden || bare == forbidden; };
    bool program = absl::StrContains(path_, "bin/");
    if (program && std::any_of(std::begin(kForbidden), std::end(kForbidden), is))
      Say("is a shell, an interpreter or a way in");
    for (absl::string_view library : kForbiddenLibraries) {
      if (absl::StartsWith(name, library)) Say("is an interpreter's library");
    }
  }

  void LookAtLink(const Node& n) {
    LookAtName();
    std::string target = Resolve(path_, 8);
    if (target.empty()) Say(absl::StrCat("leads nowhere: ", n.content));
  }

  // Where a path leads in the tree; "" when nowhere. "/" for the root.
  std::string Resolve(const std::string& path, int links) {
    if (links == 0) return "";
    std::string done;
    absl::string_view rest = path;
    while (!rest.empty()) {
      absl::ConsumePrefix(&rest, "/");
      absl::string_view part = rest.substr(0, rest.find('/'));
      rest.remove_prefix(part.size());
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        done = done.substr(0, done.rfind('/') == std::string::npos ? 0 : done.rfind('/'));
        continue;
      }
      std::string here = absl::StrCat(done, "/", part);
      if (MadeAtRun(absl::StrCat(here, "/")) || MadeAtRun(here)) return here;
      auto found = tree_.find(here);
      if (found == tree_.end()) return "";
      if (found->second.type != Node::Type::kLink) {
        done = here;
        continue;
      }
      const std::string& target = found->second.content;
      std::string next = absl::StartsWith(target, "/") ? target : absl::StrCat(done, "/", target);
      return Resolve(absl::StrCat(next, rest), links - 1);
    }
    return done.empty() ? "/" : done;
  }

  void LookAtElf(const Node& n) {
    absl::StatusOr<ElfFacts> read = ReadElf(n.content);
    if (!read.ok()) return Say(read.status().message());
    const ElfFacts& elf = *read;
    if (elf.machine != machine_) Say("is for another machine");
    if (elf.relocatable) {
      if (!absl::EndsWith(path_, ".ko")) Say("is an object file");
      if (!HasModuleSignature(n.content)) Say("is a module without its signature");
      return;
    }
    if (elf.fixed_address) Say("is not position-independent");
    if (!elf.relro) Say("has no RELRO");
    if (elf.executable_stack) Say("has an executable stack");
    if (elf.text_relocations) Say("has text relocations");
    if (elf.writable_and_executable) Say("has writable code");
    if (!elf.run_path.empty()) Say(absl::StrCat("looks for libraries in ", elf.run_path));
    if (n.from == "build") {
      if (!elf.bind_now) Say("of our own does not bind at start");
      if (!elf.needed.empty() && !elf.fortified) Say("of our own is not fortified");
    }
    for (const std::string& library : elf.needed) {
      if (!HasLibrary(library)) Say(absl::StrCat("needs ", library, ", which is not here"));
    }
    if (!elf.interpreter.empty() && Resolve(elf.interpreter, 8).empty()) {
      Say(absl::StrCat("needs ", elf.interpreter, ", which is not here"));
    }
  }

  bool HasLibrary(const std::string& name) {
    if (libraries_.empty()) {
      for (const auto& [path, node] : tree_) {
        if (absl::StartsWith(path, "/usr/lib"))
          libraries_.insert({path.substr(path.rfind('/') + 1), path});
      }
    }
    return libraries_.count(name) > 0;
  }

  const Tree& tree_;
  uint16_t machine_;
  std::string path_;
  std::vector<std::string> faults_;
  std::map<std::string, std::string> libraries_;
};

}  // namespace

std::vector<std::string> FindFaults(const Tree& tree, uint16_t machine) {
  return Inspector(tree, machine).Run();
}

}  // namespace basalt::image
