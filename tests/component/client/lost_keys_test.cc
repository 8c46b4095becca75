// What losing each key means: a row of the table in machineconfig/README.md each, named after it.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/sshsig.h"
#include "machineconfig/sign/x509.h"
#include "tests/component/client/owned_node.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LostKeys : public OwnedNode {
 protected:
  void Lose(const std::string& file) { ASSERT_EQ(unlink((lab_ + "/" + file).c_str()), 0) << file; }
  // A value of the copy that was signed for n1, as the owner opens it.
  std::string OfSignedCopy(const std::string& path) {
    auto document = sign::FromDsseJson(Read(Path("n1.json")));
    EXPECT_TRUE(document.ok()) << document.status();
    if (!document.ok()) return "";
    Write(Path("copy.yaml"), document->payload());
    return Good({"unseal", "-f", Path("copy.yaml"), path}).out;
  }
  // What the authority of `lab` issues to whoever has its key, as the admin certificate of `to`.
  void IssueAdmin(const std::string& lab, const std::string& to) {
    auto ca = sign::PrivateKey::FromPem(Read(lab + "/ca/ca.key"));
    ASSERT_TRUE(ca.ok());
    const sign::PrivateKey key = sign::PrivateKey::GenerateEd25519();
    auto pem = sign::Issue({.common_name = "admin",
                            .organizations = {"basalt:home:admin"},
                            .client_auth = true,
                            .not_before = absl::Now() - absl::Minutes(5),
                            .not_after = absl::Now() + absl::Hours(1)},
                           key.public_key(), Read(lab + "/ca/ca.crt"), *ca);
    ASSERT_TRUE(pem.ok()) << pem.status();
    Write(to + "/ca/admin.crt", *pem);
    Write(to + "/ca/admin.key", key.Pem());
  }
  // Everything but the certificate is refused at the door, in words that name it.
  void IsShutOut(const Ran& ran) {
    EXPECT_EQ(ran.exit_code, 1) << ran.both();
    EXPECT_THAT(ran.both(), Not(HasSubstr("APPLY_STATE_COMMITTED")));
  }
  // The lines of an authority in a config's list.
  std::string CaLines(const std::string& name, const std::string& lab) {
    std::string pem = Read(lab + "/ca/ca.crt");
    pem.pop_back();
    return absl::StrCat("    - name: ", name,
                        "\n      roles: [admin]\n      certificate: |\n        ",
                        absl::StrReplaceAll(pem, {{"\n", "\n        "}}), "\n");
  }
};

TEST_F(LostKeys, RootKey_LostConfigsGoOnAndAnotherRootReplacesIt) {
  auto spare = sign::PrivateKey::GenerateEd25519();
  Write(Path("spare.key"), spare.Pem());
  Write(Path("spare.pub"), spare.public_key().Pem());
  Good({"trust", "add-key", "spare", "--public-key", Path("spare.pub"), "--root"});
  StartOwned();
  Lose("keys/root.key");
  Good({"apply", "-f", WriteYaml("n1.yaml", {})});
  Refused(Run({"trust", "epoch"}), "no-root-key");
  Good({"trust", "rotate", "root", "--generate", "--no-passphrase", "--root-key",
        Path("spare.key")});
  Good({"trust", "apply", "-n", "n1"});
  Good({"trust", "epoch"});
}

TEST_F(LostKeys, RootKey_LostAloneNothingAboutTrustChangesAnyMore) {
  Lose("keys/root.key");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"trust", "rotate", "config", "--generate", "--no-passphrase"},
           {"trust", "epoch"},
           {"trust", "epoch", "--root-key", lab_ + "/keys/config.key"}}) {
    Run(words);
    EXPECT_THAT(Run({"trust", "show"}).out, HasSubstr("version 1\n"));
  }
}

TEST_F(LostKeys, RootKey_StolenWhoeverComesFirstHasTheNode) {
  StartOwned();
  Good({"apply", "-f", WriteYaml("n1.yaml", {})});
  const std::string thief = CopyLab("thief");
  ASSERT_EQ(RunIn(thief, {"trust", "rotate", "root", "--generate", "--no-passphrase"}).exit_code,
            0);
  Good({"trust", "rotate", "root", "--generate", "--no-passphrase"});
  Good({"trust", "apply", "-n", "n1"});
  Refused(RunIn(thief, {"trust", "apply", "-n", "n1"}), "foreign-chain");
}

