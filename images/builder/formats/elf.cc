#include "images/builder/formats/elf.h"

#include <elf.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "images/builder/formats/little_endian.h"
#include "machineconfig/base/digest.h"

namespace basalt::image {
namespace {

absl::Status Bad(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("bad-elf: ", why));
}

// A copy, as the file need not be aligned. Zero when it lies outside.
template <typename T>
T At(absl::string_view file, uint64_t offset) {
  T value{};
  if (offset <= file.size() && file.size() - offset >= sizeof(T)) {
    memcpy(&value, file.data() + offset, sizeof(T));
  }
  return value;
}

absl::string_view Part(absl::string_view file, uint64_t offset, uint64_t size) {
  if (offset > file.size() || size > file.size() - offset) return {};
  return file.substr(offset, size);
}

// The string that starts at `offset` of a string table.
std::string StringAt(absl::string_view table, uint64_t offset) {
  if (offset >= table.size()) return "";
  absl::string_view rest = table.substr(offset);
  return std::string(rest.substr(0, rest.find('\0')));
}

struct Segments {
  std::vector<Elf64_Phdr> all;

  // Where an address lies in the file; past its end when nowhere.
  uint64_t Offset(uint64_t address) const {
    for (const Elf64_Phdr& p : all) {
      if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) {
        return p.p_offset + (address - p.p_vaddr);
      }
    }
    return UINT64_MAX;
  }
};

void ReadDynamic(absl::string_view file, const Segments& segments, const Elf64_Phdr& dynamic,
                 ElfFacts& facts) {
  absl::string_view entries = Part(file, dynamic.p_offset, dynamic.p_filesz);
  uint64_t strings_at = UINT64_MAX, strings_size = 0;
  std::vector<Elf64_Dyn> names;
  for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= entries.size(); at += sizeof(Elf64_Dyn)) {
    auto d = At<Elf64_Dyn>(entries, at);
    if (d.d_tag == DT_NULL) break;
    switch (d.d_tag) {
      case DT_STRTAB:
        strings_at = segments.Offset(d.d_un.d_ptr);
        break;
      case DT_STRSZ:
        strings_size = d.d_un.d_val;
        break;
      case DT_NEEDED:
      case DT_SONAME:
      case DT_RPATH:
      case DT_RUNPATH:
        names.push_back(d);
        break;
      case DT_BIND_NOW:
        facts.bind_now = true;
        break;
      case DT_TEXTREL:
        facts.text_relocations = true;
        break;
      case DT_RELASZ:
      case DT_RELRSZ:
      case DT_PLTRELSZ:
        facts.relocations_size += d.d_un.d_val;
        break;
      case DT_FLAGS:
        facts.bind_now |= (d.d_un.d_val & DF_BIND_NOW) != 0;
        facts.text_relocations |= (d.d_un.d_val & DF_TEXTREL) != 0;
        break;
      case DT_FLAGS_1:
        facts.bind_now |= (d.d_un.d_val & DF_1_NOW) != 0;
        facts.program |= (d.d_un.d_val & DF_1_PIE) != 0;
        break;
      default:
        break;
    }
  }
  absl::string_view strings = Part(file, strings_at, strings_size);
  for (const Elf64_Dyn& d : names) {
    std::string name = StringAt(strings, d.d_un.d_val);
    if (d.d_tag == DT_NEEDED) facts.needed.push_back(name);
    if (d.d_tag == DT_SONAME) facts.soname = name;
    if (d.d_tag == DT_RPATH || d.d_tag == DT_RUNPATH) facts.run_path = name;
  }
  // Names end with a NUL: "__memcpy_chk" as a whole word.
  for (absl::string_view name : absl::StrSplit(strings, '\0')) {
    if (absl::StartsWith(name, "__") && absl::EndsWith(name, "_chk")) facts.fortified = true;
  }
}

