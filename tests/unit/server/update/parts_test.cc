// Names, versions, kernel images, decisions: what is pure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "server/update/decide.h"
#include "server/update/entry_name.h"
#include "server/update/kernel_image.h"
#include "server/update/record.h"
#include "tests/support/boot_disk/image_kit.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::update {
namespace {

using ::testing::HasSubstr;

ReadAt Bytes(std::string bytes) {
  return [bytes = std::move(bytes)](uint64_t offset, size_t size) -> absl::StatusOr<std::string> {
    return offset < bytes.size() ? bytes.substr(offset, size) : std::string();
  };
}

TEST(EntryNameTest, TriesStandBehindAPlus) {
  EXPECT_EQ(ParseEntryName("noded_1.4.0.efi"), (EntryName{.version = "1.4.0"}));
  EXPECT_EQ(ParseEntryName("noded_1.4.0+3.efi"),
            (EntryName{.version = "1.4.0", .counted = true, .left = 3}));
  EXPECT_EQ(ParseEntryName("noded_1.4.0~rc1+0-3.efi"),
            (EntryName{.version = "1.4.0~rc1", .counted = true, .left = 0, .done = 3}));
  for (const char* name :
       {"noded_1.efi", "noded_1+3.efi", "noded_1.0-2+2-1.efi", "noded_2026.11.25_a~b+0-3.efi"}) {
    EXPECT_EQ(FormatEntryName(*ParseEntryName(name)), name);
  }
  EXPECT_TRUE(ParseEntryName("noded_1+0-3.efi")->given_up());
  EXPECT_FALSE(ParseEntryName("noded_1+1-2.efi")->given_up());
}

TEST(EntryNameTest, EveryOtherNameIsNoEntryOfOurs) {
  for (const char* name :
       {"", "noded_.efi", "noded_1", "arch.efi", "noded_1+.efi", "noded_1+3-.efi", "noded_1+x.efi",
        "noded_1+3.efi.tmp", "noded_../x.efi", "noded_1 2.efi", "noded_1+12345.efi",
        "noded_1+1+2.efi", "NODED_1.efi"}) {
    EXPECT_EQ(ParseEntryName(name), std::nullopt) << name;
  }
}

// In the order of the specification: each is older than the one behind it.
TEST(EntryNameTest, VersionsAreOrderedAsTheLoaderOrdersThem) {
  const char* order[] = {"0~rc1",   "0",       "1.4.0~rc1", "1.4.0~rc2", "1.4.0",  "1.4.0-1",
                         "1.4.0-2", "1.4.0^1", "1.4.0.1",   "1.4.1a",    "1.4.1b", "1.4.2",
                         "1.9",     "1.10",    "2",         "2.0",       "10",     "20261125"};
  for (size_t i = 0; i < std::size(order); ++i) {
    for (size_t j = 0; j < std::size(order); ++j) {
      const int wanted = i < j ? -1 : i > j ? 1 : 0;
      EXPECT_EQ(CompareVersions(order[i], order[j]), wanted) << order[i] << " and " << order[j];
    }
  }
  EXPECT_EQ(CompareVersions("1.01", "1.1"), 0);
  EXPECT_EQ(CompareVersions("1_4", "14"), -1) << "what is no part of a version only separates";
}

TEST(KernelImageTest, SaysWhichRootItBoots) {
  const testing::KitImage image = testing::MakeKitImage({.version = "1.4.0", .epoch = 7});
  absl::StatusOr<KernelImage> kernel = InspectKernel(Bytes(image.kernel));
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  EXPECT_EQ(kernel->root.ToString(), image.root);
  EXPECT_EQ(kernel->version, "1.4.0");
  EXPECT_EQ(kernel->image_id, "basalt-vm-amd64");
  EXPECT_EQ(kernel->epoch, 7);
}

TEST(KernelImageTest, OddOnesAreRefusedAndNamed) {
  const testing::KitImage image = testing::MakeKitImage({});
  auto why = [](const std::string& bytes) {
    const absl::Status status = InspectKernel(Bytes(bytes)).status();
    EXPECT_EQ(api::Reason(status), "bad-kernel-image");
    return std::string(status.message());
  };
  EXPECT_THAT(why(""), HasSubstr("no PE program"));
  EXPECT_THAT(why(image.kernel.substr(0, 1100)), HasSubstr("cut off"));
  std::string two = image.kernel;
  two.replace(two.find("quiet noded.root="), 5, "noded");  // "noded noded.root=...": one still
  EXPECT_TRUE(InspectKernel(Bytes(two)).ok());
  std::string none = absl::StrReplaceAll(image.kernel, {{".cmdline", ".cmdlinX"}});
  EXPECT_THAT(why(none), HasSubstr("no section .cmdline"));
  std::string version =
      absl::StrReplaceAll(image.kernel, {{"IMAGE_VERSION=1.0.0", "IMAGE_VERSION=1/0.0"}});
  EXPECT_THAT(why(version), HasSubstr("IMAGE_VERSION"));
}

TEST(KernelImageTest, ACommandLineWithTwoRootsIsNone) {
  testing::KitImage image = testing::MakeKitImage({});
  // Of the same length: the second word of the line becomes a root too.
  const std::string line = absl::StrCat("quiet noded.root=", image.root);
  const std::string twice = "noded.root=a noded.root=b" + std::string(line.size() - 25, ' ');
  image.kernel.replace(image.kernel.find(line), line.size(), twice);
  EXPECT_THAT(std::string(InspectKernel(Bytes(image.kernel)).status().message()),
              HasSubstr("two roots"));
}

TEST(KernelImageTest, U4_ASuperblockIsOfOneRootAlone) {
  const testing::KitImage image = testing::MakeKitImage({}), other = testing::MakeKitImage({}, 1);
  absl::StatusOr<RootId> root = ParseRootId(image.root);
  ASSERT_TRUE(root.ok());
  const std::string superblock = image.slot.substr(root->blocks * kBlockSize, kSuperblockSize);
  EXPECT_TRUE(IsSuperblockOf(superblock, *root));
  EXPECT_FALSE(IsSuperblockOf(superblock, *ParseRootId(other.root)));
  EXPECT_FALSE(IsSuperblockOf(superblock.substr(1), *root));
  for (size_t bit = 0; bit < 80 * 8; ++bit) {
    std::string flipped = superblock;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(IsSuperblockOf(flipped, *root)) << "bit " << bit;
  }
}

TEST(KernelImageTest, RootsAreReadStrictly) {
  const std::string hex(64, 'a');
  EXPECT_TRUE(ParseRootId(hex + ":1").ok());
  for (const std::string& text : std::vector<std::string>{
           std::string(), hex, hex + ":", hex + ":0", hex + ":01", hex + ":-1",
           hex + ":99999999999", std::string(64, 'A') + ":1", hex + " 1", hex.substr(1) + ":1"}) {
    EXPECT_FALSE(ParseRootId(text).ok()) << text;
  }
}

Situation At(stored::ImagePhase phase, const std::string& running, const std::string& wanted) {
  Situation now{.running = running, .wanted = wanted, .boot_id = "second", .generation = 5};
  now.record.set_phase(phase);
  now.record.set_target_root("new");
  now.record.set_previous_root("old");
  now.record.set_boot_id("first");
  now.record.set_generation(5);
  return now;
}

TEST(DecideTest, TheTable) {
  using stored::IMAGE_PHASE_ARMED;
  using stored::IMAGE_PHASE_FELL_BACK;
  using stored::IMAGE_PHASE_NONE;
  using stored::IMAGE_PHASE_RETURNING;
  EXPECT_EQ(Decide(At(IMAGE_PHASE_ARMED, "new", "new")), Move::kNothing);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_ARMED, "new", "old")), Move::kReturn);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_ARMED, "new", "")), Move::kReturn);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_ARMED, "old", "new")), Move::kFellBack);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_ARMED, "old", "old")), Move::kDisarm);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_ARMED, "old", "")), Move::kDisarm);
  Situation same = At(IMAGE_PHASE_ARMED, "old", "new");
  same.boot_id = "first";
  EXPECT_EQ(Decide(same), Move::kArm);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_RETURNING, "new", "new")), Move::kFellBack);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_RETURNING, "new", "old")), Move::kReturn);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_RETURNING, "old", "old")), Move::kReturned);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_RETURNING, "old", "new")), Move::kFellBack);
  Situation often = At(IMAGE_PHASE_RETURNING, "new", "old");
  often.record.set_returns(kMostReturns);
  EXPECT_EQ(Decide(often), Move::kStuck);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_NONE, "old", "old")), Move::kNothing);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_NONE, "old", "")), Move::kNothing);
  EXPECT_EQ(Decide(At(IMAGE_PHASE_NONE, "old", "third")), Move::kDiffers);
}

