// Damaged and hostile media: whatever a byte says, reading ends, within the medium.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/medium/fat.h"
#include "machineconfig/medium/iso9660.h"
#include "tests/unit/machineconfig/medium/tools.h"

namespace basalt::medium {
namespace {

using testing::Get;
using testing::Put;
using testing::Scratch;
using testing::Sh;

template <typename FileSystem>
void ReadAll(Bytes& bytes) {
  auto fs = FileSystem::Open(bytes);
  if (!fs.ok()) return;
  (void)fs->List("");
  for (const char* path : {"user-data", "basalt/config.json", "a/b/c"}) {
    auto read = fs->ReadFile(path, 1 << 20);
    EXPECT_LE(read.value_or("").size(), size_t{1} << 20);
  }
}

TEST(Damage, EveryByteOfAFatsHeadTableAndDirectoryMayBeAnything) {
  Scratch dir;
  const std::string file = dir / "fat";
  Sh("truncate -s 512K " + file);
  Sh("mkfs.vfat -F 12 -n CIDATA " + file);
  Put(dir / "user-data", "0123456789");
  Sh(absl::StrCat("mcopy -i ", file, " ", dir / "user-data", " ::"));
  const std::string good = Get(file);
  int changed = 0;
  for (size_t at = 0; at < 16384; at += at < 64 ? 1 : 7) {
    for (unsigned value : {0u, 1u, 0x7fu, 0xffu}) {
      std::string bad = good;
      bad[at] = static_cast<char>(value);
      MemoryBytes bytes(std::move(bad));
      ReadAll<Fat>(bytes);
      ++changed;
    }
  }
  RecordProperty("cases", changed);
}

TEST(Damage, AChainThatIsACircleEnds) {
  Scratch dir;
  const std::string file = dir / "fat";
  Sh("truncate -s 512K " + file);
  Sh("mkfs.vfat -F 12 -s 1 -n CIDATA " + file);
  Put(dir / "user-data", std::string(2000, 'x'));
  Sh(absl::StrCat("mcopy -i ", file, " ", dir / "user-data", " ::"));
  std::string image = Get(file);
  const size_t table =
      512 * (static_cast<uint8_t>(image[14]) | static_cast<uint8_t>(image[15]) << 8);
  for (size_t i = 3; i < 30; i += 3) image.replace(table + i, 3, std::string("\x02\x20\x00", 3));
  MemoryBytes bytes(image);
  Fat fat = Fat::Open(bytes).value();
  EXPECT_EQ(fat.ReadFile("user-data", 4000).value_or("").size(), 2000u);
  EXPECT_FALSE(fat.ReadFile("user-data", 1000).ok());
}

TEST(Damage, EveryByteOfADiscsDescriptorAndDirectoryMayBeAnything) {
  Scratch dir;
  Put(dir / "in/user-data", "0123456789");
  Sh(absl::StrCat("xorriso -outdev ", dir / "disc", " -volid cidata -map ", dir / "in", " /"));
  const std::string good = Get(dir / "disc").substr(0, 200 << 10);
  int changed = 0;
  for (size_t at = 32768; at < std::min<size_t>(good.size(), 49152); at += 3) {
    for (unsigned value : {0u, 1u, 0x7fu, 0xffu}) {
      std::string bad = good;
      bad[at] = static_cast<char>(value);
      MemoryBytes bytes(std::move(bad));
      ReadAll<Iso9660>(bytes);
      ++changed;
    }
  }
  RecordProperty("cases", changed);
}

}  // namespace
}  // namespace basalt::medium
