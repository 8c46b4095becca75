// What can be wrong between nodectl and a node, each in words that help and with a code of its own.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/x509.h"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Says `answer` to whoever connects, and closes.
class Peer {
 public:
  explicit Peer(std::string answer) : answer_(std::move(answer)) {
    listen_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listen_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listen_, 8), 0);
    getsockname(listen_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (int fd; (fd = accept4(listen_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        char buffer[4096];
        ssize_t ignored = read(fd, buffer, sizeof buffer);
        ignored = write(fd, answer_.data(), answer_.size());
        (void)ignored;
        close(fd);
      }
    });
  }
  ~Peer() {
    shutdown(listen_, SHUT_RDWR);
    thread_.join();
    close(listen_);
  }
  std::string endpoint() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  std::string answer_;
  int listen_ = -1;
  int port_ = 0;
  std::thread thread_;
};

class Transport : public NodectlFixture {
 protected:
  Ran Ask(const std::string& endpoint) {
    Ran pin = Run({"pin", "n1", "--node", endpoint, "--fingerprint", fingerprint(), "--yes"});
    EXPECT_EQ(pin.exit_code, 0) << pin.err;
    Ran ran = Run({"get", "service", "-n", "n1"});
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_THAT(ran.err, Not(HasSubstr("failed to connect to all addresses")));
    EXPECT_THAT(ran.err, HasSubstr("error: n1: "));
    EXPECT_THAT(ran.err, HasSubstr("hint: "));
    return ran;
  }
};

TEST_F(Transport, NobodyListens) {
  std::string endpoint;
  {
    Peer gone("");
    endpoint = gone.endpoint();
  }
  EXPECT_THAT(Ask(endpoint).err, HasSubstr("n1: unreachable: "));
}

TEST_F(Transport, AHostNameThatNobodyKnows) {
  const Ran ran = Ask("no-such-host.invalid:6050");
  EXPECT_THAT(ran.err, HasSubstr("n1: unreachable: "));
  EXPECT_THAT(ran.err, HasSubstr("no such host name"));
}

TEST_F(Transport, APeerThatSpeaksNoTls) {
  Peer peer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(Ask(peer.endpoint()).err, HasSubstr("n1: not-a-node: "));
}

TEST_F(Transport, APeerThatClosesAtOnce) {
  Peer peer("");
  const Ran ran = Ask(peer.endpoint());
  EXPECT_THAT(ran.err, HasSubstr("n1: connection-closed: "));
}

TEST_F(Transport, APeerThatKnowsNoTls13) {
  // The alert "protocol version" of a server that speaks TLS 1.2 alone.
  Peer peer(std::string("\x15\x03\x03\x00\x02\x02\x46", 7));
  EXPECT_THAT(Ask(peer.endpoint()).err, HasSubstr("n1: tls-version: "));
}

TEST_F(Transport, AnotherNodeThanThePinnedOne) {
  StartNode();
  node_key_ = sign::PrivateKey::GenerateEd25519();
  EXPECT_THAT(Ask(endpoint()).err, HasSubstr("n1: fingerprint-mismatch: "));
}

TEST_F(Transport, ACertificateOfAnotherAuthority) {
  StartNode(true);
  const std::string right = lab_;
  lab_ = Path("other");
  ASSERT_EQ(Run({"init", lab_, "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  const Ran ran = Ask(endpoint());
  EXPECT_THAT(ran.err, HasSubstr("n1: connection-closed: "));
  EXPECT_THAT(ran.err, HasSubstr("another authority"));
}

TEST_F(Transport, ACertificateThatHasExpired) {
  StartNode(true);
  const auto ca_key = sign::PrivateKey::FromPem(Read(lab_ + "/ca/ca.key"));
  ASSERT_TRUE(ca_key.ok()) << ca_key.status();
  const auto own_key = sign::PrivateKey::FromPem(Read(lab_ + "/ca/admin.key"));
  ASSERT_TRUE(own_key.ok()) << own_key.status();
  const auto expired = sign::Issue({.common_name = "late",
                                    .organizations = {"basalt:admin"},
                                    .client_auth = true,
                                    .not_before = absl::Now() - absl::Hours(48),
                                    .not_after = absl::Now() - absl::Hours(24)},
                                   own_key->public_key(), Read(lab_ + "/ca/ca.crt"), *ca_key);
  ASSERT_TRUE(expired.ok()) << expired.status();
  Write(lab_ + "/ca/admin.crt", *expired);
  EXPECT_THAT(Ask(endpoint()).err, HasSubstr("n1: certificate-expired: "));
}

}  // namespace
}  // namespace basalt::client
