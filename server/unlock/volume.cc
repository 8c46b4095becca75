#include "server/unlock/volume.h"

#include <set>

#include "absl/strings/escaping.h"
#include "server/unlock/layout.h"

namespace basalt::unlock {
namespace {

constexpr size_t kDigestSalt = 32;
constexpr uint32_t kDigestIterations = 1000;  // of a random key
constexpr uint64_t kSmallest = kDataOffset + (1 << 20);

std::string NewUuid() {
  std::string id = RandomText(16);
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x40);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  std::string out = absl::BytesToHexString(id);
  for (size_t at : {20, 16, 12, 8}) out.insert(at, "-");
  return out;
}

// One copy after the other, and the header has the number that lies on the disk then.
Status WriteHeader(Blocks& blocks, Header* header) {
  auto bytes = RenderHeader(*header, RandomText(128));
  if (!bytes.ok()) return bytes.status();
  Status status = blocks.Write(0, bytes->substr(0, kHeaderSize));
  if (status.ok()) status = blocks.Write(kHeaderSize, bytes->substr(kHeaderSize));
  if (status.ok()) ++header->sequence;
  return status;
}

// Areas that a header has and another one has not any more.
Status WipeGone(Blocks& blocks, const Header& before, const Header& after) {
  std::set<uint64_t> kept;
  for (const auto& [number, slot] : after.keyslots) kept.insert(slot.offset);
  for (const auto& [number, slot] : before.keyslots) {
    if (!slot.usable || kept.count(slot.offset) > 0) continue;
    Status status = blocks.Write(slot.offset, RandomText(kAreaSize));
    if (!status.ok()) return status;
  }
  return OkStatus();
}

}  // namespace

StatusOr<Volume> NewVolume(Blocks& blocks, const std::string& label) {
  if (blocks.size() < kSmallest) return FailedPreconditionError("the partition is too small");
  Volume volume;
  volume.key = RandomSecret(kVolumeKeySize);
  NewHeader about;
  about.uuid = NewUuid();
  about.label = label;
  // Of the disk: a larger one could be torn by a power cut where the disk's own would not.
  about.sector = blocks.sector() == 4096 ? 4096 : 512;
  about.digest_salt = RandomText(kDigestSalt);
  about.digest_iterations = kDigestIterations;
  about.digest = DigestOf(volume.key, about.digest_salt, about.digest_iterations);
  auto header = MakeHeader(about);
  if (!header.ok()) return header.status();
  volume.header = *std::move(header);
  return volume;
}

StatusOr<Volume> ReadVolume(Blocks& blocks) {
  if (blocks.size() < kSmallest) return NotFoundError("no LUKS2 header");
  auto bytes = blocks.Read(0, kBothHeaders);
  if (!bytes.ok()) return bytes.status();
  auto header = ParseHeader(*bytes);
  if (!header.ok()) return header.status();
  Volume volume;
  volume.header = *std::move(header);
  return volume;
}

Status OpenWith(Blocks& blocks, absl::string_view token_type, absl::string_view passphrase,
                Volume* volume) {
  const Keyslot* slot = volume->header.SlotOf(token_type);
  if (slot == nullptr) return NotFoundError("it has no such key");
  auto area = blocks.Read(slot->offset, kAreaSize);
  if (!area.ok()) return area.status();
  auto key = OpenArea(volume->header, *slot, *area, passphrase);
  if (!key.ok()) return key.status();
  volume->key = *std::move(key);
  return OkStatus();
}

Status AddKey(Blocks& blocks, const Token& token, const Kdf& kdf, absl::string_view passphrase,
              Volume* volume) {
  auto number = FreeKeyslot(volume->header);
  if (!number.ok()) return number.status();
  auto area = LockArea(kdf, passphrase, volume->key);
  if (!area.ok()) return area.status();
  auto header = WithKey(volume->header, *number, kdf, token);
  if (!header.ok()) return header.status();
  Status status = blocks.Write(AreaOf(*number), *area);
  if (status.ok()) status = WriteHeader(blocks, &*header);
  if (status.ok()) status = WipeGone(blocks, volume->header, *header);
  if (status.ok()) volume->header = *std::move(header);
  return status;
}

Status RemoveKey(Blocks& blocks, absl::string_view token_type, Volume* volume) {
  auto header = WithoutKey(volume->header, token_type);
  if (!header.ok()) return header.status();
  Status status = WriteHeader(blocks, &*header);
  if (status.ok()) status = WipeGone(blocks, volume->header, *header);
  if (status.ok()) volume->header = *std::move(header);
  return status;
}

}  // namespace basalt::unlock
