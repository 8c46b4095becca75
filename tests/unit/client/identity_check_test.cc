#include "client/fleet/identity_check.h"

#include <gmock/gmock.h>

#include "api/coded_status.h"
#include "machineconfig/sign/x509.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;

class IdentityCheck : public ::testing::Test {
 protected:
  std::string Issue(const std::string& uri, bool server_auth = true,
                    absl::Duration end = absl::Hours(1)) {
    return *sign::Issue({.common_name = "n1",
                         .uris = {uri},
                         .server_auth = server_auth,
                         .client_auth = !server_auth,
                         .not_before = now_ - absl::Hours(2),
                         .not_after = now_ + end},
                        node_.public_key(), ca_pem_, ca_);
  }
  absl::Time now_ = absl::Now();
  sign::PrivateKey ca_ = sign::PrivateKey::GenerateEd25519();
  sign::PrivateKey node_ = sign::PrivateKey::GenerateEd25519();
  std::string ca_pem_ = *sign::SelfSign({.common_name = "ca",
                                         .is_ca = true,
                                         .not_before = now_ - absl::Hours(3),
                                         .not_after = now_ + absl::Hours(3)},
                                        ca_);
  std::string self_ = *sign::SelfSign({.common_name = "x",
                                       .server_auth = true,
                                       .not_before = now_ - absl::Hours(3),
                                       .not_after = now_ - absl::Hours(1)},
                                      node_);
  Dial pinned_{.name = "n1", .endpoint = "h:1", .fingerprint = node_.public_key().id().Hex()};
  Dial by_ca_{.name = "n1", .endpoint = "h:1", .cluster = "home", .ca_pem = ca_pem_};
};

TEST_F(IdentityCheck, PinComparesTheKeyAndNothingElse) {
  EXPECT_TRUE(
      CheckIdentity(pinned_, self_, now_).ok());  // expired: an identity never waits for a clock
  EXPECT_TRUE(CheckIdentity(pinned_, Issue("basalt://home/n1"), now_).ok());
}

TEST_F(IdentityCheck, DifferentKeyIsRefusedWithBothFingerprints) {
  Dial dial = pinned_;
  dial.fingerprint = std::string(64, 'a');
  dial.ca_pem = ca_pem_;
  dial.cluster = "home";
  // Also with a certificate of the owner's authority: the pin is the stronger word.
  absl::Status status = CheckIdentity(dial, Issue("basalt://home/n1"), now_);
  EXPECT_EQ(api::Reason(status), "fingerprint-mismatch");
  EXPECT_THAT(std::string(status.message()), HasSubstr(dial.fingerprint));
  EXPECT_THAT(std::string(status.message()), HasSubstr(node_.public_key().id().Hex()));
}

TEST_F(IdentityCheck, S12_OnlyTheOwnersServerCertificateForThisNameIsBelieved) {
  EXPECT_TRUE(CheckIdentity(by_ca_, Issue("basalt://home/n1"), now_).ok());
  EXPECT_EQ(api::Reason(CheckIdentity(by_ca_, Issue("basalt://home/n2"), now_)), "not-pinned");
  EXPECT_EQ(api::Reason(CheckIdentity(by_ca_, Issue("basalt://away/n1"), now_)), "not-pinned");
  EXPECT_EQ(api::Reason(CheckIdentity(by_ca_, Issue("basalt://home/n1", false), now_)),
            "not-pinned");
  EXPECT_EQ(
      api::Reason(CheckIdentity(by_ca_, Issue("basalt://home/n1", true, -absl::Hours(1)), now_)),
      "not-pinned");
  EXPECT_EQ(api::Reason(CheckIdentity(by_ca_, self_, now_)), "not-pinned");
  EXPECT_EQ(api::Reason(CheckIdentity(by_ca_, ca_pem_, now_)), "not-pinned");
}

TEST_F(IdentityCheck, SocketClosedIsBlamedOnOurCertificateWhenThatIsTheCause) {
  Dial dial = pinned_;
  dial.certificate_pem = *sign::SelfSign({.common_name = "admin",
                                          .client_auth = true,
                                          .not_before = now_ - absl::Hours(3),
                                          .not_after = now_ - absl::Hours(1)},
                                         ca_);
  const absl::Status closed = absl::UnavailableError("Socket closed");
  EXPECT_EQ(api::Reason(Translate(dial, closed, now_)), "certificate-expired");
  EXPECT_EQ(api::Reason(Translate(dial, closed, now_ - absl::Hours(10))),
            "certificate-not-yet-valid");
  EXPECT_EQ(api::Reason(Translate(dial, closed, now_ - absl::Hours(2))), "connection-closed");
  dial.certificate_pem.clear();
  EXPECT_THAT(api::Hint(Translate(dial, closed, now_)), HasSubstr("wants a client certificate"));
}

TEST_F(IdentityCheck, RefusedConnectionAndTimeoutAreNamed) {
  EXPECT_EQ(api::Reason(Translate(pinned_, absl::UnavailableError("Connection refused"), now_)),
            "unreachable");
  EXPECT_EQ(api::Reason(Translate(pinned_, absl::DeadlineExceededError("Deadline"), now_)),
            "timeout");
  const absl::Status coded = api::Coded(absl::StatusCode::kUnavailable, "busy", "x");
  EXPECT_EQ(api::Reason(Translate(pinned_, coded, now_)), "busy");
}

}  // namespace
}  // namespace basalt::client
