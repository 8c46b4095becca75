#include "server/init/boot/entry_text.h"

#include <strings.h>

#include <cstring>

namespace basalt::init {
namespace {

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool GoodCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
         c == '-' || c == '+' || c == '~';
}

// At most 4 digits, all of [begin, end).
bool Number(const char* begin, const char* end, int* value) {
  if (begin == end || end - begin > 4) return false;
  *value = 0;
  for (; begin != end; ++begin) {
    if (!IsDigit(*begin)) return false;
    *value = *value * 10 + (*begin - '0');
  }
  return true;
}

// "HEX64:BLOCKS"
bool GoodRoot(const char* text, size_t size) {
  if (size < 66 || size >= kRootSize || text[64] != ':') return false;
  for (size_t i = 0; i < 64; ++i) {
    if (!IsHex(text[i])) return false;
  }
  for (size_t i = 65; i < size; ++i) {
    if (!IsDigit(text[i])) return false;
  }
  return true;
}

uint32_t Little(const unsigned char* at, int bytes) {
  uint32_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8 | at[i];
  return value;
}

}  // namespace

bool VariableText(const void* data, size_t size, char* text, size_t text_size) {
  const unsigned char* at = static_cast<const unsigned char*>(data);
  if (size < 4 + 2 || (size - 4) % 2 != 0) return false;
  size_t units = (size - 4) / 2;
  for (size_t i = 0; i < units; ++i) {
    uint32_t unit = Little(at + 4 + 2 * i, 2);
    if (unit == 0) {
      if (i == 0 || i + 1 != units) return false;  // nothing, or something behind the end
      text[i] = 0;
      return true;
    }
    if (unit < 0x20 || unit > 0x7e || i + 1 >= text_size) return false;
    text[i] = static_cast<char>(unit);
  }
  return false;  // no end
}

bool EntryOfPath(const char* path, char name[kEntryNameSize]) {
  static constexpr char kDirectory[] = "\\EFI\\Linux\\";
  size_t prefix = sizeof kDirectory - 1;
  if (strncasecmp(path, kDirectory, prefix) != 0) return false;
  EntryName entry;
  if (!ParseEntryName(path + prefix, &entry)) return false;
  strcpy(name, path + prefix);
  return true;
}

bool ParseEntryName(const char* name, EntryName* entry) {
  size_t length = strlen(name);
  if (length < 5 || length >= kEntryNameSize || strcasecmp(name + length - 4, ".efi") != 0) {
    return false;
  }
  for (size_t i = 0; i < length; ++i) {
    if (!GoodCharacter(name[i])) return false;
  }
  const char* end = name + length - 4;
  *entry = EntryName{};
  // "+LEFT" or "+LEFT-DONE" right before the suffix; a plus elsewhere belongs to the version.
  const char* plus = end;
  while (plus > name && *plus != '+') --plus;
  if (*plus == '+' && plus > name) {
    const char* minus =
        static_cast<const char*>(memchr(plus, '-', static_cast<size_t>(end - plus)));
    entry->counted = minus == nullptr ? Number(plus + 1, end, &entry->left)
                                      : Number(plus + 1, minus, &entry->left) &&
                                            Number(minus + 1, end, &entry->done);
    if (entry->counted) end = plus;
  }
  if (!entry->counted) entry->left = entry->done = 0;
  if (end == name || name[0] == '.') return false;
  memcpy(entry->stem, name, static_cast<size_t>(end - name));
  return true;
}

bool SameEntry(const char* a, const char* b) {
  EntryName first;
  EntryName second;
  return ParseEntryName(a, &first) && ParseEntryName(b, &second) &&
         strcasecmp(first.stem, second.stem) == 0;
}

bool RootOfCommandLine(const char* line, size_t size, char root[kRootSize]) {
  static constexpr char kKey[] = "noded.root=";
  constexpr size_t kKeySize = sizeof kKey - 1;
  bool found = false;
  for (size_t at = 0; at < size;) {
    size_t end = at;
    while (end < size && line[end] != ' ' && line[end] != '\n' && line[end] != 0) ++end;
    if (end - at > kKeySize && memcmp(line + at, kKey, kKeySize) == 0) {
      const char* value = line + at + kKeySize;
      size_t length = end - at - kKeySize;
      if (!GoodRoot(value, length)) return false;
      if (found && (strlen(root) != length || memcmp(root, value, length) != 0)) return false;
      memcpy(root, value, length);
      root[length] = 0;
      found = true;
    }
    at = end + 1;
  }
  return found;
}

bool FindSection(const void* head, size_t size, const char* name, Section* section) {
  const unsigned char* at = static_cast<const unsigned char*>(head);
  if (size < 64 || at[0] != 'M' || at[1] != 'Z') return false;
  uint64_t pe = Little(at + 60, 4);
  if (pe + 24 > size || memcmp(at + pe, "PE\0\0", 4) != 0) return false;
  uint32_t sections = Little(at + pe + 6, 2);
  uint64_t table = pe + 24 + Little(at + pe + 20, 2);
  char wanted[8] = {};
  if (strlen(name) > sizeof wanted) return false;
  memcpy(wanted, name, strlen(name));
  for (uint32_t i = 0; i < sections; ++i) {
    uint64_t entry = table + 40ull * i;
    if (entry + 40 > size) return false;
    if (memcmp(at + entry, wanted, sizeof wanted) != 0) continue;
    uint32_t used = Little(at + entry + 8, 4);
    uint32_t raw = Little(at + entry + 16, 4);
    section->offset = Little(at + entry + 20, 4);
    section->size = used < raw ? used : raw;  // what is beyond the use is padding
    return section->size > 0;
  }
  return false;
}

}  // namespace basalt::init
