// Documents signed in the schemes that are not DSSE.
#pragma once

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/ssh_wire.h"
#include "machineconfig/sign/sshsig.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {

inline void AddSsh(v1::SignedDocument& document, const PrivateKey& key) {
  v1::Signature* made = document.add_signatures();
  made->set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
  const SignedPart part = WhatIsSigned(document);
  made->set_signature(MakeSshSignature(key, part.type, part.payload));
}

// The four lines as minisign writes them, each of them open to change.
struct MinisignParts {
  std::string untrusted = "signature from minisign secret key";
  std::string algorithm = "ED";
  std::string number = "12345678";
  std::string signature;
  std::string comment;
  std::string global;

  std::string Text() const {
    return absl::StrCat("untrusted comment: ", untrusted, "\n",
                        Base64Encode(absl::StrCat(algorithm, number, signature)),
                        "\ntrusted comment: ", comment, "\n", Base64Encode(global), "\n");
  }
};

inline MinisignParts MinisignOf(const PrivateKey& key, const std::string& comment,
                                absl::string_view payload) {
  MinisignParts out;
  out.comment = comment;
  out.signature = key.Sign(MinisignHash(payload));
  out.global = key.Sign(absl::StrCat(out.signature, comment));
  return out;
}

inline void AddMinisignText(v1::SignedDocument& document, const std::string& text) {
  v1::Signature* made = document.add_signatures();
  made->set_scheme(v1::SIGNATURE_SCHEME_MINISIGN);
  made->set_signature(text);
}

inline void AddMinisign(v1::SignedDocument& document, const PrivateKey& key) {
  const SignedPart part = WhatIsSigned(document);
  AddMinisignText(document, MinisignOf(key, MinisignComment(part.type), part.payload).Text());
}

// S of an Ed25519 signature plus the order of the group: verifies with a reader that does not look.
inline std::string WithOtherS(std::string signature) {
  constexpr unsigned char kOrder[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                        0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                        0,    0,    0,    0,    0,    0,    0,    0,
                                        0,    0,    0,    0,    0,    0,    0,    0x10};
  int carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    carry += static_cast<unsigned char>(signature[32 + i]) + kOrder[i];
    signature[32 + i] = static_cast<char>(carry);
    carry >>= 8;
  }
  return signature;
}

}  // namespace basalt::sign