void ReadModuleInfo(absl::string_view file, const Elf64_Ehdr& header, ElfFacts& facts) {
  auto section = [&](uint64_t index) {
    return At<Elf64_Shdr>(file, header.e_shoff + index * sizeof(Elf64_Shdr));
  };
  Elf64_Shdr table = section(header.e_shstrndx);
  absl::string_view names = Part(file, table.sh_offset, table.sh_size);
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr s = section(i);
    if (StringAt(names, s.sh_name) == ".modinfo") {
      facts.module_info = std::string(Part(file, s.sh_offset, s.sh_size));
    }
  }
}

}  // namespace

std::vector<std::string> ElfFacts::ModuleInfo(absl::string_view key) const {
  std::vector<std::string> values;
  for (absl::string_view part : absl::StrSplit(module_info, '\0')) {
    if (absl::ConsumePrefix(&part, key) && absl::ConsumePrefix(&part, "=")) {
      values.emplace_back(part);
    }
  }
  return values;
}

bool IsElf(absl::string_view file) { return absl::StartsWith(file, "\177ELF"); }

absl::StatusOr<ElfFacts> ReadElf(absl::string_view file) {
  auto header = At<Elf64_Ehdr>(file, 0);
  if (!IsElf(file) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return Bad("not a 64-bit little-endian ELF file");
  }
  ElfFacts facts;
  facts.machine = header.e_machine;
  facts.relocatable = header.e_type == ET_REL;
  facts.fixed_address = header.e_type == ET_EXEC;
  facts.program = facts.fixed_address;
  if (facts.relocatable) {
    if (header.e_shentsize != sizeof(Elf64_Shdr)) return Bad("no section table");
    ReadModuleInfo(file, header, facts);
    return facts;
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return Bad("not a program or library");
  if (header.e_phnum == 0 || header.e_phentsize != sizeof(Elf64_Phdr)) return Bad("no segments");

  Segments segments;
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    segments.all.push_back(At<Elf64_Phdr>(file, header.e_phoff + i * sizeof(Elf64_Phdr)));
  }
  facts.executable_stack = true;
  for (const Elf64_Phdr& p : segments.all) {
    if (p.p_type == PT_LOAD && (p.p_flags & PF_W) && (p.p_flags & PF_X)) {
      facts.writable_and_executable = true;
    }
    if (p.p_type == PT_GNU_STACK) facts.executable_stack = (p.p_flags & PF_X) != 0;
    if (p.p_type == PT_GNU_RELRO) facts.relro = true;
    if (p.p_type == PT_INTERP) {
      facts.interpreter = StringAt(Part(file, p.p_offset, p.p_filesz), 0);
      facts.program = true;
    }
    if (p.p_type == PT_DYNAMIC) ReadDynamic(file, segments, p, facts);
  }
  return facts;
}

void RenewBuildId(std::string& file) {
  auto header = At<Elf64_Ehdr>(file, 0);
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    auto p = At<Elf64_Phdr>(file, header.e_phoff + i * sizeof(Elf64_Phdr));
    if (p.p_type != PT_NOTE) continue;
    absl::string_view notes = Part(file, p.p_offset, p.p_filesz);
    for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
      auto note = At<Elf64_Nhdr>(notes, at);
      uint64_t name = at + sizeof note, id = name + RoundUp(note.n_namesz, 4);
      at = id + RoundUp(note.n_descsz, 4);
      if (note.n_type != NT_GNU_BUILD_ID ||
          Part(notes, name, note.n_namesz) != absl::string_view("GNU", 4) ||
          note.n_descsz > sizeof(Digest::bytes) || Part(notes, id, note.n_descsz).empty()) {
        continue;
      }
      uint64_t place = p.p_offset + id;
      file.replace(place, note.n_descsz, note.n_descsz, '\0');
      Digest digest = Sha256(file);
      file.replace(place, note.n_descsz, reinterpret_cast<const char*>(digest.bytes.data()),
                   note.n_descsz);
      return;
    }
  }
}

bool HasModuleSignature(absl::string_view file) {
  return absl::EndsWith(file, "~Module signature appended~\n");
}

}  // namespace basalt::image
