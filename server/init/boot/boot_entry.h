// The entry of the boot loader that this boot came from, and saying that it is good.
//
// systemd-boot counts the tries of an entry in its file name and tells in a variable which file it
// counted. That variable alone proves nothing: when the firmware refuses the counted entry, the
// loader starts again and boots another one, and the variable still names the refused one. So an
// entry is renamed only when the loader says that it selected it *and* the entry's own kernel
// command line carries the root hash that this system runs from.
//
//   LoaderBootCountPath   LoaderEntrySelected   root hash of the file   ->
//   absent                names one with tries  (file on the ESP found)  kTrial: below a loader
//   that
//                                                                        cannot count (U-Boot) the
//                                                                        first program has counted
//   absent                else                                          kUncounted: nothing to say
//   of the selected one   names the same        this system's           kTrial, then kGood
//   names another, or is not a path of ours, or none is selected        kStale: left alone
//   of the selected one   names the same        another's, or none      kStale: left alone
#pragma once

#include "server/init/boot/entry_text.h"
#include "server/init/boot/machine.h"
#include "server/init/boot/report.h"

namespace basalt::init {

// On the wire to noded too (BootReply): appended to, never changed.
enum class EntryState : uint8_t { kUncounted, kTrial, kGood, kStale };

// What the variables say. `counted` and `selected` nullptr: absent. kTrial: *file is what to
// rename. Pure.
EntryState Judge(const char* counted, const char* selected, char file[kEntryNameSize]);

class BootEntry {
 public:
  explicit BootEntry(Machine& machine) : machine_(machine) {}

  void Look();  // reads the variables, once at boot
  // On a trial: mounts the ESP, checks the file, takes the tries off its name, unmounts. 0 also
  // when there is nothing to do or it is done already. ESTALE, ENOENT, ENODEV, EEXIST, or what the
  // kernel said.
  int Bless();

  EntryState state() const { return state_; }
  int error() const { return error_; }
  const char* reason() const { return reason_; }

 private:
  void LookOnEsp(const char* selected);
  int Rename();
  int MakeGood(const char* from, const char* to, const char* root);
  int Fail(int error, const char* reason);

  Machine& machine_;
  EntryState state_ = EntryState::kUncounted;
  int error_ = 0;
  char file_[kEntryNameSize] = {};
  char reason_[kReasonSize] = {};
};

}  // namespace basalt::init
