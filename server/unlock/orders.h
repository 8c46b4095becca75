// What noded-unlock is told to do. Over interfaces; the message of an error is for a person.
//
//   keys that open a device             made for                      needs
//   ----------------------------------  ----------------------------  --------------------------
//   tpm2        sealed in the TPM       STATE, DATA                   the same TPM and boot chain
//   node        derived from the board  STATE, DATA, volumes          the same board
//   state       a file on STATE         DATA, volumes; STATE itself,  STATE open
//                                       to exchange its other keys
//   passphrase  what a person knows     all; of volumes also alone    somebody, or the config
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/unlock/blocks.h"
#include "server/unlock/keyslot.h"
#include "server/unlock/mapper.h"
#include "server/unlock/status.h"
#include "server/unlock/tpm.h"

namespace basalt::unlock {

struct Parts {
  Blocks& blocks;
  Mapper& mapper;
  std::function<StatusOr<std::unique_ptr<Tpm>>()> tpm;  // asked for at most once
  std::optional<PcrAuthority> authority;
  std::string board_root;     // "" on a machine
  uint64_t memory_total = 0;  // bytes
};

enum class KeyKind { kTpm2, kNode, kState, kPassphrase };

struct Order {
  std::string device;                       // as the kernel is told
  std::string name;                         // below /dev/mapper; the label too
  KeyKind key = KeyKind::kState;            // of Format
  const SecretBytes* state_key = nullptr;   // null: not at hand
  const SecretBytes* passphrase = nullptr;  // the same
  bool check_keys = false;                  // of Open: the TPM's too, when another has opened it
};

// A new LUKS2 over the whole device with the keys that are given and the one asked for, opened.
// NotFound: no TPM.
Status Format(const Parts& parts, const Order& order);

// Opens with whichever key fits: state, tpm2, node, passphrase, in this order. A key that should
// fit and does not, or is missing, is made anew then: `*renewed` says which. PermissionDenied: none
// fits, and why not. It is open already: OK.
Status Open(const Parts& parts, const Order& order, std::string* renewed);

// Another recovery passphrase, or none, for a device that is in use. `order` has the state key,
// unless the board's key opens it.
Status ChangePassphrase(const Parts& parts, const Order& order);

}  // namespace basalt::unlock
