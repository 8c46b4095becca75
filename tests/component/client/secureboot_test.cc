// nodectl gen secureboot: what it makes is what firmware takes, and nothing is overwritten.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "machineconfig/sign/efi_signature.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"
#include "tests/unit/machineconfig/sign/efi_testing.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SecureBootKeys : public NodectlFixture {
 protected:
  sign::EfiCertificate Certificate(const std::string& file) {
    absl::StatusOr<sign::EfiCertificate> read = sign::ReadEfiCertificatePem(Read(Path(file)));
    EXPECT_TRUE(read.ok()) << read.status();
    return read.value_or(sign::EfiCertificate());
  }
  // The certificates of a write that `signer` signed.
  std::vector<std::string> Written(const std::string& variable, const std::string& file,
                                   const std::string& signer, bool append = false) {
    absl::StatusOr<sign::EfiUpdate> update =
        sign::OpenEfiUpdate(variable, Read(Path(file)), append, Certificate(signer));
    EXPECT_TRUE(update.ok()) << update.status();
    if (!update.ok()) return {};
    return sign::ParseEfiLists(update->content)->certificates;
  }
};

TEST_F(SecureBootKeys, TheChainIsThatOfFirmware) {
  Ran made = Run({"gen", "secureboot", Path("sb")}, {{"NODECTL_PASSPHRASE", "correct horse"}});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("PK.key  (secret)"));
  using Ders = std::vector<std::string>;
  EXPECT_EQ(Written("PK", "sb/PK.auth", "sb/PK.crt"), Ders{Certificate("sb/PK.crt").der});
  EXPECT_EQ(Written("KEK", "sb/KEK.auth", "sb/PK.crt"), Ders{Certificate("sb/KEK.crt").der});
  EXPECT_EQ(Written("db", "sb/db.auth", "sb/KEK.crt"), Ders{Certificate("sb/db.crt").der});
  EXPECT_EQ(Written("PK", "sb/remove-PK.auth", "sb/PK.crt"), Ders{});
  EXPECT_EQ(Certificate("sb/db.crt").name, "basalt home db");
  for (const char* key : {"PK", "KEK", "db", "pcr"}) {
    const std::string file = Path(std::string("sb/") + key + ".key");
    struct stat st;
    ASSERT_EQ(stat(file.c_str(), &st), 0) << key;
    EXPECT_EQ(st.st_mode & 07777, 0600u) << key;
    EXPECT_THAT(Read(file), HasSubstr("ENCRYPTED PRIVATE KEY")) << key;
  }
}

TEST_F(SecureBootKeys, NothingIsOverwritten) {
  ASSERT_EQ(Run({"gen", "secureboot", "--no-passphrase"}).exit_code, 0) << "beside the context";
  const std::string before = Read(lab_ + "/secureboot/PK.key");
  Ran again = Run({"gen", "secureboot", "--no-passphrase"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("not-empty"));
  EXPECT_EQ(Read(lab_ + "/secureboot/PK.key"), before);
}

TEST_F(SecureBootKeys, AKeyIsRotatedByAWriteThatAppends) {
  ASSERT_EQ(Run({"gen", "secureboot", Path("sb"), "--no-passphrase"}).exit_code, 0);
  Ran rotated = Run({"gen", "secureboot", Path("sb"), "--rotate", "--no-passphrase", "-o", "json"});
  ASSERT_EQ(rotated.exit_code, 0) << rotated.err;
  const auto json = nlohmann::json::parse(rotated.out, nullptr, false);
  EXPECT_EQ(json["files"][0], "db-2.key") << rotated.out;
  EXPECT_EQ(Written("db", "sb/db-2.auth", "sb/KEK.crt", /*append=*/true),
            std::vector<std::string>{Certificate("sb/db-2.crt").der});
  EXPECT_NE(Certificate("sb/db-2.crt").der, Certificate("sb/db.crt").der);
  ASSERT_EQ(Run({"gen", "secureboot", Path("sb"), "--rotate", "--no-passphrase"}).exit_code, 0);
  EXPECT_THAT(Read(Path("sb/db-3.crt")), HasSubstr("CERTIFICATE"));
}

TEST_F(SecureBootKeys, ACertificateOrAProgramIsRevoked) {
  const std::map<std::string, std::string> passphrase = {{"NODECTL_PASSPHRASE", "correct horse"}};
  ASSERT_EQ(Run({"gen", "secureboot", Path("sb")}, passphrase).exit_code, 0);
  Ran locked = Run({"gen", "secureboot", Path("sb"), "--revoke", Path("sb/db.crt")});
  EXPECT_EQ(locked.exit_code, 1);
  EXPECT_THAT(locked.err, HasSubstr("passphrase-needed"));
  ASSERT_EQ(
      Run({"gen", "secureboot", Path("sb"), "--revoke", Path("sb/db.crt")}, passphrase).exit_code,
      0);
  EXPECT_EQ(Written("dbx", "sb/dbx-1.auth", "sb/KEK.crt", true),
            std::vector<std::string>{Certificate("sb/db.crt").der});
  Write(Path("old.efi"), sign::TestProgram());
  ASSERT_EQ(
      Run({"gen", "secureboot", Path("sb"), "--revoke", Path("old.efi")}, passphrase).exit_code, 0);
  absl::StatusOr<sign::EfiUpdate> update =
      sign::OpenEfiUpdate("dbx", Read(Path("sb/dbx-2.auth")), true, Certificate("sb/KEK.crt"));
  ASSERT_TRUE(update.ok()) << update.status();
  EXPECT_EQ(sign::ParseEfiLists(update->content)->digests.size(), 1u);
  Ran nonsense =
      Run({"gen", "secureboot", Path("sb"), "--revoke", lab_ + "/trust.yaml"}, passphrase);
  EXPECT_EQ(nonsense.exit_code, 1);
  EXPECT_THAT(nonsense.err, HasSubstr("bad-program"));
}

}  // namespace
}  // namespace basalt::client
