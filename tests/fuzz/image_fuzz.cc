// What the first program of a node reads before anything is verified (the kernel's command line, a
// superblock, the description of a device, a variable of the firmware), and what the builder reads
// (ELF files, kernel images, recipes, lock files). The first byte says which.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "images/boot/partition.h"
#include "images/boot/root_spec.h"
#include "images/boot/superblock.h"
#include "images/boot/tries.h"
#include "images/builder/formats/elf.h"
#include "images/builder/formats/kernel.h"
#include "images/builder/formats/uki.h"
#include "images/builder/lock.h"
#include "images/builder/recipe.h"

namespace {

using namespace basalt;

void Check(bool good) {
  if (!good) std::abort();
}

// The root that is read is written in the line, once.
void CommandLine(const std::string& line) {
  boot::RootSpec spec;
  if (!boot::ParseRootSpec({line.data(), line.size()}, &spec)) return;
  char buffer[256];
  boot::Writer w(buffer, sizeof buffer);
  w.Add(boot::Literal("noded.root=")).AddHex(spec.hash, sizeof spec.hash).Add(boot::Literal(":"));
  Check(w.AddNumber(spec.blocks).Finish() != nullptr);
  size_t at = line.find(buffer);
  Check(at != std::string::npos && (at == 0 || line[at - 1] == ' '));
}

// What matches makes a table that fits.
void Superblock(const std::string& bytes) {
  boot::Superblock superblock;
  boot::RootSpec spec;
  if (bytes.size() < sizeof superblock) return;
  memcpy(&superblock, bytes.data(), sizeof superblock);
  memcpy(spec.hash, superblock.uuid, sizeof superblock.uuid);
  memset(spec.hash + sizeof superblock.uuid, 0, sizeof spec.hash - sizeof superblock.uuid);
  spec.blocks = superblock.data_blocks;
  if (!boot::Matches(superblock, spec)) return;
  char table[1024];
  boot::Writer w(table, sizeof table);
  Check(boot::WriteVerityTable(superblock, spec, boot::Literal("254:2"), &w));
}

void Device(const std::string& text) {
  boot::Partition p;
  if (!boot::ParsePartition({text.data(), text.size()}, &p)) return;
  Check(memchr(p.name.data, '/', p.name.size) == nullptr && p.name.size > 0 && p.label.size > 0);
}

// A name that is counted stays in its directory, and counts down to its end.
void Variable(const std::string& bytes) {
  char name[boot::kLongestEntry], next[boot::kLongestEntry];
  boot::Writer w(name, sizeof name), counted(next, sizeof next);
  if (!boot::EntryOfVariable({bytes.data(), bytes.size()}, &w)) return;
  Check(w.length() > 0 && name[0] != '.' && strchr(name, '/') == nullptr);
  if (!boot::CountedName({name, w.length()}, &counted)) return;
  Check(strcmp(name, next) != 0 && strchr(next, '/') == nullptr);
}

void Builder(uint8_t which, const std::string& bytes) {
  if (which == 3) {
    (void)image::ReadElf(bytes);
    std::string copy = bytes;
    image::RenewBuildId(copy);
    Check(copy.size() == bytes.size());
  } else if (which == 4) {
    auto made = image::MakeUki(bytes, {.os_release = "o",
                                       .command_line = "c",
                                       .kernel_version = "u",
                                       .kernel = "k",
                                       .initramfs = "i"});
    if (made.ok())
      Check(image::UkiSection(*made, ".initrd").value_or("") == "i" ||
            image::UkiSection(bytes, ".initrd").ok());
    (void)image::UkiSection(bytes, ".linux");
  } else if (which == 7) {
    auto release = image::KernelRelease(bytes);
    Check(!release.ok() || (!release->empty() && bytes.find(*release) != std::string::npos));
  } else if (which == 5) {
    auto lock = image::ParseLock(bytes);
    if (lock.ok()) Check(image::ParseLock(image::FormatLock(*lock)).ok());
  } else {
    (void)image::ReadRecipe(
        "x", [&](absl::string_view) -> absl::StatusOr<std::string> { return bytes; });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 9) {
    case 0:
      CommandLine(rest);
      break;
    case 1:
      Superblock(rest);
      break;
    case 2:
      Device(rest);
      break;
    case 8:
      Variable(rest);
      break;
    default:
      Builder(data[0] % 9, rest);
  }
  return 0;
}
