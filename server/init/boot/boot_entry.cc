#include "server/init/boot/boot_entry.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "server/init/boot/partitions.h"

namespace basalt::init {
namespace {

constexpr char kEsp[] = "/esp";
constexpr char kLinux[] = "/esp/EFI/Linux";
constexpr char kVariables[] = "/sys/firmware/efi/efivars/";
constexpr size_t kMostKernel = 256 << 20;
constexpr char kLoader[] = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

// 0, ENOENT, EINVAL when it is not a text of ours.
int ReadVariable(Machine& machine, const char* name, char text[kEntryNameSize]) {
  char path[160];
  unsigned char data[4 + 2 * kEntryNameSize + 2];
  snprintf(path, sizeof path, "%s%s%s", kVariables, name, kLoader);
  long size = machine.Read(path, 0, data, sizeof data);
  if (size < 0) return static_cast<int>(-size);
  return VariableText(data, static_cast<size_t>(size), text, kEntryNameSize) ? 0 : EINVAL;
}

// Does the command line in this entry name the root that runs?
int CheckRoot(Machine& machine, const char* path, const char* root) {
  static char head[4096];
  static char line[4096];
  long size = machine.Read(path, 0, head, sizeof head);
  if (size < 0) return static_cast<int>(-size);
  Section section;
  if (!FindSection(head, static_cast<size_t>(size), ".cmdline", &section)) return ESTALE;
  if (section.size > sizeof line) return ESTALE;
  size = machine.Read(path, section.offset, line, section.size);
  if (size < 0) return static_cast<int>(-size);
  char its[kRootSize];
  if (!RootOfCommandLine(line, static_cast<size_t>(size), its)) return ESTALE;
  return strcmp(its, root) == 0 ? 0 : ESTALE;
}

}  // namespace

EntryState Judge(const char* counted, const char* selected, char file[kEntryNameSize]) {
  if (counted == nullptr) return EntryState::kUncounted;
  if (!EntryOfPath(counted, file)) return EntryState::kStale;
  EntryName entry;
  if (!ParseEntryName(file, &entry) || !entry.counted) return EntryState::kStale;
  if (selected == nullptr || !SameEntry(file, selected)) return EntryState::kStale;
  return EntryState::kTrial;
}

void BootEntry::Look() {
  char counted[kEntryNameSize];
  char selected[kEntryNameSize];
  int error =
      machine_.OwnsKernel() ? ReadVariable(machine_, "LoaderBootCountPath", counted) : ENOENT;
  int selected_error =
      machine_.OwnsKernel() ? ReadVariable(machine_, "LoaderEntrySelected", selected) : ENOENT;
  if (error == ENOENT) {
    if (selected_error == 0) LookOnEsp(selected);
    return;
  }
  state_ = error != 0 ? EntryState::kStale
                      : Judge(counted, selected_error == 0 ? selected : nullptr, file_);
  if (state_ == EntryState::kTrial) {
    Report(machine_, nullptr, 0, "entry: %s boots on trial", file_);
  } else {
    Fail(ESTALE, "the loader counted another entry than it booted");
  }
}

// No loader that counts, or an entry that is not on trial. The loader told the name that the entry
// had before the first program counted it.
void BootEntry::LookOnEsp(const char* selected) {
  EntryName entry;
  if (!ParseEntryName(selected, &entry) || !entry.counted) return;
  Partition esp;
  int error = FindPartition(machine_, "ESP", &esp);
  if (error == 0) {
    error = machine_.Mount(esp.device, kEsp, "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
                           "codepage=437,iocharset=ascii,umask=0077");
  }
  if (error == 0) {
    static Names names;
    error = machine_.List(kLinux, &names);
    machine_.Unmount(kEsp);
    for (int i = 0; i < names.count && error == 0; ++i) {
      if (!SameEntry(names.name[i], selected) || !ParseEntryName(names.name[i], &entry) ||
          !entry.counted) {
        continue;
      }
      CopyText(file_, sizeof file_, names.name[i]);
      state_ = EntryState::kTrial;
    }
  }
  if (state_ == EntryState::kTrial) {
    Report(machine_, nullptr, 0, "entry: %s boots on trial, below a loader that cannot count",
           file_);
  } else if (error != 0) {
    // Not on trial then: that it is restarted for ever helps nobody.
    Fail(error, "cannot see whether it is on trial");
  }
}

int BootEntry::Bless() {
  if (state_ == EntryState::kUncounted || state_ == EntryState::kGood) return 0;
  if (state_ == EntryState::kStale) return error_;
  Partition esp;
  if (int error = FindPartition(machine_, "ESP", &esp); error != 0) {
    return Fail(error, "no partition ESP");
  }
  if (int error = machine_.Mount(esp.device, kEsp, "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                 "codepage=437,iocharset=ascii,umask=0077");
      error != 0) {
    return Fail(error, "cannot mount the ESP");
  }
  int error = Rename();
  int unmounted = machine_.Unmount(kEsp);
  if (error == 0 && unmounted != 0) {
    // It is durable already. Left mounted it would be in the way of an update, which says so then.
    Report(machine_, "unmount-failed", unmounted, "entry: %s", kEsp);
  }
  return error;
}

int BootEntry::Rename() {
  char line[4096];
  char root[kRootSize];
  long size = machine_.Read("/proc/cmdline", 0, line, sizeof line);
  if (size < 0 || !RootOfCommandLine(line, static_cast<size_t>(size), root)) {
    return Fail(ESTALE, "this system was not booted from a verified slot");
  }
  EntryName entry;
  ParseEntryName(file_, &entry);
  char from[320];
  char to[320];
  snprintf(from, sizeof from, "%s/%s", kLinux, file_);
  snprintf(to, sizeof to, "%s/%s.efi", kLinux, entry.stem);
  if (!machine_.Exists(from)) {
    // Done in an earlier attempt that was cut short after the rename.
    if (machine_.Exists(to) && CheckRoot(machine_, to, root) == 0) {
      state_ = EntryState::kGood;
      return 0;
    }
    return Fail(ENOENT, "the counted entry is not on the ESP");
  }
  if (int error = CheckRoot(machine_, from, root); error != 0) {
    return Fail(error, "the counted entry boots another root than this one");
  }
  if (int error = MakeGood(from, to, root); error != 0) return error;
  state_ = EntryState::kGood;
  error_ = 0;
  reason_[0] = 0;
  Report(machine_, nullptr, 0, "entry: %s.efi is good", entry.stem);
  return 0;
}

// By a copy under another name that no loader looks at: whatever a power cut leaves of a rename on
// FAT, the counted entry is whole until the good one is.
int BootEntry::MakeGood(const char* from, const char* to, const char* root) {
  char copy[340];
  snprintf(copy, sizeof copy, "%s.tmp", to);
  char byte;
  const bool there = machine_.Exists(to);
  if (!there || CheckRoot(machine_, to, root) != 0) {
    // A name without content is what a cut leaves; anything else is somebody's.
    if (there && machine_.Read(to, 0, &byte, 1) != 0) {
      return Fail(EEXIST, "there is a good entry of the same name");
    }
    if (there) {
      if (int error = machine_.Remove(to); error != 0)
        return Fail(error, "cannot remove an empty one");
    }
    int error = machine_.Copy(from, copy, kMostKernel, 0600);
    if (error != 0) return Fail(error, "cannot copy it");
    if (error = machine_.Rename(copy, to); error != 0) return Fail(error, "cannot rename the copy");
  }
  if (int error = machine_.Remove(from); error != 0)
    return Fail(error, "cannot remove the counted one");
  return 0;
}

int BootEntry::Fail(int error, const char* reason) {
  if (error == ESTALE) state_ = EntryState::kStale;  // that does not change with trying again
  error_ = error;
  CopyText(reason_, sizeof reason_, reason);
  Report(machine_, "entry-left-alone", error, "entry: %s", reason);
  return error;
}

}  // namespace basalt::init
