// A node that nobody calls: its first config lies on the medium that it starts from, or on a disc
// beside it. The image is as it is shipped. Only in `./dev test --all`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/medium/fat.h"
#include "machineconfig/medium/partitions.h"
#include "tests/system/image/lab.h"
#include "tests/system/image/machine.h"

namespace basalt::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(240);

// Of a disk that is a file.
class FileBytes : public medium::Bytes {
 public:
  explicit FileBytes(const std::string& path)
      : in_(path, std::ios::binary), size_(std::filesystem::file_size(path)) {}
  uint64_t size() const override { return size_; }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override {
    if (absl::Status s = medium::CheckRange(*this, offset, size); !s.ok()) return s;
    std::string out(size, '\0');
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(out.data(), static_cast<std::streamsize>(size));
    return in_.gcount() == static_cast<std::streamsize>(size)
               ? absl::StatusOr<std::string>(std::move(out))
               : absl::UnavailableError("reading");
  }
  absl::Status Write(uint64_t, absl::string_view) override { return absl::UnimplementedError(""); }

 private:
  std::ifstream in_;
  const uint64_t size_;
};

class FirstBoot : public ::testing::Test {
 protected:
  // The boot partition as it lies on the disk: a file, and all of its first mebibytes.
  static std::string OnEsp(const std::string& disk, const std::string& file) {
    FileBytes bytes(disk);
    medium::PartBytes esp(bytes, 1 << 20, 512 << 20);
    absl::StatusOr<medium::Fat> fat = medium::Fat::Open(esp);
    return fat.ok() ? fat->ReadFile(file, 1 << 20).value_or("(none)") : "(no file system)";
  }
  static bool Holds(const std::string& disk, const std::string& text) {
    FileBytes bytes(disk);
    return absl::StrContains(bytes.Read(1 << 20, 128 << 20).value_or(""), text);
  }
  Lab lab_{{PROGRAMS, RECIPE, CACHE}};
};

TEST_F(FirstBoot, FromWhatImageWritePutOntoItsMedium) {
  const std::string image = lab_.Build("9.0.0"), disk = lab_.root() + "/n1.raw";
  const std::string file = lab_.ConfigWithoutK3s("n1");
  // A secret: the key of a tunnel. And a network that nobody is asked to come back over.
  Ran ran = lab_.Nodectl(
      {"patch", "-f", file, "--in-place", "--patch",
       "{network: {interfaces: [{name: lan0, match: {mac: \"52:54:00:12:34:56\"}, addresses: "
       "[10.0.2.15/24], routes: [{to: default, via: 10.0.2.2}]}, {name: wg0, addresses: "
       "[10.8.0.1/24], wireguard: {privateKey: "
       "\"YNJDAeJGVzGQXmr3x9qPC3NDSmZcMGsTnqbjMSb8Nmo=\", peers: [{name: office, publicKey: "
       "\"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\", allowedIps: [10.8.0.2/32]}]}}]}}"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  ran = lab_.Nodectl({"image", "write", "--image", image, "--disk", disk, "--config", file});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("one-time key"));
  const std::string key = OnEsp(disk, "basalt/medium.key").substr(0, 74);
  ASSERT_THAT(key, HasSubstr("AGE-SECRET-KEY-1"));
  ASSERT_TRUE(Holds(disk, key));
  std::filesystem::remove(image);
  const int port = FreePort();
  {
    Machine machine(disk, lab_.root(), {.api_port = port});
    ASSERT_TRUE(machine.Await({"the key on the boot medium is wiped"}, kPatience))
        << machine.console();
    EXPECT_THAT(machine.console(),
                HasSubstr("the first config is that of basalt/config.json on the boot partition"));
  }
  EXPECT_EQ(OnEsp(disk, "basalt/medium.key"), "(none)");
  EXPECT_FALSE(Holds(disk, key)) << "it was overwritten, not only forgotten";

  // Whoever has the node in the inventory signs for it from now on, and seals to it.
  Machine machine(disk, lab_.root(), {.api_port = port});
  ASSERT_EQ(lab_.Pin(machine, "n1", port), "");
  ran = lab_.NodectlMeanwhile(machine, {"status", "-n", "n1", "-o", "json"});
  EXPECT_THAT(ran.out, HasSubstr("SealedToMedium"));
  ran = lab_.NodectlMeanwhile(machine, {"history", "-n", "n1", "-o", "json"});
  EXPECT_THAT(ran.out, HasSubstr("found: basalt/config.json"));
  ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  ran = lab_.NodectlMeanwhile(machine, {"status", "-n", "n1", "-o", "json"});
  EXPECT_THAT(ran.out, Not(HasSubstr("SealedToMedium")));
}

TEST_F(FirstBoot, FromANoCloudDisc) {
  const std::string disk = lab_.Build("9.0.0"), file = lab_.ConfigWithoutK3s("n1");
  Ran ran = lab_.Nodectl(
      {"patch", "-f", file, "--patch", "{target: {serial: first-boot-7}}", "--in-place"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  std::filesystem::create_directories(lab_.root() + "/seed");
  ran = lab_.Nodectl({"sign", "-f", file, "-o", lab_.root() + "/seed/user-data", "--yes"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  const std::string disc = lab_.root() + "/seed.iso";
  ran = Launch({"xorriso", "-outdev", disc, "-joliet", "on", "-volid", "cidata", "-map",
                lab_.root() + "/seed", "/"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  Machine machine(disk, lab_.root(),
                  {.more = {"-smbios", "type=1,serial=first-boot-7", "-device", "virtio-scsi-pci",
                            "-drive", absl::StrCat("file=", disc, ",if=none,id=cd,media=cdrom"),
                            "-device", "scsi-cd,drive=cd"}});
  ASSERT_TRUE(machine.Await({"the first config is that of user-data on"}, kPatience))
      << machine.console();
}

}  // namespace
}  // namespace basalt::testing