TEST_F(LostKeys, ConfigSigner_LostOrStolenItIsRotatedAndRefusedByName) {
  StartOwned();
  const std::string file = WriteYaml("n1.yaml", {});
  Good({"apply", "-f", file});
  const std::string thief = CopyLab("thief");
  Lose("keys/config.key");
  EXPECT_EQ(Run({"apply", "-f", WriteYaml("new.yaml", {.labels = "{site: lab}"})}).exit_code, 1);
  Good({"status"});  // what runs, runs
  Good({"trust", "rotate", "config", "--generate", "--no-passphrase"});
  Good({"trust", "apply", "-n", "n1"});
  Refused(RunIn(thief, {"apply", "-f", WriteYaml("theirs.yaml", {.labels = "{site: x}"})}),
          "revoked-key");
  Good({"apply", "-f", file});  // anew, with the new key
  EXPECT_THAT(Good({"history", "-n", "n1"}).out, HasSubstr("config-2"));
}

TEST_F(LostKeys, ActionSigner_LostOrStolenItIsRotatedAndOrdersNothing) {
  Good({"trust", "add-key", "ops", "--generate", "--no-passphrase", "--for", "action"});
  Good({"trust", "ungrant", "2"});
  StartOwned();
  Good({"apply", "-f", WriteYaml("n1.yaml", {})});
  Refused(Run({"reset", "-n", "n1", "--yes"}), "too-few-signers");  // config orders nothing
  const std::string thief = CopyLab("thief");
  Good({"trust", "rotate", "ops", "--generate", "--no-passphrase"});
  Good({"trust", "apply", "-n", "n1"});
  Refused(RunIn(thief, {"reset", "-n", "n1", "--yes", "--key", thief + "/keys/ops.key"}),
          "revoked-key");
  Good({"reset", "-n", "n1", "--yes", "--key", lab_ + "/keys/ops-2.key"});
}

