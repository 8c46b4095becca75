#include "tests/bench/lab.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "machineconfig/sign/document.h"
#include "tests/bench/measure.h"

namespace basalt::bench {

namespace fs = std::filesystem;

Lab::Lab(const std::string& bin)
    : bin_(bin), dir_(fs::temp_directory_path() / absl::StrCat("basalt-bench-", getpid())) {
  fs::create_directories(dir_);
  if (Run({bin_ + "/nodectl", "init", dir_ + "/lab", "--cluster", "home", "--no-passphrase"}) != 0)
    Die("nodectl init failed");
  auto key = sign::PrivateKey::FromPem(Slurp(dir_ + "/lab/keys/config.key"));
  if (!key.ok()) Die(key.status().ToString());
  key_ = std::make_unique<sign::PrivateKey>(*std::move(key));
}
Lab::~Lab() {
  if (init_ > 0) {
    kill(init_, SIGTERM);
    waitpid(init_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

absl::Duration Lab::Start() {
  absl::Time start = absl::Now();
  init_ = Spawn({bin_ + "/noded", "serve", "--platform", "sandbox", "--root", node(), "--listen",
                 "127.0.0.1:0", "--trust", dir_ + "/lab/trust.json"},
                dir_ + "/log");
  while (!fs::exists(node() + "/run/endpoint")) {
    if (absl::Now() - start > absl::Seconds(20))
      Die(absl::StrCat("noded does not start:\n", Slurp(dir_ + "/log")));
    usleep(500);
  }
  absl::Duration listening = absl::Now() - start;
  client_ = Connect(false);
  return listening;
}
std::unique_ptr<client::NodeClient> Lab::Connect(bool with_certificate) {
  client::Dial dial{.name = "n1",
                    .endpoint = Line(node() + "/run/endpoint"),
                    .fingerprint = Line(node() + "/run/fingerprint"),
                    .cluster = "home"};
  if (with_certificate) {
    dial.certificate_pem = Slurp(dir_ + "/lab/ca/admin.crt");
    dial.key_pem = Slurp(dir_ + "/lab/ca/admin.key");
  }
  auto client = basalt::client::Connect(dial);
  if (!client.ok()) Die(client.status().ToString());
  return *std::move(client);
}

v1::ApplyRequest Lab::Document(int64_t n) {
  std::string ca = absl::StrReplaceAll(Slurp(dir_ + "/lab/ca/ca.crt"), {{"\n", "\n      "}});
  std::string yaml = absl::StrCat(
      "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata:\n  cluster: home\n  name: n1\n  "
      "epoch: 1\n  generation: ",
      n, "\n  signedAt: ", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone()),
      "\n  labels: {run: \"r", n, "\"}\ntarget:\n  machineId: ", Line(node() + "/run/fingerprint"),
      "\napi:\n  clientCas:\n  - name: owner\n    roles: [admin]\n    certificate: |\n      ", ca,
      "\n");
  v1::ApplyRequest request;
  *request.mutable_document() = sign::Sign(v1::DOCUMENT_TYPE_MACHINE_CONFIG, yaml, {key_.get()});
  return request;
}
void Lab::Apply(const v1::ApplyRequest& request) {
  v1::ApplyEvent last;
  absl::Status status =
      client_->Apply(request, absl::Now() + absl::Seconds(60), [&](const v1::ApplyEvent& event) {
        if (!event.return_token().empty())
          Connect(true)->Return(event.return_token()).IgnoreError();
        last = event;
        return true;
      });
  if (!status.ok()) Die(absl::StrCat("apply: ", status.ToString()));
  if (last.state() != v1::APPLY_STATE_COMMITTED && !last.unchanged())
    Die(absl::StrCat("apply ended as ", last.ShortDebugString()));
}
std::string Lab::pid() const { return Line(node() + "/run/noded.pid"); }

}  // namespace basalt::bench
