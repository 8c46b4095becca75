#include "server/unlock/orders.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/unlock/board.h"
#include "server/unlock/layout.h"
#include "server/unlock/volume.h"

namespace basalt::unlock {
namespace {

constexpr size_t kSaltSize = 32;
constexpr size_t kSecretSize = 32;

Kdf Fast() { return FastKdf(RandomText(kSaltSize)); }

std::string Field(const Token& token, const char* name) {
  auto it = token.fields.find(name);
  return it != token.fields.end() ? it->second : "";
}

std::string Unescaped(const Token& token, const char* name) {
  std::string bytes;
  return absl::Base64Unescape(Field(token, name), &bytes) ? bytes : "";
}

class Doer {
 public:
  Doer(const Parts& parts, const Order& order) : parts_(parts), order_(order) {}

  Status AddTpm(Volume* volume) {
    if (Status there = NeedTpm(); !there.ok()) return there;
    const SecretBytes secret = RandomSecret(kSecretSize);
    auto sealed = tpm_->Seal(secret, parts_.authority);
    if (!sealed.ok()) return sealed.status();
    // A TPM that does not give back what it was given is found out while there is nothing to lose.
    auto again = tpm_->Unseal(*sealed, parts_.authority);
    if (!again.ok()) return again.status();
    if (again->view() != secret.view()) {
      return UnavailableError("the TPM gives back another key than it was given");
    }
    Token token{.type = kTpm2Token};
    token.fields = {{"public", absl::Base64Escape(sealed->public_part)},
                    {"private", absl::Base64Escape(sealed->private_part)},
                    {"parent", absl::Base64Escape(sealed->parent_name)},
                    {"pcr7", absl::BytesToHexString(sealed->pcr7)},
                    {"pcrs", kPcrs}};
    if (!sealed->public_key.empty()) {
      token.fields["signed-pcrs"] = kSignedPcrs;
      token.fields["public-key"] = sealed->public_key;
    }
    return AddKey(parts_.blocks, token, Fast(), secret.view(), volume);
  }

  Status AddNode(Volume* volume) {
    auto id = ReadBoardId(parts_.board_root, "");
    if (!id.ok()) return id.status();
    const std::string salt = RandomText(kSaltSize);
    const SecretBytes key = BoardKey(*id, salt);
    const Token token{.type = kNodeToken,
                      .fields = {{"board", id->kind}, {"salt", absl::Base64Escape(salt)}}};
    return AddKey(parts_.blocks, token, Fast(), key.view(), volume);
  }

  Status AddState(Volume* volume) {
    if (order_.state_key == nullptr) return InvalidArgumentError("no state key is given");
    return AddKey(parts_.blocks, Token{.type = kStateToken}, Fast(), order_.state_key->view(),
                  volume);
  }

  Status AddPassphrase(Volume* volume) {
    if (order_.passphrase == nullptr) return InvalidArgumentError("no passphrase is given");
    return AddKey(parts_.blocks, Token{.type = kPassphraseToken},
                  SlowKdf(RandomText(kSaltSize), parts_.memory_total), order_.passphrase->view(),
                  volume);
  }

  Status OpenTpm(Volume* volume) {
    const int number = volume->header.TokenOf(kTpm2Token);
    if (number < 0) return NotFoundError("");
    if (Status there = NeedTpm(); !there.ok()) {
      return IsNotFound(there) ? PermissionDeniedError(there.message()) : there;
    }
    const Token& token = volume->header.tokens.at(number);
    const Sealed sealed = {.public_part = Unescaped(token, "public"),
                           .private_part = Unescaped(token, "private"),
                           .parent_name = Unescaped(token, "parent"),
                           .pcr7 = absl::HexStringToBytes(Hex(Field(token, "pcr7"))),
                           .public_key = Field(token, "public-key")};
    auto secret = tpm_->Unseal(sealed, parts_.authority);
    if (!secret.ok()) return secret.status();
    return OpenWith(parts_.blocks, kTpm2Token, secret->view(), volume);
  }

  Status OpenNode(Volume* volume) {
    const int number = volume->header.TokenOf(kNodeToken);
    if (number < 0) return NotFoundError("");
    const Token& token = volume->header.tokens.at(number);
    auto id = ReadBoardId(parts_.board_root, Field(token, "board"));
    if (!id.ok()) return PermissionDeniedError(id.status().message());
    const SecretBytes key = BoardKey(*id, Unescaped(token, "salt"));
    Status status = OpenWith(parts_.blocks, kNodeToken, key.view(), volume);
    return IsPermissionDenied(status)
               ? PermissionDeniedError("this is not the board that it was made on")
               : status;
  }

  Status OpenState(Volume* volume) {
    if (order_.state_key == nullptr) return NotFoundError("");
    return OpenWith(parts_.blocks, kStateToken, order_.state_key->view(), volume);
  }

  Status OpenPassphrase(Volume* volume) {
    if (order_.passphrase == nullptr) return NotFoundError("");
    return OpenWith(parts_.blocks, kPassphraseToken, order_.passphrase->view(), volume);
  }

