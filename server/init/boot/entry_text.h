// What the boot loader left in the firmware's variables, and what an entry says of itself. Pure:
// any bytes may come, since firmware, the ESP and whoever wrote to them are not trusted here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace basalt::init {

inline constexpr size_t kEntryNameSize = 128;
inline constexpr size_t kRootSize = 96;  // "HEX64:BLOCKS"

// A variable of efivarfs: 4 bytes of attributes, then UTF-16. True when it is a text that fits,
// ends once, and is plain ASCII.
bool VariableText(const void* data, size_t size, char* text, size_t text_size);

// The file of "\EFI\Linux\NAME.efi", any case of letters; false for everything that is not exactly
// that: another directory, a path that climbs, a character that no entry of ours has.
bool EntryOfPath(const char* path, char name[kEntryNameSize]);

// "noded_2+2-1.efi": `stem` gets "noded_2", `counted` whether tries stand in the name.
struct EntryName {
  char stem[kEntryNameSize] = {};
  bool counted = false;
  int left = 0;
  int done = 0;
};
bool ParseEntryName(const char* name, EntryName* entry);

// Do both name the same entry, whatever their tries and case? The loader tells of an entry by the
// name that it had before this boot was counted.
bool SameEntry(const char* a, const char* b);

// The value of "noded.root=" in a kernel command line. False: none, or not HEX64:BLOCKS, or two of
// them that differ.
bool RootOfCommandLine(const char* line, size_t size, char root[kRootSize]);

// Where the section of that name lies in the file of a PE program, from its first bytes.
struct Section {
  uint32_t offset = 0;
  uint32_t size = 0;
};
bool FindSection(const void* head, size_t size, const char* name, Section* section);

}  // namespace basalt::init
