// A node of its own below a temporary directory, and an owner who signs for it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "basalt/v1/node_service.pb.h"
#include "client/fleet/node_client.h"
#include "machineconfig/sign/keys.h"

namespace basalt::bench {

class Lab {
 public:
  explicit Lab(const std::string& bin);  // directory of the programs
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  // How long from exec until the node listens.
  absl::Duration Start();
  std::unique_ptr<client::NodeClient> Connect(bool with_certificate);
  void UseCertificate() { client_ = Connect(true); }

  // A complete config of this generation that differs from others in a label.
  v1::ApplyRequest Document(int64_t generation);
  void Apply(const v1::ApplyRequest& request);

  client::NodeClient& client() { return *client_; }
  std::string node() const { return dir_ + "/n1"; }
  std::string pid() const;
  pid_t init() const { return init_; }
  const std::string& bin() const { return bin_; }
  const std::string& dir() const { return dir_; }

 private:
  std::string bin_;
  std::string dir_;
  std::unique_ptr<sign::PrivateKey> key_;
  std::unique_ptr<client::NodeClient> client_;
  pid_t init_ = -1;
};

}  // namespace basalt::bench