TEST(DecideTest, AConfigIsArmedOnceAndOnlyWhenItWasPrepared) {
  Situation now = At(stored::IMAGE_PHASE_NONE, "old", "new");
  EXPECT_EQ(Decide(now), Move::kDiffers);
  now.prepared = true;
  EXPECT_EQ(Decide(now), Move::kArm);
  for (stored::ImagePhase phase :
       {stored::IMAGE_PHASE_FELL_BACK, stored::IMAGE_PHASE_ROLLED_BACK}) {
    now.record.set_phase(phase);
    now.generation = 5;
    EXPECT_EQ(Decide(now), Move::kDiffers) << "it had its try";
    now.generation = 6;
    EXPECT_EQ(Decide(now), Move::kArm) << "asked for anew";
  }
}

sign::ImageManifest Manifest(const testing::KitOptions& options = {}) {
  absl::StatusOr<sign::ImageManifest> manifest =
      sign::ParseImageManifest(testing::MakeKitImage(options).manifest);
  EXPECT_TRUE(manifest.ok()) << manifest.status();
  return *manifest;
}

Fits Roomy() {
  return {.architecture = "amd64",
          .profile = "vm-amd64",
          .running_version = "0.9.0",
          .epoch_floor = 1,
          .slot_size = 1 << 30,
          .boot_free = 1 << 30,
          .data_free = uint64_t{1} << 34};
}

