// What this library seals, the age program opens, and the reverse. Skipped where it is not
// installed.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "machineconfig/seal/age.h"
#include "machineconfig/seal/armor.h"
#include "machineconfig/seal/field.h"
#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

class Interop : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("age --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no age program";
    std::string pattern = ::testing::TempDir() + "/sealXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    ASSERT_TRUE(Run("age-keygen -o key && age-keygen -y key")) << Read("out");
    auto identities = ParseIdentities(Read("key"), "key");
    ASSERT_TRUE(identities.ok()) << identities.status();
    identities_ = *std::move(identities);
  }
  void TearDown() override {
    if (!dir_.empty()) std::filesystem::remove_all(dir_);
  }
  void Write(const std::string& name, absl::string_view text) {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << text;
  }
  std::string Read(const std::string& name) {
    std::ifstream in(dir_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool Run(const std::string& command) {
    return std::system(("cd " + dir_ + " && { " + command + "; } >out 2>err").c_str()) == 0;
  }
  const Recipient& recipient() { return identities_[0].recipient(); }

  std::string dir_;
  std::vector<Identity> identities_;
};

TEST_F(Interop, KeysAreReadAsAgeKeygenWritesThem) {
  EXPECT_EQ(Read("out"), absl::StrCat(recipient().Text(), "\n"));
  Write("ours", absl::StrCat(MakeIdentity('q').Text().view(), "\n"));
  ASSERT_TRUE(Run("age-keygen -y ours")) << Read("err");
  EXPECT_EQ(Read("out"), absl::StrCat(MakeIdentity('q').recipient().Text(), "\n"));
}

TEST_F(Interop, AgeOpensWhatWeSeal) {
  const Recipient other = MakeIdentity('o').recipient();
  for (size_t size : {0, 1, 65535, 65536, 65537, 200000, 262144}) {
    const std::string text(size, 's');
    Scripted random;
    auto sealed = Encrypt(text, {other, recipient()}, random);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    Write("binary", *sealed);
    Write("armored", Armor(*sealed));
    for (const char* form : {"binary", "armored"}) {
      ASSERT_TRUE(Run(absl::StrCat("age -d -i key ", form))) << form << size << Read("err");
      EXPECT_TRUE(Read("out") == text) << form << size;
    }
  }
}

TEST_F(Interop, WeOpenWhatAgeSeals) {
  for (size_t size : {0, 1, 65535, 65536, 65537, 200000, 262144}) {
    Write("plain", std::string(size, 'p'));
    const std::string to = absl::StrCat("-r ", MakeIdentity('o').recipient().Text(), " -r ",
                                        recipient().Text(), " plain");
    ASSERT_TRUE(Run("age " + to)) << Read("err");
    auto binary = Decrypt(Read("out"), identities_);
    ASSERT_TRUE(binary.ok()) << size << binary.status();
    EXPECT_TRUE(binary->view() == Read("plain"));
    ASSERT_TRUE(Run("age -a " + to)) << Read("err");
    auto bytes = Dearmor(Read("out"));
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_TRUE(Decrypt(*bytes, identities_).value().view() == Read("plain"));
  }
}

TEST_F(Interop, FieldCanBeSealedByHandWithAgeAlone) {
  ASSERT_TRUE(Run(absl::StrCat("printf 'basalt-seal/v1 home n1 k3s.token\\nK10abc' | age -a -r ",
                               recipient().Text())))
      << Read("err");
  const std::string armored = Read("out");
  EXPECT_EQ(OpenField({"home", "n1", "k3s.token"}, armored, identities_).value().view(), "K10abc");
  EXPECT_EQ(api::Reason(OpenField({"home", "n2", "k3s.token"}, armored, identities_).status()),
            "wrong-seal-context");
}

}  // namespace
}  // namespace basalt::seal
