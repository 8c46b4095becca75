// nodectl upgrade: what it looks at, what it writes, what it sends.
#include <gmock/gmock.h>

#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"
#include "tests/support/boot_disk/image_kit.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Upgrade : public NodectlFixture {
 protected:
  sign::PrivateKey ImageKey() {
    absl::StatusOr<sign::PrivateKey> key =
        sign::PrivateKey::FromPem(Read(lab_ + "/keys/image.key"), "");
    EXPECT_TRUE(key.ok()) << key.status();
    return *std::move(key);
  }
  // The signed manifest as image-builder writes it.
  std::string Manifest(const sign::PrivateKey& key) {
    const testing::KitImage image = testing::MakeKitImage({.version = "1.4.0"});
    const v1::SignedDocument document = sign::Sign(v1::DOCUMENT_TYPE_IMAGE, image.manifest, {&key});
    digest_ = sign::DocumentDigest(document).ToString();
    const std::string path = Path("basalt-1.4.0.image.json");
    Write(path, sign::ToDsseJson(document));
    return path;
  }
  std::string digest_;
  const std::string url_ = "http://10.0.0.2/basalt-1.4.0.image.json";
};

TEST_F(Upgrade, NamesTheImageInTheSourceAndAppliesIt) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  Ran ran = Run({"upgrade", "-f", file, "--image", Manifest(ImageKey()), "--url", url_, "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_THAT(ran.err, HasSubstr("image 1.4.0 sha256:"));
  const std::string after = Read(file);
  EXPECT_THAT(after, HasSubstr("digest: " + digest_));
  EXPECT_THAT(after, HasSubstr(url_));
  EXPECT_THAT(after, HasSubstr("version: 1.4.0"));
  EXPECT_EQ(api_.CallCount("Apply"), 1);
  // Everything else stays as it was written.
  EXPECT_EQ(after.substr(0, before.find("k3s:")).substr(0, 40), before.substr(0, 40));
}

TEST_F(Upgrade, AUrlIsWhereNodesFetchItToo) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  const std::string url = "file://" + Manifest(ImageKey());
  Ran ran = Run({"upgrade", "-f", file, "--image", url, "--yes", "-o", "json"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  auto line = nlohmann::json::parse(ran.out.substr(0, ran.out.find('\n')));
  EXPECT_EQ(line["type"], "image");
  EXPECT_EQ(line["version"], "1.4.0");
  EXPECT_EQ(line["digest"], digest_);
  EXPECT_EQ(line["written"], true);
  EXPECT_THAT(Read(file), HasSubstr(url));
}

TEST_F(Upgrade, ADryRunWritesNothing) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  Ran ran =
      Run({"upgrade", "-f", file, "--image", Manifest(ImageKey()), "--url", url_, "--dry-run"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_EQ(Read(file), before);
  EXPECT_THAT(ran.err, HasSubstr("not written"));
}

TEST_F(Upgrade, AnImageThatTheOwnerDidNotSignIsRefusedHere) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  const sign::PrivateKey stranger = sign::PrivateKey::GenerateEd25519();
  Ran ran = Run({"upgrade", "-f", file, "--image", Manifest(stranger), "--url", url_, "--yes"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("bad-signature"));
  // The key of configs is none of images.
  const auto config = sign::PrivateKey::FromPem(Read(lab_ + "/keys/config.key"), "");
  ran = Run({"upgrade", "-f", file, "--image", Manifest(*config), "--url", url_, "--yes"});
  EXPECT_THAT(ran.err, HasSubstr("too-few-signers"));
  EXPECT_EQ(Read(file), before);
  EXPECT_EQ(api_.CallCount("Apply"), 0);
}

TEST_F(Upgrade, SaysWhatIsMissing) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  EXPECT_THAT(Run({"upgrade", "-f", file}).err, HasSubstr("which image?"));
  EXPECT_THAT(Run({"upgrade", "-f", file, "--image", Manifest(ImageKey())}).err,
              HasSubstr("needs-url"));
  EXPECT_THAT(Run({"upgrade", "-f", file, "--image", file, "--url", url_}).err,
              HasSubstr("not-an-image"));
  EXPECT_THAT(Run({"upgrade", "--rollback", "-n", "n1", "--url", url_}).err, HasSubstr("usage"));
  EXPECT_THAT(Run({"upgrade", "-f", file, "--image", url_, "--version", "1"}).err,
              HasSubstr("words of --rollback"));
}

TEST_F(Upgrade, ADigestIsBelievedAndThatIsSaid) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  const std::string digest = "sha256:" + std::string(64, 'b');
  Ran ran = Run({"upgrade", "-f", file, "--image", digest, "--url", url_, "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_THAT(ran.err, HasSubstr("was not looked at"));
  EXPECT_THAT(Read(file), HasSubstr(digest));
}

TEST_F(Upgrade, ARollbackIsASignedOrder) {
  StartNode(/*configured=*/true);
  PinNode();
  Ran ran = Run({"upgrade", "--rollback", "-n", "n1", "--version", "1.3.0", "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_EQ(api_.CallCount("ApplyAction"), 1);
  EXPECT_THAT(ran.out, HasSubstr("image rolled back"));
  // In turn: written, and sent by another person.
  ran = Run({"upgrade", "--rollback", "-n", "n1", "--allow-downgrade", "--to", Path("back.json"),
             "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  absl::StatusOr<v1::SignedDocument> order = sign::FromDsseJson(Read(Path("back.json")));
  ASSERT_TRUE(order.ok());
  EXPECT_THAT(order->payload(), HasSubstr("imageRollback"));
  EXPECT_THAT(order->payload(), HasSubstr("downgrade"));
  EXPECT_THAT(Run({"reset", "-n", "n1", "-f", Path("back.json"), "--yes"}).err,
              HasSubstr("other-action"));
  ran = Run({"upgrade", "--rollback", "-n", "n1", "-f", Path("back.json"), "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_EQ(api_.CallCount("ApplyAction"), 2);
}

TEST_F(Upgrade, SlotsShowsWhatBoots) {
  v1::Resource slot;
  slot.set_kind("Slot");
  slot.set_name("a");
  slot.mutable_slot()->set_version("1.3.0");
  slot.mutable_slot()->set_state("trial");
  slot.mutable_slot()->set_tries_left(2);
  slot.mutable_slot()->set_root_hash("abcdef");
  api_.PutResource(slot);
  StartNode(/*configured=*/true);
  PinNode();
  Ran table = Run({"slots", "-n", "n1"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("VERSION"));
  EXPECT_THAT(table.out, HasSubstr("1.3.0"));
  EXPECT_THAT(table.out, HasSubstr("trial"));
  EXPECT_THAT(table.out, Not(HasSubstr("abcdef")));
  EXPECT_THAT(Run({"slots", "-n", "n1", "-o", "wide"}).out, HasSubstr("abcdef"));
}

}  // namespace
}  // namespace basalt::client
