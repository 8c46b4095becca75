// What the image must know of a program, a library or a kernel module: what it needs, and how it
// was hardened. 64-bit little-endian ELF only. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::image {

struct ElfFacts {
  uint16_t machine = 0;        // EM_X86_64, EM_AARCH64
  bool relocatable = false;    // a kernel module
  bool fixed_address = false;  // ET_EXEC: not position-independent
  bool program = false;        // has an interpreter, or says that it is a PIE
  std::string interpreter;     // "" when static or a library
  std::vector<std::string> needed;
  std::string soname;
  std::string run_path;  // RPATH or RUNPATH
  bool relro = false;
  bool bind_now = false;
  bool executable_stack = false;  // also when nothing is said of the stack
  bool text_relocations = false;
  bool writable_and_executable = false;  // a segment that is both
  uint64_t relocations_size = 0;
  bool fortified = false;   // calls a checking function of the C library
  std::string module_info;  // section .modinfo: "key=value" parts, each ended by NUL

  // Values of a key of module_info.
  std::vector<std::string> ModuleInfo(absl::string_view key) const;
};

bool IsElf(absl::string_view file);

// Reasons: bad-elf.
absl::StatusOr<ElfFacts> ReadElf(absl::string_view file);

// Replaces the build id of a stripped program by one of its remaining bytes. The linker's is a hash
// that debug information, and with it the path of the sources, went into. (Removing the note with
// `strip` would move segments, and binutils drops RELRO then.) Nothing happens when there is none.
void RenewBuildId(std::string& file);

// True when a kernel module carries the signature it was built with: `strip` would remove it, and a
// locked-down kernel refuses it then.
bool HasModuleSignature(absl::string_view file);

}  // namespace basalt::image
