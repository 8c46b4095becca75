// What PID 1 and noded-dhcp read that others wrote: variables of the firmware, names and heads of
// boot entries, command lines, lists of modules, image.json, lines of mounts, and what a DHCP
// server said. The first byte chooses; what was read must be within its bounds and read back the
// same.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "server/dhcp/lease.h"
#include "server/init/boot/boot_entry.h"
#include "server/init/boot/clock_floor.h"
#include "server/init/boot/end.h"
#include "server/init/boot/entry_text.h"
#include "server/init/boot/modules.h"
#include "server/init/boot/partitions.h"

namespace {

namespace init = basalt::init;

void Must(bool holds) {
  if (!holds) std::abort();
}

void Entries(const char* data, size_t size) {
  char text[init::kEntryNameSize];
  char file[init::kEntryNameSize];
  if (init::VariableText(data, size, text, sizeof text)) {
    Must(strlen(text) > 0 && strlen(text) < sizeof text);
    if (init::Judge(text, text, file) == init::EntryState::kTrial)
      std::abort();  // a path is no name
    if (init::EntryOfPath(text, file)) {
      init::EntryName entry;
      Must(strchr(file, '/') == nullptr && strchr(file, '\\') == nullptr && file[0] != '.');
      Must(init::ParseEntryName(file, &entry) && init::SameEntry(file, file));
    }
  }
  std::string name(data, size);
  init::EntryName entry;
  if (init::ParseEntryName(name.c_str(), &entry)) {
    Must(strlen(entry.stem) > 0 && entry.left >= 0 && entry.done >= 0);
    Must(init::SameEntry(name.c_str(), (std::string(entry.stem) + "+1.efi").c_str()) ||
         strlen(entry.stem) + 6 >= init::kEntryNameSize);
  }
}

void Lines(const char* data, size_t size) {
  char root[init::kRootSize];
  if (init::RootOfCommandLine(data, size, root)) Must(root[64] == ':' && strlen(root) > 65);
  char path[64];
  size_t at = 0;
  int bad = 0;
  while (init::NextModule(data, size, &at, path, sizeof path, &bad) != nullptr) {
    Must(path[0] == '/' && strlen(path) < sizeof path);
  }
  int64_t built = init::BuildTime(data, size);
  Must(built >= -1 && built <= 253402300800);
  if (init::MountPointOf(data, size, path, sizeof path)) Must(path[0] == '/');
  init::HasPartitionName(data, size, "STATE");
}

void Leases(const char* data, size_t size) {
  std::string text(data, size);
  size_t cut = size / 3;
  basalt::dhcp::Lease lease =
      basalt::dhcp::LeaseOf({{"interface", text.substr(0, cut)},
                             {"new_domain_name_servers", text.substr(cut, cut)},
                             {"new_domain_search", text.substr(2 * cut)},
                             {"new_domain_name", text}});
  Must(basalt::dhcp::FromText(basalt::dhcp::ToText(lease)) == lease);
  std::string conf = basalt::dhcp::ResolvConf({lease, basalt::dhcp::FromText(text)});
  for (char c : conf) Must(c == '\n' || (c >= ' ' && c <= '~'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A copy of its own size, so that one byte too far is seen.
  std::unique_ptr<char[]> bytes(new char[size]);
  memcpy(bytes.get(), data, size);
  const char* rest = bytes.get() + 1;
  switch (bytes[0] & 3) {
    case 0:
      Entries(rest, size - 1);
      break;
    case 1:
      Lines(rest, size - 1);
      break;
    case 2: {
      init::Section section;
      if (init::FindSection(rest, size - 1, ".cmdline", &section)) Must(section.size > 0);
      break;
    }
    default:
      Leases(rest, size - 1);
  }
  return 0;
}