TEST_F(LostKeys, ClientAuthority_LostCertificatesGoOnStolenItIsReplacedInTwoSteps) {
  StartOwned();
  Good({"apply", "-f", WriteYaml("n1.yaml", {})});
  const std::string thief = CopyLab("thief");
  IssueAdmin(thief, thief);
  EXPECT_EQ(RunIn(thief, {"history", "-n", "n1"}).exit_code, 0);  // that is the harm
  Lose("ca/ca.key");
  Good({"status"});
  // A new authority: that of another `init`.
  ASSERT_EQ(Run({"init", Path("fresh"), "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  Good({"apply", "-f", WriteYaml("both.yaml", {.api = CaLines("fresh", Path("fresh"))})});
  for (const char* file : {"ca.crt", "ca.key", "admin.crt", "admin.key"}) {
    Write(lab_ + "/ca/" + file, Read(Path("fresh/ca/") + file));
  }
  std::string only = Read(WriteYaml("only.yaml", {.ca = Path("fresh")}));
  Write(Path("only.yaml"), absl::StrReplaceAll(only, {{"name: owner", "name: fresh"}}));
  Good({"apply", "-f", Path("only.yaml"), "--yes"});
  IsShutOut(RunIn(thief, {"history", "-n", "n1"}));
  Good({"history", "-n", "n1"});
}

TEST_F(LostKeys, AdminCertificate_StolenItIsDeniedAndTheAuthorityIssuesAnother) {
  StartOwned();
  Good({"apply", "-f", WriteYaml("n1.yaml", {})});
  const std::string thief = CopyLab("thief");
  auto stolen = sign::ReadCertificate(Read(thief + "/ca/admin.crt"));
  ASSERT_TRUE(stolen.ok());
  Lose("ca/admin.key");
  EXPECT_EQ(Run({"history", "-n", "n1"}).exit_code, 1);
  IssueAdmin(lab_, lab_);
  Good({"apply", "-f",
        WriteYaml("n1.yaml", {.api = absl::StrCat("  deniedFingerprints: [\"",
                                                  stolen->fingerprint.Hex(), "\"]\n")})});
  Good({"history", "-n", "n1"});
  IsShutOut(RunIn(thief, {"history", "-n", "n1"}));
}

TEST_F(LostKeys, SecretsKey_LostAnotherRecipientStillOpensThem) {
  ASSERT_EQ(Run({"init", Path("partner"), "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string file = WriteConfig("n1.yaml", /*plain=*/true);
  std::string mine = Good({"recipient"}).out;
  std::string theirs = RunIn(Path("partner"), {"recipient"}).out;
  mine.pop_back();
  theirs.pop_back();
  Good({"seal", "-f", file, "--all", "--recipient", mine, "--recipient", theirs});
  const std::string value = Good({"unseal", "-f", file, "k3s.token"}).out;
  Lose("keys/secrets.key");
  Ran lost = Run({"unseal", "-f", file, "k3s.token"});
  EXPECT_EQ(lost.exit_code, 1);
  EXPECT_THAT(lost.err, HasSubstr("secrets.key"));
  EXPECT_EQ(Run({"sign", "-f", file}).exit_code, 1);
  EXPECT_EQ(Good({"unseal", "-f", file, "k3s.token", "-i", Path("partner/keys/secrets.key")}).out,
            value);
  Good({"sign", "-f", file, "-i", Path("partner/keys/secrets.key"), "-o", Path("n1.json")});
}

TEST_F(LostKeys, NodeIdentity_LostTheMachineIsANewOneAndIsPinnedAnew) {
  StartOwned();
  Good({"apply", "-f", WriteYaml("n1.yaml", {})});
  Good({"sign", "-f", WriteYaml("more.yaml", {.labels = "{site: lab}"}), "-o", Path("old.json")});
  const std::string before = node_->fingerprint();
  node_ = std::make_unique<testing::NodeProcess>(
      owner_, testing::NodeOptions{.trust_json = Read(lab_ + "/trust.json")});
  ASSERT_TRUE(node_->Start().ok());
  ASSERT_NE(node_->fingerprint(), before);
  // Under the old name nothing is sent to it, and what was signed for the old one is not for it.
  Good({"pin", "n1", "--node", node_->endpoint(), "--fingerprint", before});
  EXPECT_THAT(Run({"status"}).both(), HasSubstr("fingerprint-mismatch"));
  Good({"pin", "n1", "--node", node_->endpoint(), "--fingerprint", node_->fingerprint(), "--yes"});
  Refused(Run({"apply", "-f", Path("old.json")}), "wrong-target");
  Good({"apply", "-f", Path("more.yaml")});
}

TEST_F(LostKeys, NodeSealingKey_LostItIsPinnedAnewAndTheConfigSealedAgain) {
  StartOwned();
  const std::string file = WriteConfig();
  Good({"sign", "-f", file, "-o", Path("old.json")});
  Good({"plan", "-f", Path("old.json")});
  node_->Stop();
  ASSERT_EQ(unlink(node_->Path("state/sealing.key").c_str()), 0);
  ASSERT_TRUE(node_->Start().ok());
  Good({"pin", "n1", "--node", node_->endpoint(), "--fingerprint", node_->fingerprint(), "--yes"});
  EXPECT_THAT(Run({"plan", "-f", Path("old.json")}).err,
              HasSubstr("it is sealed to keys that this node does not have"));
  Good({"sign", "-f", file, "-o", Path("new.json")});
  Good({"plan", "-f", Path("new.json")});
}

TEST_F(LostKeys, ServerToken_LostItStandsInTheSignedCopy) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string file = WriteConfig();
  const std::string token = Good({"unseal", "-f", file, "k3s.token"}).out;
  ASSERT_GE(token.size(), 16u);
  Good({"sign", "-f", file, "-o", Path("n1.json")});
  const std::string secrets = Read(lab_ + "/secrets.yaml");
  Write(lab_ + "/secrets.yaml", secrets.substr(secrets.find("agent:")));
  Refused(Run({"gen", "config", "--name", "n2", "--role", "server"}), "no-token");
  EXPECT_EQ(OfSignedCopy("k3s.token"), token);
}

TEST_F(LostKeys, ServerToken_StolenANewOneIsAChangeOfTheConfig) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string file = WriteConfig();
  Good({"sign", "-f", file, "-o", Path("n1.json")});
  Write(Path("token"), Sha256("another").Hex());
  input_ = Path("token");
  Good({"seal", "-f", file, "k3s.token"});
  EXPECT_THAT(Good({"sign", "-f", file, "-o", Path("n1.json")}).err,
              HasSubstr("~ k3s.token: (redacted) -> (redacted)  # restart-k3s"));
}

TEST_F(LostKeys, AgentToken_LostItStandsInTheServersSignedCopy) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string file = WriteConfig();
  const std::string token = Good({"unseal", "-f", file, "k3s.agentToken"}).out;
  ASSERT_GE(token.size(), 16u);
  Good({"sign", "-f", file, "-o", Path("n1.json")});
  const std::string secrets = Read(lab_ + "/secrets.yaml");
  Write(lab_ + "/secrets.yaml", secrets.substr(0, secrets.find("agent:")));
  Refused(Run({"gen", "config", "--name", "n2", "--role", "agent", "--server", "n1"}), "no-token");
  EXPECT_EQ(OfSignedCopy("k3s.agentToken"), token);
}

TEST_F(LostKeys, NodePassword_LostItStandsInTheSignedCopyAndANewOneIsAnother) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string file = WriteConfig();
  const std::string password = Good({"unseal", "-f", file, "k3s.nodePassword"}).out;
  ASSERT_GE(password.size(), 16u);
  Good({"sign", "-f", file, "-o", Path("n1.json")});
  EXPECT_EQ(OfSignedCopy("k3s.nodePassword"), password);
  const std::string again = WriteConfig("again.yaml");
  EXPECT_NE(Good({"unseal", "-f", again, "k3s.nodePassword"}).out, password);
}

TEST_F(LostKeys, OutsideKey_RevokedItsSignaturesAreRefusedInItsOwnScheme) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const sign::PrivateKey ssh = sign::PrivateKey::GenerateEd25519();
  auto line = [](const sign::PrivateKey& key) {
    return absl::StrCat("ssh-ed25519 ", Base64Encode(sign::SshKeyBlob(key.public_key().algorithm(),
                                                                      key.public_key().raw())));
  };
  Good({"trust", "add-key", "alice", "--public-key", line(ssh), "--for", "machineconfig"});
  const std::string payload = Path("n1.signed.yaml");
  Good({"sign", "-f", WriteConfig(), "--payload-only", "-o", payload});
  Write(Path("sig"), sign::ArmorSshSignature(sign::MakeSshSignature(
                         ssh, v1::DOCUMENT_TYPE_MACHINE_CONFIG, Read(payload))));
  Good({"sign", "-f", payload, "--attach", Path("sig"), "-o", Path("n1.json")});
  Good({"trust", "rotate", "alice", "--new-public-key", line(sign::PrivateKey::GenerateEd25519())});
  Refused(Run({"verify", "-f", Path("n1.json")}), "revoked-key");
}

TEST_F(LostKeys, Passphrase_LostReadingGoesOnAndARootElsewhereRotatesEverything) {
  const std::map<std::string, std::string> known = {{"NODECTL_PASSPHRASE", "correct horse"}};
  const std::map<std::string, std::string> wrong = {{"NODECTL_PASSPHRASE", "battery staple"}};
  lab_ = Path("locked");
  ASSERT_EQ(Run({"init", lab_, "--cluster", "home"}, known).exit_code, 0);
  auto spare = sign::PrivateKey::GenerateEd25519();
  Write(Path("spare.key"), spare.Pem());
  Write(Path("spare.pub"), spare.public_key().Pem());
  ASSERT_EQ(Run({"trust", "add-key", "spare", "--public-key", Path("spare.pub"), "--root"}, known)
                .exit_code,
            0);
  StartOwned();
  const std::string file = WriteYaml("n1.yaml", {});
  ASSERT_EQ(Run({"apply", "-f", file}, known).exit_code, 0);
  // Forgotten.
  const std::string more = WriteYaml("more.yaml", {.labels = "{site: lab}"});
  Refused(Run({"apply", "-f", more}, wrong), "wrong-passphrase");
  Refused(Run({"apply", "-f", more}), "passphrase-needed");
  Good({"status"});
  for (const char* key : {"root", "config", "image"}) {
    Good(
        {"trust", "rotate", key, "--generate", "--no-passphrase", "--root-key", Path("spare.key")});
  }
  Good({"trust", "apply", "-n", "n1"});
  Good({"apply", "-f", more});
}

}  // namespace
}  // namespace basalt::client
