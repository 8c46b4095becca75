// What an image is made of, as the text files in images/recipe say it: a profile, and the lists
// that it includes. One line is one thing and ends with why it is there; nothing is on an image
// that no line asked for. Pure.
//
//   include FILE
//   include-nonfree FILE               read only when whoever builds accepts its licences
//   architecture amd64 | arm64
//   kernel PACKAGE               # why   a package that depends on the newest kernel
//   stub PACKAGE                 # why   where the EFI stub and the boot loader come from
//   package NAME                 # why   what programs, files and their libraries come from
//   directory PATH               # why   an empty one: mount points
//   link PATH TARGET             # why
//   program PATH SOURCE          # why   and with it every library that it needs
//   plugins PATH SOURCE NAMES    # why   libraries of a directory of a package: a,b,c without .so
//   file PATH SOURCE             # why
//   files PATH SOURCE            # why   all of a directory of a package, with what is below it
//   generated PATH WHAT          # why   os-release, image-info, module-list, authorities
//   early-module NAME            # why   to reach the root: in the initramfs instead of the root
//   module NAME                  # why
//   argument WORD                # why   of the kernel's command line
//   partition NAME MIB           # why   in the order of the disk
//   esp PATH SOURCE              # why   a file on the boot partition, for firmware that asks for
//   it mbr NAME                     # why   this partition is in the MBR as well, beside the GPT
//   budget BYTES                 # why   most that file system, tree and kernel image may take
//
// SOURCE: build:PROGRAM of our own build, recipe:FILE, or PACKAGE:/PATH. `@triplet@` in a path
// stands for x86_64-linux-gnu or aarch64-linux-gnu; `@kernel@` in one of `esp` for the kernel's
// release.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::image {

enum class Kind { kDirectory, kLink, kProgram, kPlugins, kFile, kFiles, kGenerated };

struct Entry {
  Kind kind = Kind::kFile;
  std::string path;
  std::string source;              // of a link its target
  std::vector<std::string> names;  // of plugins
  std::string why;
};

struct Named {  // a package, a module, an argument
  std::string name;
  std::string why;
};

struct Module {
  std::string name;
  bool early = false;
  std::string why;
};

struct PartitionSize {
  std::string name;
  uint64_t mebibytes = 0;
  std::string why;
};

struct Recipe {
  std::string profile;
  std::string architecture;  // as Debian calls it
  std::string kernel_package;
  std::string stub_package;
  uint64_t budget = 0;
  std::vector<Named> packages;  // with kernel's and stub's
  std::vector<Entry> entries;
  std::vector<Module> modules;
  std::vector<Named> arguments;
  std::vector<PartitionSize> partitions;
  std::vector<Entry> esp;     // paths without a leading slash
  std::string mbr_partition;  // "": the MBR only protects

  std::string Triplet() const;          // "x86_64-linux-gnu"
  std::string EfiArchitecture() const;  // "x64", "aa64": in the names of boot files
  uint16_t ElfMachine() const;
  std::string CommandLine() const;  // the arguments, in order
};

// The text of a file of the recipe's directory, by its name there.
using ReadRecipeFile = std::function<absl::StatusOr<std::string>(absl::string_view)>;

// Reads PROFILE.profile; lists of `include-nonfree` only with `nonfree`. Every error names file and
// line. Reasons: bad-recipe.
absl::StatusOr<Recipe> ReadRecipe(absl::string_view profile, const ReadRecipeFile& read,
                                  bool nonfree = false);

}  // namespace basalt::image
