#include "tests/support/boot_disk/image_kit.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/base/digest.h"

namespace basalt::testing {
namespace {

constexpr int kDataBlocks = 2;
constexpr size_t kBlock = 4096;

void Put(std::string& bytes, size_t at, uint64_t value, int size) {
  for (int i = 0; i < size; ++i)
    bytes[at + static_cast<size_t>(i)] = static_cast<char>(value >> 8 * i);
}

// As cryptsetup writes it, with half of the root hash for a UUID.
std::string Superblock(const std::string& hash) {
  std::string s(512, '\0');
  s.replace(0, 6, "verity");
  Put(s, 8, 1, 4);
  Put(s, 12, 1, 4);
  s.replace(16, 16, absl::HexStringToBytes(hash.substr(0, 32)));
  s.replace(32, 6, "sha256");
  Put(s, 64, kBlock, 4);
  Put(s, 68, kBlock, 4);
  Put(s, 72, kDataBlocks, 8);
  Put(s, 80, 32, 2);
  s.replace(88, 32, Sha256("salt").Hex(), 0, 32);
  return s;
}

// A PE program of two sections, padded to `size`.
std::string Kernel(const std::string& command_line, const std::string& release, size_t size) {
  std::string k(1024, '\0');
  k.replace(0, 2, "MZ");
  Put(k, 0x3c, 128, 4);
  k.replace(128, 4, std::string("PE\0\0", 4));
  Put(k, 128 + 6, 2, 2);
  Put(k, 128 + 20, 240, 2);
  Put(k, 152, 0x20b, 2);
  Put(k, 152 + 60, k.size(), 4);
  Put(k, 152 + 108, 16, 4);
  size_t at = 128 + 24 + 240;
  for (const auto& [name, text] : {std::pair<std::string, const std::string&>{".osrel", release},
                                   {".cmdline", command_line}}) {
    k.replace(at, name.size(), name);
    Put(k, at + 8, text.size(), 4);
    Put(k, at + 16, 512, 4);
    Put(k, at + 20, k.size(), 4);
    k += text;
    k.resize((k.size() + 511) / 512 * 512);
    at += 40;
  }
  // Neither compressible nor alike in two images.
  for (uint64_t i = 0; k.size() < size; ++i) k += Sha256(absl::StrCat(command_line, i)).Hex();
  k.resize(std::max(size, k.size()));
  return k;
}

}  // namespace

std::string KitManifest(const KitOptions& o, const std::string& root, const std::string& slot,
                        const std::string& kernel) {
  auto file = [&](absl::string_view end, const std::string& bytes) {
    return absl::StrCat("{\"name\": \"basalt-", o.version, end, "\", \"size\": ", bytes.size(),
                        ", \"sha256\": \"", Sha256(bytes).Hex(), "\"}");
  };
  return absl::StrCat("{\"apiVersion\": \"basalt/v1\", \"kind\": \"Image\", \"profile\": \"",
                      o.profile, "\", \"architecture\": \"", o.architecture, "\", \"version\": \"",
                      o.version, "\", \"epoch\": ", o.epoch,
                      ", \"buildTime\": \"2026-11-01T00:00:00Z\", \"kernelRelease\": \"6.1.0\", ",
                      o.pcr11.empty() ? "" : absl::StrCat("\"pcr11\": \"", o.pcr11, "\", "),
                      "\"root\": \"", root, "\", \"slot\": ", file(".slot", slot),
                      ", \"kernel\": ", file(".efi", kernel), "}");
}

KitImage MakeKitImage(const KitOptions& o, int seed) {
  KitImage image{.version = o.version};
  const std::string hash = Sha256(absl::StrCat("root of ", o.version, " ", seed)).Hex();
  image.root = absl::StrCat(hash, ":", kDataBlocks);
  while (image.slot.size() < kDataBlocks * kBlock) {
    image.slot += Sha256(absl::StrCat(hash, image.slot.size())).Hex();
  }
  image.slot.resize(kDataBlocks * kBlock);
  image.slot += Superblock(hash);
  image.slot.resize((kDataBlocks + 2) * kBlock, static_cast<char>('a' + seed));
  image.kernel =
      Kernel(absl::StrCat("quiet noded.root=", image.root),
             absl::StrCat("ID=basalt\nIMAGE_ID=basalt-", o.profile, "\nIMAGE_VERSION=", o.version,
                          "\nBASALT_EPOCH=", o.epoch, "\n"),
             o.kernel_size);
  if (o.signer != nullptr) image.kernel = *sign::SignEfiProgram(image.kernel, *o.signer);
  image.manifest = KitManifest(o, image.root, image.slot, image.kernel);
  return image;
}

}  // namespace basalt::testing