TEST(FitsTest, U6_AnImageForAnotherMachineIsRefused) {
  const sign::ImageManifest manifest = Manifest({.version = "1.4.0", .epoch = 2});
  EXPECT_TRUE(CheckFits(manifest, Roomy()).ok());
  Fits fits = Roomy();
  fits.architecture = "arm64";
  EXPECT_EQ(api::Reason(CheckFits(manifest, fits)), "image-wrong-architecture");
  fits = Roomy();
  fits.profile = "metal-amd64";
  EXPECT_EQ(api::Reason(CheckFits(manifest, fits)), "image-wrong-profile");
  fits = Roomy();
  fits.wanted_version = "1.4.1";
  EXPECT_EQ(api::Reason(CheckFits(manifest, fits)), "image-version-mismatch");
  fits = Roomy();
  fits.running_version = "1.4.0";
  EXPECT_EQ(api::Reason(CheckFits(manifest, fits)), "image-same-version");
}

TEST(FitsTest, U6_ADowngradeBelowTheEpochNeedsConsent) {
  Fits fits = Roomy();
  fits.epoch_floor = 3;
  EXPECT_EQ(api::Reason(CheckFits(Manifest({.epoch = 2}), fits)), "image-below-epoch");
  EXPECT_TRUE(CheckFits(Manifest({.epoch = 3}), fits).ok());
  fits.allow_downgrade = true;
  EXPECT_TRUE(CheckFits(Manifest({.epoch = 2}), fits).ok());
}

TEST(FitsTest, U8_NothingThatDoesNotFitIsBegun) {
  const sign::ImageManifest manifest = Manifest();
  Fits fits = Roomy();
  fits.slot_size = static_cast<uint64_t>(manifest.slot.size) - 1;
  EXPECT_EQ(api::Reason(CheckFits(manifest, fits)), "image-too-large");
  fits = Roomy();
  fits.boot_free = static_cast<uint64_t>(manifest.kernel.size);
  EXPECT_EQ(api::Reason(CheckFits(manifest, fits)), "esp-full");
  fits = Roomy();
  fits.data_free = static_cast<uint64_t>(manifest.slot.size);
  EXPECT_EQ(api::Reason(CheckFits(manifest, fits)), "disk-full");
}

