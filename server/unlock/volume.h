// An encrypted partition: made, opened with a key, its keys exchanged. Over Blocks, so all of it
// but the mapping is the same on a file.
//
// A key is added in a free area, then the header says so, then the area of the one that it replaces
// is overwritten: after a power cut the old one opens, or the new one, or both.
#pragma once

#include <string>

#include "server/unlock/blocks.h"
#include "server/unlock/keyslot.h"
#include "server/unlock/luks_header.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

struct Volume {
  Header header;
  SecretBytes key;  // of the volume; of size 0 while it is locked
};

// With a new key and no keyslot yet; nothing is written before the first AddKey.
StatusOr<Volume> NewVolume(Blocks& blocks, const std::string& label);
StatusOr<Volume> ReadVolume(Blocks& blocks);

// Opens the keyslot of that token. NotFound: there is none; PermissionDenied: another key.
Status OpenWith(Blocks& blocks, absl::string_view token_type, absl::string_view passphrase,
                Volume* volume);

// A further key to an open volume, instead of the one of the same type of token.
Status AddKey(Blocks& blocks, const Token& token, const Kdf& kdf, absl::string_view passphrase,
              Volume* volume);
Status RemoveKey(Blocks& blocks, absl::string_view token_type, Volume* volume);

}  // namespace basalt::unlock
