// Encryption of STATE and DATA: noded-unlock (server/unlock) is run to make and to open them. No
// key is ever in this process.
//
//   what a first boot makes STATE of       when
//   ------------------------------------   ---------------------------------------------------
//   what `basalt/encryption` of the ESP    it is there: tpm2, node or none. What cannot be had is
//   says                                   an error then, never something weaker
//   tpm2                                   it is not there, and the machine has a TPM 2.0; when
//                                          that one fails: none, and said
//   none                                   else
//
// DATA is made as STATE is. STATE that no key opens is opened by the recovery passphrase, when a
// person has put that onto the ESP; the TPM's key is made anew then. Nothing that is encrypted is
// ever formatted, whether it opens or not.
#pragma once

#include "server/init/boot/machine.h"
#include "server/init/boot/partitions.h"

namespace basalt::init {

inline constexpr char kEncryptionFile[] = "/esp/basalt/encryption";
inline constexpr char kTpmDevice[] = "/dev/tpmrm0";
// Where noded-unlock leaves the key for STATE (unlock::kStateKey) until STATE is mounted.
inline constexpr char kNewStateKey[] = "/run/state-key";

enum class Encryption : uint8_t { kNone, kTpm2, kNode };

struct MadeWith {
  Encryption encryption = Encryption::kNone;
  bool asked = false;  // by the medium: nothing weaker will do
};

// What `basalt/encryption` says, its size as read. False: something else.
bool ParseEncryption(const char* text, size_t size, Encryption* encryption);

class Locks {
 public:
  explicit Locks(Machine& machine) : machine_(machine) {}

  // STATE is not there, so what DATA would be made of is not known: it is not made.
  void WithoutState() { without_state_ = true; }
  // For the format of that partition. 0, or errno when what the medium asks for cannot be read.
  int Decide(const char* name, MadeWith* with);
  // Makes it, opened. 0, errno, or what the program said in *code.
  int Make(const char* name, const Partition& partition, Encryption encryption, int* code);
  // Opens it; the same. unlock::kExitLocked: no key opens it, recovery included.
  int Open(const char* name, const Partition& partition, int* code);
  // STATE is mounted now: the key that belongs onto it, when it was just made. 0 or errno.
  int KeepStateKey();
  // STATE and DATA are open, or will not be: from now on the TPM gives no key out. 0 or errno.
  int Close();

  bool used() const { return used_; }

 private:
  int Run(const char* const* argv, int* code);
  int Recover(const Partition& partition, int* code);

  Machine& machine_;
  bool used_ = false;       // something is encrypted
  bool recovered_ = false;  // STATE, by its passphrase
  bool without_state_ = false;
};

}  // namespace basalt::init
