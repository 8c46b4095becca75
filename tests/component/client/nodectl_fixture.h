// The real nodectl, an owner's directory made by `nodectl init`, and a node behind the real API
// server.
#pragma once

#include <gtest/gtest.h>
#include <openssl/rand.h>
#include <sys/types.h>

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machineconfig/seal/keys.h"
#include "machineconfig/sign/keys.h"
#include "server/rpc/server.h"
#include "tests/support/node_api/fake_node_api.h"

namespace basalt::client {

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
  std::string both() const { return out + err; }
};

class NodectlFixture : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs to its end. No terminal, no passphrase, NODECTL_CONTEXT of the fixture.
  Ran Run(const std::vector<std::string>& words,
          const std::map<std::string, std::string>& environment = {});
  std::future<Ran> RunAsync(const std::vector<std::string>& words);

  // The node listens; with `configured` it wants certificates of the owner's authority.
  void StartNode(bool configured = false);
  std::string endpoint() const { return server_->endpoints().at(0); }
  std::string fingerprint() const { return node_key_.public_key().id().Hex(); }
  void PinNode();
  // n1 as a node that is known and does not answer.
  Ran PinAway();
  // A complete config for n1 in the directory; its secrets are sealed to the owner, or `plain`.
  std::string WriteConfig(const std::string& file = "n1.yaml", bool plain = false);

  std::string Path(const std::string& file) const { return directory_ + "/" + file; }
  static std::string Read(const std::string& path);
  static void Write(const std::string& path, const std::string& text);

  std::string input_ = "/dev/null";  // the file that nodectl reads as standard input
  std::atomic<pid_t> last_pid_{0};   // of the nodectl that was started last
  std::string directory_;
  std::string lab_;
  testing::FakeNodeApi api_;
  sign::PrivateKey node_key_ = sign::PrivateKey::GenerateEd25519();
  // Secrets for the node are sealed to it; what it is sent is opened with it.
  seal::Identity sealing_ = seal::Identity::Generate([](uint8_t* out, size_t size) {
                              return RAND_bytes(out, static_cast<int>(size)) == 1;
                            }).value();
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace basalt::client
