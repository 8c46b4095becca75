#include "images/boot/count.h"

#include <linux/mount.h>

#include "images/boot/kernel.h"

namespace basalt::boot {
namespace {

constexpr char kVariables[] = "/sys/firmware/efi/efivars";
constexpr char kCounted[] =
    "/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
constexpr char kSelected[] =
    "/sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
constexpr unsigned long kClosed = MS_NOSUID | MS_NODEV | MS_NOEXEC;

void Look(Trial* trial) {
  long fd = Open(kCounted, kReadOnly);
  if (fd >= 0) return Close(fd);  // the loader has counted
  fd = Open(kSelected, kReadOnly);
  if (fd < 0) return;
  char bytes[4 + 2 * kLongestEntry];
  long got = Call(__NR_read, fd, Address(bytes), sizeof bytes);
  Close(fd);
  Writer from(trial->from, sizeof trial->from), to(trial->to, sizeof trial->to);
  if (got <= 0 || !EntryOfVariable({bytes, static_cast<size_t>(got)}, &from)) return;
  trial->pending = CountedName({trial->from, from.length()}, &to);
}

}  // namespace

void ReadTrial(Trial* trial) {
  trial->pending = false;
  if (Mount("efivarfs", kVariables, "efivarfs", kClosed | MS_RDONLY) < 0) return;
  Look(trial);
  Call(__NR_umount2, kVariables, 0);  // PID 1 mounts it where it wants
}

long Count(const Trial& trial, const char* device, const char* room) {
  long error = Mount(device, room, "vfat", kClosed, "codepage=437,iocharset=ascii,umask=0077");
  if (error < 0) return error;
  char path[64];
  Writer w(path, sizeof path);
  size_t length = 0;
  while (room[length] != 0) ++length;
  w.Add({room, length}).Add(Literal("/EFI/Linux"));
  long directory = w.Finish() == nullptr ? -36 : Open(path, kReadOnly);
  error = directory;
  if (directory >= 0) {
    error = Call(__NR_renameat2, directory, Address(trial.from), directory, Address(trial.to), 0);
    if (error >= 0) error = Call(__NR_syncfs, directory);
    Close(directory);
  }
  long unmounted = Call(__NR_umount2, room, 0);
  return error < 0 ? error : unmounted;
}

}  // namespace basalt::boot