TEST(FitsTest, S5_AKernelImageOfAnotherBuildIsFound) {
  const testing::KitImage a = testing::MakeKitImage({.version = "1.4.0"});
  const sign::ImageManifest manifest = Manifest({.version = "1.4.0"});
  EXPECT_TRUE(CheckKernel(*InspectKernel(Bytes(a.kernel)), manifest).ok());
  for (const testing::KitImage& other :
       {testing::MakeKitImage({.version = "1.4.0"}, 1), testing::MakeKitImage({.version = "1.4.1"}),
        testing::MakeKitImage({.version = "1.4.0", .epoch = 2}),
        testing::MakeKitImage({.version = "1.4.0", .profile = "metal-amd64"})}) {
    const bool same_root = other.root == manifest.root;
    const absl::Status status = CheckKernel(*InspectKernel(Bytes(other.kernel)), manifest);
    EXPECT_EQ(api::Reason(status), "image-mismatch") << same_root;
  }
}

TEST(MayGoTest, TheRunningOneAndTheLastGoodOneOfATrialStay) {
  BootView view;
  auto add = [&](const char* file, const char* hash, host::BootSlot slot) {
    BootEntry entry{.file = file, .name = *ParseEntryName(file), .size = 10, .slot = slot};
    entry.kernel = KernelImage{.root = {.hash = hash, .blocks = 1}};
    view.entries.push_back(entry);
  };
  add("noded_1.efi", "old", host::BootSlot::kA);
  add("noded_2+2-1.efi", "new", host::BootSlot::kB);
  EXPECT_EQ(api::Reason(MayGo(view, "new:1").status()), "image-on-trial");
  absl::StatusOr<std::vector<host::BootFile>> files = MayGo(view, "old:1");
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(*files, ::testing::ElementsAre(host::BootFile{"noded_2+2-1.efi", 10}));
}

TEST(ImageRecordTest, D10_ADamagedCopyIsLeftForTheOther) {
  testing::FakeVfs vfs;
  RecordFile file(vfs);
  bool damaged = true;
  EXPECT_EQ(file.Read(&damaged).epoch_floor(), 0);
  EXPECT_FALSE(damaged);
  stored::ImageRecord record;
  record.set_epoch_floor(4);
  record.set_target_root("root");
  ASSERT_TRUE(file.Write(record).ok());
  const std::string good = EncodeImageRecord(record);
  int tried = 0;
  for (const char* path : {kRecord, kRecordCopy}) {
    for (size_t byte = 0; byte < good.size(); ++byte, ++tried) {
      std::string bad = good;
      bad[byte] = static_cast<char>(bad[byte] ^ 0x10);
      vfs.Corrupt(path, bad);
      EXPECT_EQ(file.Read(&damaged).epoch_floor(), 4) << path << " " << byte;
      EXPECT_TRUE(damaged);
    }
    vfs.Corrupt(path, good.substr(0, good.size() / 2));  // torn
    EXPECT_EQ(file.Read(&damaged).epoch_floor(), 4);
    vfs.Corrupt(path, good);
  }
  EXPECT_GT(tried, 80);
}

TEST(ImageRecordTest, D10_APowerCutLeavesTheOldRecordOrTheNewOne) {
  std::set<int64_t> seen;
  for (int64_t cut = 0; cut < 40; ++cut) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      testing::FakeVfs vfs;
      RecordFile file(vfs);
      stored::ImageRecord record;
      record.set_epoch_floor(1);
      ASSERT_TRUE(file.Write(record).ok());
      record.set_epoch_floor(2);
      vfs.CutAfter(cut);
      const bool written = file.Write(record).ok();
      vfs.CutPower(testing::CutMode::kSeeded, seed);
      bool damaged = false;
      const int64_t floor = file.Read(&damaged).epoch_floor();
      EXPECT_TRUE(floor == 2 || (floor == 1 && !written)) << cut << " " << floor;
      seen.insert(floor);
    }
  }
  EXPECT_EQ(seen.size(), 2u);
}

}  // namespace
}  // namespace basalt::update
