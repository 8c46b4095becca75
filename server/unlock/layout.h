// What noded-init, noded and noded-unlock have to agree on of an encrypted partition. Plain data,
// no library: noded-init has it too.
#pragma once

#include <cstdint>

namespace basalt::unlock {

// Both copies of the header, and the areas of the keyslots, are before it; what is encrypted lies
// from here to the end of the partition. As cryptsetup has it.
inline constexpr uint64_t kDataOffset = 16 << 20;

inline constexpr char kLuksMagic[] = "LUKS\xba\xbe";  // the first six bytes

inline constexpr char kProgram[] = "/usr/bin/noded-unlock";
// Opens STATE and DATA beside the key of the machine, so that keys can be exchanged while the node
// runs; lies on STATE, which is encrypted itself.
inline constexpr char kStateKey[] = "/state/disk-key";
// A recovery passphrase that a person put onto the ESP; removed when it has opened STATE.
inline constexpr char kRecoveryFile[] = "/esp/basalt/recovery-passphrase";

// Exit codes of noded-unlock.
enum Exit : int {
  kExitDone = 0,
  kExitFailed = 1,  // a disk, the kernel or the TPM: the message says which
  kExitUsage = 2,
  kExitLocked = 3,   // it is whole, and none of the keys at hand opens it
  kExitDamaged = 4,  // no LUKS2, or a damaged or unknown kind of header
  kExitNoTpm = 5,    // and one was asked for
};

}  // namespace basalt::unlock
