#include "client/context/ssh_agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/ssh_wire.h"
#include "machineconfig/sign/sshsig.h"

namespace basalt::client {
namespace {

constexpr char kRequestIdentities = 11, kIdentities = 12, kSignRequest = 13, kSignResponse = 14;
constexpr uint32_t kMaxReply = 256 << 10;  // as ssh-agent has it
constexpr timeval kPatience = {.tv_sec = 300, .tv_usec = 0};

absl::Status NoAgent(absl::string_view what) {
  return api::Coded(absl::StatusCode::kUnavailable, "no-agent", absl::StrCat("ssh-agent: ", what),
                    "is it running, and is SSH_AUTH_SOCK its socket? ssh-add -l asks it");
}

struct AgentKey {
  std::string blob;
  std::string comment;
  std::string fingerprint;
  sign::PublicKey key;
};

class Agent {
 public:
  Agent() = default;
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  ~Agent() {
    if (fd_ >= 0) close(fd_);
  }

  absl::Status Connect() {
    const char* path = getenv("SSH_AUTH_SOCK");
    if (path == nullptr || *path == '\0') return NoAgent("SSH_AUTH_SOCK is not set");
    sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return NoAgent("SSH_AUTH_SOCK is too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      return NoAgent(absl::StrCat(path, ": ", strerror(errno)));
    }
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    return absl::OkStatus();
  }

  // What follows the type in an answer of type `expected`.
  absl::StatusOr<std::string> Ask(const std::string& request, char expected) {
    std::string out;
    sign::PutString(&out, request);
    for (absl::string_view rest = out; !rest.empty();) {
      ssize_t n = send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return NoAgent(strerror(errno));
      rest.remove_prefix(static_cast<size_t>(n));
    }
    absl::StatusOr<std::string> head = Receive(4);
    if (!head.ok()) return head.status();
    absl::string_view view = *head;
    uint32_t size = 0;
    sign::TakeUint32(&view, &size);
    if (size == 0 || size > kMaxReply) return NoAgent("its answer is not one");
    absl::StatusOr<std::string> body = Receive(size);
    if (!body.ok()) return body.status();
    if ((*body)[0] != expected) return NoAgent("it said no");
    return body->substr(1);
  }

 private:
  absl::StatusOr<std::string> Receive(size_t size) {
    std::string out(size, '\0');
    for (size_t have = 0; have < size;) {
      ssize_t n = recv(fd_, out.data() + have, size - have, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return NoAgent(strerror(errno));
      if (n == 0) return NoAgent("it hung up");
      have += static_cast<size_t>(n);
    }
    return out;
  }
  int fd_ = -1;
};

// Those of the kinds that can sign documents; the others are passed over.
absl::StatusOr<std::vector<AgentKey>> UsableKeys(Agent& agent) {
  absl::StatusOr<std::string> answer = agent.Ask(std::string(1, kRequestIdentities), kIdentities);
  if (!answer.ok()) return answer.status();
  absl::string_view in = *answer;
  uint32_t count = 0;
  if (!sign::TakeUint32(&in, &count)) return NoAgent("its answer is not one");
  std::vector<AgentKey> out;
  for (; count > 0; --count) {
    absl::string_view blob, comment, rest, type;
    if (!sign::TakeString(&in, &blob) || !sign::TakeString(&in, &comment)) {
      return NoAgent("its answer is cut off");
    }
    rest = blob;
    if (!sign::TakeString(&rest, &type)) continue;
    absl::StatusOr<sign::PublicKey> key =
        sign::PublicKey::Parse(absl::StrCat(type, " ", Base64Encode(blob)));
    if (!key.ok()) continue;  // ignoring: RSA, a certificate, another curve
    out.push_back(
        {.blob = std::string(blob),
         .comment = absl::CHexEscape(comment.substr(0, 64)),
         .fingerprint = sign::SshFingerprint(key->algorithm(), key->raw(), key->application()),
         .key = *std::move(key)});
  }
  return out;
}

absl::StatusOr<AgentKey> Choose(const std::vector<AgentKey>& keys, absl::string_view fingerprint) {
  for (const AgentKey& key : keys) {
    if (key.fingerprint == fingerprint || (fingerprint.empty() && keys.size() == 1)) return key;
  }
  const std::string known = absl::StrJoin(keys, ", ", [](std::string* s, const AgentKey& key) {
    absl::StrAppend(s, key.fingerprint, " (", key.comment, ")");
  });
  return api::Coded(
      absl::StatusCode::kNotFound, "no-such-key",
      keys.empty()
          ? "ssh-agent holds no key of type ssh-ed25519 or ecdsa-sha2-nistp256, nor one of "
            "those on a security key"
      : fingerprint.empty()
          ? absl::StrCat("ssh-agent holds several keys: ", known)
          : absl::StrCat("ssh-agent does not hold ", fingerprint, "; it has ", known),
      keys.empty() ? "ssh-add ~/.ssh/id_ed25519" : "--key ssh-agent:SHA256:... names one");
}

}  // namespace

absl::Status AddAgentSignature(absl::string_view fingerprint, v1::SignedDocument& document) {
  Agent agent;
  if (absl::Status s = agent.Connect(); !s.ok()) return s;
  absl::StatusOr<std::vector<AgentKey>> keys = UsableKeys(agent);
  if (!keys.ok()) return keys.status();
  absl::StatusOr<AgentKey> chosen = Choose(*keys, fingerprint);
  if (!chosen.ok()) return chosen.status();

  std::string request(1, kSignRequest);
  sign::PutString(&request, chosen->blob);
  sign::PutString(&request, sign::SshToBeSigned(document.type(), document.payload()));
  sign::PutUint32(&request, 0);
  absl::StatusOr<std::string> answer = agent.Ask(request, kSignResponse);
  if (!answer.ok()) return answer.status();
  absl::string_view in = *answer, signature;
  if (!sign::TakeString(&in, &signature) || !in.empty()) return NoAgent("its answer is cut off");

  const std::string blob = sign::SshSignatureOf(chosen->blob, document.type(), signature);
  absl::StatusOr<sign::SshSignature> parsed = sign::ParseSshSignature(blob);
  if (!parsed.ok() || !sign::VerifySshSignature(*parsed, chosen->key, document.payload())) {
    return NoAgent(absl::StrCat("what it wrote is no signature of ", chosen->fingerprint));
  }
  v1::Signature* made = document.add_signatures();
  made->set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
  made->set_signature(blob);
  return absl::OkStatus();
}

}  // namespace basalt::client