  Status Map(const Volume& volume) {
    const Header& header = volume.header;
    return parts_.mapper.Map({.name = order_.name,
                              .device = order_.device,
                              .uuid = header.uuid,
                              .offset = header.data_offset,
                              .size = parts_.blocks.size() - header.data_offset,
                              .sector = header.sector,
                              .discards = header.discards},
                             volume.key);
  }

 private:
  Status NeedTpm() {
    if (tpm_ != nullptr) return OkStatus();
    auto tpm = parts_.tpm();
    if (tpm.ok()) tpm_ = *std::move(tpm);
    return tpm.status();
  }
  // HexStringToBytes takes anything.
  static std::string Hex(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos
               ? text
               : "";
  }

  const Parts& parts_;
  const Order& order_;
  std::unique_ptr<Tpm> tpm_;
};

}  // namespace

Status Format(const Parts& parts, const Order& order) {
  Doer doer(parts, order);
  // One that an earlier try left has another key: what is written through it nobody reads again.
  Status status = parts.mapper.Unmap(order.name);
  if (!status.ok() && !IsNotFound(status)) return status;
  status = OkStatus();
  auto volume = NewVolume(parts.blocks, order.name);
  if (!volume.ok()) return volume.status();
  switch (order.key) {
    case KeyKind::kTpm2:
      status = doer.AddTpm(&*volume);
      break;
    case KeyKind::kNode:
      status = doer.AddNode(&*volume);
      break;
    case KeyKind::kState:
    case KeyKind::kPassphrase:
      break;
  }
  const bool needs_state = order.key == KeyKind::kState || order.key == KeyKind::kPassphrase;
  if (status.ok() && (needs_state || order.state_key != nullptr)) status = doer.AddState(&*volume);
  if (status.ok() && (order.key == KeyKind::kPassphrase || order.passphrase != nullptr)) {
    status = doer.AddPassphrase(&*volume);
  }
  if (status.ok()) status = doer.Map(*volume);
  return status;
}

Status Open(const Parts& parts, const Order& order, std::string* renewed) {
  Doer doer(parts, order);
  auto volume = ReadVolume(parts.blocks);
  if (!volume.ok()) return volume.status();
  // Which keys were tried and did not fit.
  std::string why;
  auto failed = [&](const char* what, const Status& status) {
    if (!status.message().empty()) {
      absl::StrAppend(&why, why.empty() ? "" : "; ", what, ": ", status.message());
    }
  };
  const Status by_state = doer.OpenState(&*volume);
  bool open = by_state.ok();
  if (!open) failed("state key", by_state);
  const bool has_tpm = volume->header.TokenOf(kTpm2Token) >= 0;
  Status by_tpm;
  if (has_tpm && (!open || order.check_keys)) {
    by_tpm = doer.OpenTpm(&*volume);
    if (!by_tpm.ok()) failed("TPM", by_tpm);
    open = open || by_tpm.ok();
  }
  Status by_node;
  const bool has_node = volume->header.TokenOf(kNodeToken) >= 0;
  if (has_node && !open) {
    by_node = doer.OpenNode(&*volume);
    if (!by_node.ok()) failed("board", by_node);
    open = by_node.ok();
  }
  if (!open) {
    const Status by_person = doer.OpenPassphrase(&*volume);
    if (!by_person.ok()) failed("passphrase", by_person);
    open = by_person.ok();
  }
  if (!open) {
    return PermissionDeniedError(why.empty() ? "there is no key that opens it here" : why);
  }
  Status mapped = doer.Map(*volume);
  if (!mapped.ok() && !IsAlreadyExists(mapped)) return mapped;
  // What should have opened it. Ignoring what fails: it is open, and the next boot tries again.
  auto renew = [&](const char* what, const Status& status) {
    absl::StrAppend(renewed, renewed->empty() ? "" : ", ", what,
                    status.ok() ? "" : absl::StrCat(" (not: ", status.message(), ")"));
  };
  if (has_tpm && IsPermissionDenied(by_tpm)) renew("tpm2", doer.AddTpm(&*volume));
  if (has_node && IsPermissionDenied(by_node)) renew("node", doer.AddNode(&*volume));
  if (order.state_key != nullptr && !by_state.ok()) renew("state", doer.AddState(&*volume));
  return OkStatus();
}

Status ChangePassphrase(const Parts& parts, const Order& order) {
  Doer doer(parts, order);
  auto volume = ReadVolume(parts.blocks);
  if (!volume.ok()) return volume.status();
  Status opened = doer.OpenState(&*volume);
  if (!opened.ok()) {
    const Status by_node = doer.OpenNode(&*volume);
    if (by_node.ok() || !by_node.message().empty()) opened = by_node;
  }
  if (!opened.ok()) {
    return PermissionDeniedError(absl::StrCat(
        "no key at hand opens it", opened.message().empty() ? "" : ": ", opened.message()));
  }
  return order.passphrase == nullptr || order.passphrase->size() == 0
             ? RemoveKey(parts.blocks, kPassphraseToken, &*volume)
             : doer.AddPassphrase(&*volume);
}

}  // namespace basalt::unlock
