#include "images/boot/superblock.h"

namespace basalt::boot {
namespace {

constexpr char kSignature[8] = {'v', 'e', 'r', 'i', 't', 'y', 0, 0};
constexpr char kAlgorithm[32] = "sha256";

template <typename T>
bool Same(const T* a, const T* b, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

}  // namespace

Superblock MakeSuperblock(const RootSpec& spec, const uint8_t* salt, size_t salt_size) {
  Superblock s = {};
  for (size_t i = 0; i < sizeof kSignature; ++i) s.signature[i] = kSignature[i];
  s.version = 1;
  s.hash_type = 1;  // the salt comes first
  for (size_t i = 0; i < sizeof s.uuid; ++i) s.uuid[i] = spec.hash[i];
  for (size_t i = 0; i < sizeof kAlgorithm; ++i) s.algorithm[i] = kAlgorithm[i];
  s.data_block_size = kBlockSize;
  s.hash_block_size = kBlockSize;
  s.data_blocks = spec.blocks;
  s.salt_size = static_cast<uint16_t>(salt_size);
  for (size_t i = 0; i < salt_size; ++i) s.salt[i] = salt[i];
  return s;
}

bool Matches(const Superblock& s, const RootSpec& spec) {
  return Same(s.signature, kSignature, sizeof kSignature) && s.version == 1 && s.hash_type == 1 &&
         Same(s.uuid, spec.hash, sizeof s.uuid) &&
         Same(s.algorithm, kAlgorithm, sizeof kAlgorithm) && s.data_block_size == kBlockSize &&
         s.hash_block_size == kBlockSize && s.data_blocks == spec.blocks && s.salt_size > 0 &&
         s.salt_size <= sizeof s.salt;
}

bool WriteVerityTable(const Superblock& s, const RootSpec& spec, Text device, Writer* table) {
  table->Add(Literal("1 ")).Add(device).Add(Literal(" ")).Add(device);
  table->Add(Literal(" 4096 4096 ")).AddNumber(spec.blocks);
  table->Add(Literal(" ")).AddNumber(spec.blocks + 1).Add(Literal(" sha256 "));
  table->AddHex(spec.hash, sizeof spec.hash).Add(Literal(" ")).AddHex(s.salt, s.salt_size);
  table->Add(Literal(" 1 panic_on_corruption"));
  return table->Finish() != nullptr;
}

}  // namespace basalt::boot
