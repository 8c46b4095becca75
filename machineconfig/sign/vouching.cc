#include "machineconfig/sign/vouching.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/seal/keys.h"

namespace basalt::sign {
namespace {

std::string Statement(absl::string_view machine_id, absl::string_view recipient) {
  return absl::StrCat("basalt-recipient/v1 ", machine_id, " ", recipient, "\n");
}

absl::Status Refuse(absl::string_view why) {
  return api::Coded(absl::StatusCode::kPermissionDenied, "bad-vouching",
                    absl::StrCat("nothing proves whose the recipient is: ", why),
                    "no secret was sealed to it; is this the node that you pinned?");
}

}  // namespace

v1::VouchedRecipient VouchForRecipient(const PrivateKey& identity, absl::string_view recipient) {
  v1::VouchedRecipient out;
  out.set_recipient(std::string(recipient));
  out.set_identity_key(identity.public_key().spki_der());
  out.set_signature(identity.Sign(Statement(identity.public_key().id().Hex(), recipient)));
  return out;
}

absl::StatusOr<std::string> CheckVouching(const v1::VouchedRecipient& vouched,
                                          absl::string_view machine_id) {
  absl::StatusOr<PublicKey> key = PublicKey::FromSpkiDer(vouched.identity_key());
  if (!key.ok()) return Refuse(key.status().message());
  if (key->algorithm() != Algorithm::kEd25519) return Refuse("an identity key is an Ed25519 key");
  if (key->id().Hex() != machine_id) {
    return Refuse(absl::StrCat("it comes with the key of machine ", key->id().Hex(), ", not of ",
                               machine_id));
  }
  // Strictly read: one recipient has one text, and that text is what was signed.
  absl::StatusOr<seal::Recipient> recipient = seal::Recipient::Parse(vouched.recipient());
  if (!recipient.ok()) return Refuse(recipient.status().message());
  if (recipient->Text() != vouched.recipient()) return Refuse("it is not in its one form");
  if (!key->Verify(Statement(machine_id, vouched.recipient()), vouched.signature())) {
    return Refuse("the signature of the identity key does not fit");
  }
  return vouched.recipient();
}

}  // namespace basalt::sign
