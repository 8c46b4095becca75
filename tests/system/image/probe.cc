// Stands in for noded-init in the test image: as PID 1 it says what it was started with and on,
// reads every file of the root, and switches the machine off. One line each, for the serial
// console:
//
//   probe: argument --pid1
//   probe: root erofs read-only
//   probe: mounted /dev
//   probe: read 388 files, 0 errors
//   probe: lockdown [integrity]
//   probe: Secure Boot 1, setup mode 0
//   probe: PCR 11 FBCDDC7F...                   with a TPM
//   probe: command line quiet panic=10 ...
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace {

int files = 0, errors = 0;

void ReadFile(const char* path) {
  static char buffer[65536];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  ssize_t got = -1;
  if (fd >= 0) {
    while ((got = read(fd, buffer, sizeof buffer)) > 0) {
    }
    close(fd);
  }
  ++(got == 0 ? files : errors);
}

// Stays on the file system of the root.
void ReadAllBelow(const char* path, dev_t device) {
  DIR* directory = opendir(path);
  if (directory == nullptr) {
    ++errors;
    return;
  }
  while (const dirent* entry = readdir(directory)) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char below[4096];
    snprintf(below, sizeof below, "%s/%s", strcmp(path, "/") == 0 ? "" : path, entry->d_name);
    struct stat info;
    if (lstat(below, &info) != 0) {
      ++errors;
    } else if (S_ISDIR(info.st_mode) && info.st_dev == device) {
      ReadAllBelow(below, device);
    } else if (S_ISREG(info.st_mode)) {
      ReadFile(below);
    }
  }
  closedir(directory);
}

void SayMounted(const char* path, dev_t root) {
  struct stat info;
  bool mounted = stat(path, &info) == 0 && info.st_dev != root;
  printf("probe: %s %s\n", mounted ? "mounted" : "not mounted", path);
}

// The byte behind the attributes of a variable of the firmware; -1: there is none.
int FirmwareFlag(const char* name) {
  char path[128];
  snprintf(path, sizeof path, "/sys/firmware/efi/efivars/%s-8be4df61-93ca-11d2-aa0d-00e098032b8c",
           name);
  unsigned char value[5] = {};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t got = read(fd, value, sizeof value);
  close(fd);
  return got == sizeof value ? value[4] : -1;
}

void SayLine(const char* what, const char* path) {
  static char text[4096];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return;
  text[got] = '\0';
  text[strcspn(text, "\n")] = '\0';
  printf("probe: %s %s\n", what, text);
}

}  // namespace

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  for (int i = 1; i < argc; ++i) printf("probe: argument %s\n", argv[i]);
  struct stat root;
  struct statfs kind;
  struct statvfs flags;
  constexpr long kErofs = 0xe0f5e1e2;
  if (stat("/", &root) == 0 && statfs("/", &kind) == 0 && statvfs("/", &flags) == 0) {
    printf("probe: root %s %s\n", kind.f_type == kErofs ? "erofs" : "something else",
           (flags.f_flag & ST_RDONLY) != 0 ? "read-only" : "writable");
  }
  for (const char* path : {"/dev", "/proc", "/sys"}) SayMounted(path, root.st_dev);
  ReadAllBelow("/", root.st_dev);
  printf("probe: read %d files, %d errors\n", files, errors);
  char text[128] = {};
  mount("securityfs", "/sys/kernel/security", "securityfs", 0, nullptr);
  if (int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC); fd >= 0) {
    if (read(fd, text, sizeof text - 1) > 0) printf("probe: lockdown %s", text);
  }
  mount("efivarfs", "/sys/firmware/efi/efivars", "efivarfs", MS_RDONLY, nullptr);
  printf("probe: Secure Boot %d, setup mode %d\n", FirmwareFlag("SecureBoot"),
         FirmwareFlag("SetupMode"));
  SayLine("PCR 11", "/sys/class/tpm/tpm0/pcr-sha256/11");
  SayLine("command line", "/proc/cmdline");
  printf("probe: done\n");
  fflush(stdout);
  tcdrain(1);
  reboot(RB_POWER_OFF);
}
