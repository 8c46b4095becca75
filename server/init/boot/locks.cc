#include "server/init/boot/locks.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "server/init/boot/report.h"
#include "server/unlock/layout.h"

namespace basalt::init {
namespace {

constexpr int64_t kUnlockLimit = 180LL * 1000000000;  // a slow TPM, and Argon2 on a slow board
constexpr size_t kStateKeySize = 64;

int MountEsp(Machine& machine, unsigned long flags) {
  Partition esp;
  if (int error = FindPartition(machine, "ESP", &esp); error != 0) return error;
  return machine.Mount(esp.device, "/esp", "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC | flags,
                       "codepage=437,iocharset=ascii,umask=0077");
}

}  // namespace

bool ParseEncryption(const char* text, size_t size, Encryption* encryption) {
  while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r')) --size;
  auto is = [&](const char* word) { return strlen(word) == size && memcmp(text, word, size) == 0; };
  if (is("tpm2")) {
    *encryption = Encryption::kTpm2;
  } else if (is("node")) {
    *encryption = Encryption::kNode;
  } else if (is("none")) {
    *encryption = Encryption::kNone;
  } else {
    return false;
  }
  return true;
}

int Locks::Decide(const char* name, MadeWith* with) {
  *with = {};
  if (strcmp(name, "STATE") != 0) {
    if (without_state_) return ECANCELED;
    if (!used_) return 0;
    with->asked = true;
    with->encryption = machine_.Exists(unlock::kStateKey) ? Encryption::kTpm2 : Encryption::kNode;
    return 0;
  }
  char text[16];
  long size = -ENOENT;
  // A machine without an ESP has nothing to say, one whose ESP cannot be read may have.
  int error = MountEsp(machine_, MS_RDONLY);
  if (error == 0) {
    size = machine_.Read(kEncryptionFile, 0, text, sizeof text);
    machine_.Unmount("/esp");
  } else if (error != ENODEV) {
    return error;
  }
  if (size == -ENOENT) {
    const bool can = machine_.Exists(kTpmDevice) && machine_.Exists(unlock::kProgram);
    with->encryption = can ? Encryption::kTpm2 : Encryption::kNone;
    return 0;
  }
  if (size < 0) return static_cast<int>(-size);
  with->asked = true;
  return ParseEncryption(text, static_cast<size_t>(size), &with->encryption) ? 0 : EINVAL;
}

int Locks::Run(const char* const* argv, int* code) {
  Exited exited = {};
  if (int error = machine_.Run(argv, kUnlockLimit, &exited); error != 0) return error;
  *code = exited.signal != 0 ? 128 + exited.signal : exited.code;
  if (*code == 0) used_ = true;
  return 0;
}

int Locks::Make(const char* name, const Partition& partition, Encryption encryption, int* code) {
  const bool state = strcmp(name, "STATE") == 0;
  const bool tpm = encryption == Encryption::kTpm2;
  const char* argv[16] = {unlock::kProgram, "format", "--device", partition.device,
                          "--name",         name,     "--key",    tpm ? "tpm2" : "node"};
  int count = 8;
  // The board's key is there whenever the board is: nothing beside it is needed.
  if (tpm) {
    argv[count++] = "--state-key";
    argv[count++] = state ? kNewStateKey : unlock::kStateKey;
    if (state) argv[count++] = "--make-state-key";
  }
  argv[count] = nullptr;
  return Run(argv, code);
}

int Locks::Open(const char* name, const Partition& partition, int* code) {
  const bool state = strcmp(name, "STATE") == 0;
  const char* argv[16] = {unlock::kProgram, "open", "--device", partition.device, "--name", name};
  int count = 6;
  if (!state) {
    argv[count++] = "--state-key";
    argv[count++] = unlock::kStateKey;
    if (recovered_) argv[count++] = "--check-keys";
  }
  argv[count] = nullptr;
  int error = Run(argv, code);
  return error == 0 && *code == unlock::kExitLocked && state ? Recover(partition, code) : error;
}

int Locks::Recover(const Partition& partition, int* code) {
  // Writable: what is on it is overwritten once it has opened STATE.
  if (MountEsp(machine_, 0) != 0) return 0;
  int error = 0;
  if (machine_.Exists(unlock::kRecoveryFile)) {
    const char* const argv[] = {
        unlock::kProgram, "open",  "--device",          partition.device,
        "--name",         "STATE", "--passphrase-file", unlock::kRecoveryFile,
        nullptr};
    error = Run(argv, code);
    recovered_ = error == 0 && *code == 0;
    if (recovered_) Report(machine_, nullptr, 0, "STATE: opened by the recovery passphrase");
  }
  machine_.Unmount("/esp");
  return error;
}

int Locks::KeepStateKey() {
  if (!machine_.Exists(kNewStateKey)) return 0;
  char key[kStateKeySize];
  long size = machine_.Read(kNewStateKey, 0, key, sizeof key);
  int error = size == static_cast<long>(sizeof key) ? 0 : size < 0 ? static_cast<int>(-size) : EIO;
  if (error == 0) error = machine_.Replace(unlock::kStateKey, key, sizeof key);
  explicit_bzero(key, sizeof key);
  if (error == 0) machine_.Write(kNewStateKey, key, sizeof key);
  return error;
}

int Locks::Close() {
  if (!used_ || !machine_.Exists(kTpmDevice)) return 0;
  const char* const argv[] = {unlock::kProgram, "lock", nullptr};
  int code = 0;
  int error = Run(argv, &code);
  if (error == 0 && code != 0) error = EIO;
  if (error != 0) {
    Report(machine_, "tpm-not-closed", error,
           "TPM: who is root on this machine may still ask it for the key of STATE");
  }
  return error;
}

}  // namespace basalt::init
