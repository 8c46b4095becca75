// The header of a LUKS2 device: the text of its JSON part and what of it we use. Pure, from and to
// bytes; those of a disk are from outside, so everything is bounded.
//
// Written by us it is as cryptsetup 2.6 writes it with its defaults: 16 KiB, twice. What we do not
// know in the JSON part is kept as it is. A header is read from whichever copy is whole and newer,
// and written with the next sequence number, one copy after the other, so that a power cut leaves
// one that counts. (LUKS2 On-Disk Format Specification 1.1.1.)
//
// Who may open the device is said by its tokens: each of ours names the keyslot that it is about.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

inline constexpr size_t kHeaderSize = 16 << 10;  // of one copy
inline constexpr size_t kBothHeaders = 2 * kHeaderSize;
inline constexpr int kMostKeyslots = 32;
inline constexpr size_t kVolumeKeySize = 64;  // AES-256 in XTS mode
inline constexpr int kStripes = 4000;
inline constexpr uint64_t kAreaSize = 258048;  // kStripes keys in whole 4 KiB

// Types of tokens.
inline constexpr char kTpm2Token[] = "basalt-tpm2";              // sealed in the TPM
inline constexpr char kNodeToken[] = "basalt-node";              // derived from the board
inline constexpr char kStateToken[] = "basalt-state";            // a file on STATE
inline constexpr char kPassphraseToken[] = "basalt-passphrase";  // what a person knows

struct Kdf {
  std::string type;  // "pbkdf2" (with SHA-256), "argon2id"
  uint32_t iterations = 0;
  uint32_t memory = 0;  // KiB, of argon2id
  uint32_t lanes = 0;   // the same
  std::string salt;
  bool operator==(const Kdf&) const = default;
};

struct Keyslot {
  uint64_t offset = 0, size = 0;  // of its area
  Kdf kdf;
  bool usable = false;  // of a kind that we know how to open
  bool operator==(const Keyslot&) const = default;
};

struct Token {
  std::string type;
  std::vector<int> keyslots;
  std::map<std::string, std::string> fields;  // further members that are texts
  bool operator==(const Token&) const = default;
};

struct Header {
  std::string json;  // as it lies on the disk
  std::string uuid, label;
  uint64_t sequence = 0;
  bool both = true;  // copies are whole and the same

  std::map<int, Keyslot> keyslots;
  std::map<int, Token> tokens;
  std::string digest, digest_salt;  // of the volume key, PBKDF2 with SHA-256
  uint32_t digest_iterations = 0;
  uint64_t data_offset = 0;
  uint32_t sector = 512;
  bool discards = false;  // free blocks may be told to the disk

  // The first token of that type that has a keyslot; its number. -1: there is none.
  int TokenOf(absl::string_view type) const;
  // The keyslot of that token; null when there is none, or none that can be used.
  const Keyslot* SlotOf(absl::string_view type) const;
  bool operator==(const Header&) const = default;
};

// `bytes`: the first kBothHeaders of the device. NotFound: this is no LUKS2. DataLoss: both copies
// are damaged. Unimplemented: of a kind that is not ours (another cipher, other sizes).
StatusOr<Header> ParseHeader(absl::string_view bytes);

// A device without keyslots. `digest` is of the volume key, see digest_* above.
struct NewHeader {
  std::string uuid, label;
  uint32_t sector = 512;
  std::string digest, digest_salt;
  uint32_t digest_iterations = 0;
};
StatusOr<Header> MakeHeader(const NewHeader& about);

// The number and the area of a keyslot that is not there. ResourceExhausted.
StatusOr<int> FreeKeyslot(const Header& header);
uint64_t AreaOf(int number);

// With a keyslot and the token that says what it is for, instead of an older one of that type,
// whose keyslot goes. Nothing is written; the areas are the caller's.
StatusOr<Header> WithKey(const Header& header, int number, const Kdf& kdf, const Token& token);
// Without the tokens of that type and their keyslots.
StatusOr<Header> WithoutKey(const Header& header, absl::string_view type);

// The bytes of both copies, with the next sequence number. `salts`: 128 random bytes.
// ResourceExhausted: it does not fit.
StatusOr<std::string> RenderHeader(const Header& header, absl::string_view salts);

// What a person is told: "tpm2 (PCR 7+15)", "node", "state", "passphrase"; "" when nothing opens
// it.
std::string KeyText(const Header& header);

}  // namespace basalt::unlock
