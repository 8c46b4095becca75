#include "machineconfig/sign/sshsig.h"

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/ssh_wire.h"

namespace basalt::sign {
namespace {

constexpr absl::string_view kMagic = "SSHSIG";
constexpr uint32_t kVersion = 1;
constexpr absl::string_view kHash = "sha512";  // of what we sign
constexpr absl::string_view kEd25519 = "ssh-ed25519";
constexpr absl::string_view kP256 = "ecdsa-sha2-nistp256";
constexpr absl::string_view kSkEd25519 = "sk-ssh-ed25519@openssh.com";
constexpr absl::string_view kSkP256 = "sk-ecdsa-sha2-nistp256@openssh.com";
constexpr absl::string_view kCurve = "nistp256";
constexpr absl::string_view kBegin = "-----BEGIN SSH SIGNATURE-----";
constexpr absl::string_view kEnd = "-----END SSH SIGNATURE-----";
constexpr size_t kMaxLine = 76;

absl::Status Bad(absl::string_view what) {
  return api::Coded(absl::StatusCode::kPermissionDenied, "bad-signature",
                    absl::StrCat("not an SSH signature: ", what),
                    "sign again: ssh-keygen -Y sign -n basalt-TYPE@v1 -f KEY FILE");
}

absl::Status Unknown(absl::string_view what) {
  return api::Coded(
      absl::StatusCode::kInvalidArgument, "unknown-scheme",
      absl::StrCat("an SSH signature ", what,
                   " is not known to this version; it knows those of ssh-ed25519 and "
                   "ecdsa-sha2-nistp256 keys, and of the same two on security keys "
                   "(sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com)"),
      "sign with a key of one of those types");
}

std::string Shown(absl::string_view text) { return absl::CHexEscape(text.substr(0, 64)); }

std::string Hash(absl::string_view name, absl::string_view message) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const EVP_MD* md = name == "sha256" ? EVP_sha256() : EVP_sha512();
  if (EVP_Digest(message.data(), message.size(), out, &size, md, nullptr) != 1) std::abort();
  return std::string(reinterpret_cast<char*>(out), size);
}

std::string ToBeSigned(absl::string_view name_space, absl::string_view hash,
                       absl::string_view message) {
  std::string out(kMagic);
  PutString(&out, name_space);
  PutString(&out, "");
  PutString(&out, hash);
  PutString(&out, Hash(hash, message));
  return out;
}

// A positive number of at most 256 bits in the one form of RFC 4251: no needless zero in front.
BnPtr TakeNumber(absl::string_view* in) {
  absl::string_view bytes;
  if (!TakeString(in, &bytes) || bytes.empty() || bytes.size() > 33) return nullptr;
  if ((bytes[0] & 0x80) != 0) return nullptr;
  if (bytes[0] == 0 && (bytes.size() == 1 || (bytes[1] & 0x80) == 0)) return nullptr;
  return BnPtr(BN_bin2bn(Bytes(bytes), static_cast<int>(bytes.size()), nullptr));
}

void PutNumber(std::string* out, const BIGNUM* number) {
  std::string bytes(static_cast<size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  if (!bytes.empty() && (bytes[0] & 0x80) != 0) bytes.insert(bytes.begin(), '\0');
  PutString(out, bytes);
}

// r and s as SSH writes them (RFC 5656 section 3.1.2) to the DER that OpenSSL takes.
std::string DerOfNumbers(absl::string_view blob) {
  BnPtr r = TakeNumber(&blob);
  BnPtr s = r ? TakeNumber(&blob) : nullptr;
  if (!s || !blob.empty()) return "";
  EcdsaSigPtr both(ECDSA_SIG_new());
  if (!both || ECDSA_SIG_set0(both.get(), r.get(), s.get()) != 1) std::abort();
  static_cast<void>(r.release());  // set0: they belong to `both` now
  static_cast<void>(s.release());
  std::string der(static_cast<size_t>(i2d_ECDSA_SIG(both.get(), nullptr)), '\0');
  unsigned char* p = reinterpret_cast<unsigned char*>(der.data());
  i2d_ECDSA_SIG(both.get(), &p);
  return der;
}

std::string NumbersOfDer(absl::string_view der) {
  const unsigned char* p = Bytes(der);
  EcdsaSigPtr both(d2i_ECDSA_SIG(nullptr, &p, static_cast<long>(der.size())));
  if (!both) std::abort();
  std::string out;
  PutNumber(&out, ECDSA_SIG_get0_r(both.get()));
  PutNumber(&out, ECDSA_SIG_get0_s(both.get()));
  return out;
}

absl::string_view TypeName(Algorithm algorithm, absl::string_view application) {
  if (!application.empty()) return algorithm == Algorithm::kEd25519 ? kSkEd25519 : kSkP256;
  return algorithm == Algorithm::kEd25519 ? kEd25519 : kP256;
}

absl::Status ParseKey(absl::string_view blob, SshSignature& out) {
  absl::string_view type, curve, key, application;
  if (!TakeString(&blob, &type)) return Bad("its public key is cut off");
  const bool security_key = type == kSkEd25519 || type == kSkP256;
  if (type == kP256 || type == kSkP256) {
    out.algorithm = Algorithm::kEcdsaP256;
    if (!TakeString(&blob, &curve) || curve != kCurve) {
      return Bad("its public key is on another curve than its type says");
    }
  } else if (type != kEd25519 && type != kSkEd25519) {
    return Unknown(absl::StrCat("by a key of type `", Shown(type), "`"));
  }
  // Whether it is a good point was decided when the policy was read: only a key of the policy, byte
  // for byte, is believed.
  const size_t size = out.algorithm == Algorithm::kEd25519 ? 32 : 65;
  if (!TakeString(&blob, &key) || key.size() != size ||
      (security_key && (!TakeString(&blob, &application) || application.empty())) ||
      !blob.empty()) {
    return Bad("its public key has a wrong length");
  }
  out.key_raw = std::string(key);
  out.application = std::string(application);
  return absl::OkStatus();
}

// What a security key adds: a byte of flags and a counter (PROTOCOL.u2f).
absl::Status TakeTouch(absl::string_view* in, SshSignature& out) {
  // Flags that announce further data, of which there is none in this form.
  constexpr uint8_t kAttested = 0x40, kExtended = 0x80;
  if (in->size() != 5) return Bad("the signature of a security key ends in flags and a counter");
  out.flags = static_cast<uint8_t>((*in)[0]);
  in->remove_prefix(1);
  TakeUint32(in, &out.counter);
  if ((out.flags & (kAttested | kExtended)) != 0) {
    return Bad("its flags speak of data that is not there");
  }
  if ((out.flags & kUserPresent) != 0) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kPermissionDenied, "bad-signature",
                    "the security key signed without being touched",
                    "a key made with -O no-touch-required signs for whoever reaches the machine: "
                    "make one without, ssh-keygen -t ed25519-sk");
}

absl::Status ParseInner(absl::string_view blob, SshSignature& out) {
  absl::string_view type, value;
  if (!TakeString(&blob, &type) || !TakeString(&blob, &value) ||
      (out.application.empty() && !blob.empty())) {
    return Bad("the signature inside is cut off or has bytes behind its end");
  }
  if (type != TypeName(out.algorithm, out.application)) {
    return Bad(absl::StrCat("it says `", Shown(type), "`, and its key is of type ",
                            TypeName(out.algorithm, out.application)));
  }
  if (!out.application.empty()) {
    if (absl::Status s = TakeTouch(&blob, out); !s.ok()) return s;
  }
  if (out.algorithm == Algorithm::kEd25519) {
    if (value.size() != 64) return Bad("an Ed25519 signature has 64 bytes");
    out.signature = std::string(value);
  } else {
    out.signature = DerOfNumbers(value);
    if (out.signature.empty()) return Bad("its two numbers are not in their one form");
  }
  return absl::OkStatus();
}

}  // namespace

std::string SshNamespace(v1::DocumentType type) {
  return absl::StrCat("basalt-", TypeWord(type), "@v1");
}

absl::StatusOr<SshSignature> ParseSshSignature(absl::string_view blob) {
  if (blob.size() > kMaxSshSignature) {
    absl::string_view head = blob.substr(0, kMaxSshSignature);
    // RSA signatures are long, and deserve the better word.
    uint32_t size = 0;
    absl::string_view type;
    if (absl::ConsumePrefix(&head, kMagic) && TakeUint32(&head, &size) &&
        TakeUint32(&head, &size) && TakeString(&head, &type) && type == "ssh-rsa") {
      return Unknown("by a key of type `ssh-rsa`");
    }
    return Bad("it is longer than one can be");
  }
  uint32_t version = 0;
  absl::string_view key, name_space, reserved, hash, inner;
  if (!absl::ConsumePrefix(&blob, kMagic) || !TakeUint32(&blob, &version)) {
    return Bad("it does not begin with SSHSIG");
  }
  if (version != kVersion) return Unknown(absl::StrCat("of version ", version));
  if (!TakeString(&blob, &key) || !TakeString(&blob, &name_space) ||
      !TakeString(&blob, &reserved) || !TakeString(&blob, &hash) || !TakeString(&blob, &inner)) {
    return Bad("it is cut off");
  }
  if (!blob.empty()) return Bad("there are bytes behind its end");
  SshSignature out;
  if (absl::Status s = ParseKey(key, out); !s.ok()) return s;
  if (!reserved.empty()) return Unknown("with something in its reserved field");
  if (hash != "sha256" && hash != "sha512") {
    return Unknown(absl::StrCat("over a hash `", Shown(hash), "`"));
  }
  out.name_space = std::string(name_space);
  out.hash = std::string(hash);
  if (absl::Status s = ParseInner(inner, out); !s.ok()) return s;
  return out;
}

bool VerifySshSignature(const SshSignature& signature, const PublicKey& key,
                        absl::string_view message) {
  if (signature.algorithm != key.algorithm() || signature.key_raw != key.raw() ||
      signature.application != key.application()) {
    return false;
  }
  const std::string signed_bytes = ToBeSigned(signature.name_space, signature.hash, message);
  return key.application().empty() ? key.Verify(signed_bytes, signature.signature)
                                   : key.VerifyTouched(signed_bytes, signature.flags,
                                                       signature.counter, signature.signature);
}

absl::StatusOr<std::string> UnarmorSshSignature(absl::string_view text) {
  if (text.size() > 2 * kMaxSshSignature + 4096) return Bad("the text is longer than one can be");
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  // The last line may be without its end; of a file of Windows every line ends in two characters.
  if (lines.back().empty()) lines.pop_back();
  std::string base64;
  for (size_t i = 0; i < lines.size(); ++i) {
    absl::string_view line = absl::StripSuffix(lines[i], "\r");
    if (i == 0 || i + 1 == lines.size()) {
      if (line != (i == 0 ? kBegin : kEnd)) {
        return Bad(absl::StrCat("line ", i + 1, " is not `", i == 0 ? kBegin : kEnd, "`"));
      }
      continue;
    }
    if (line.empty() || line.size() > kMaxLine) {
      return Bad(absl::StrCat("line ", i + 1, " is empty or longer than ", kMaxLine));
    }
    absl::StrAppend(&base64, line);
  }
  if (base64.empty()) return Bad("the text has no lines between its first and its last");
  absl::StatusOr<std::string> blob = Base64DecodeStrict(base64);
  if (!blob.ok()) return Bad("what stands between its first and its last line is not base64");
  return blob;
}

std::string ArmorSshSignature(absl::string_view blob) {
  constexpr size_t kWidth = 70;
  const std::string base64 = Base64Encode(blob);
  std::string out = absl::StrCat(kBegin, "\n");
  for (size_t i = 0; i < base64.size(); i += kWidth) {
    absl::StrAppend(&out, base64.substr(i, kWidth), "\n");
  }
  return absl::StrCat(out, kEnd, "\n");
}

std::string SshKeyBlob(Algorithm algorithm, absl::string_view raw, absl::string_view application) {
  std::string out;
  PutString(&out, TypeName(algorithm, application));
  if (algorithm == Algorithm::kEcdsaP256) PutString(&out, kCurve);
  PutString(&out, raw);
  if (!application.empty()) PutString(&out, application);
  return out;
}

std::string SshFingerprint(Algorithm algorithm, absl::string_view raw,
                           absl::string_view application) {
  const Digest digest = Sha256(SshKeyBlob(algorithm, raw, application));
  std::string base64 = Base64Encode(
      absl::string_view(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()));
  return absl::StrCat("SHA256:", absl::StripSuffix(base64, "="));
}

std::string SshKeyLine(Algorithm algorithm, absl::string_view raw, absl::string_view application) {
  return absl::StrCat(TypeName(algorithm, application), " ",
                      Base64Encode(SshKeyBlob(algorithm, raw, application)));
}

std::string PublicKeyText(const PublicKey& key) {
  if (key.application().empty()) return key.Pem();
  return SshKeyLine(key.algorithm(), key.raw(), key.application());
}

std::string SshToBeSigned(v1::DocumentType type, absl::string_view message) {
  return ToBeSigned(SshNamespace(type), kHash, message);
}

std::string SshSignatureOf(absl::string_view key_blob, v1::DocumentType type,
                           absl::string_view answer) {
  std::string out(kMagic);
  PutUint32(&out, kVersion);
  PutString(&out, key_blob);
  PutString(&out, SshNamespace(type));
  PutString(&out, "");
  PutString(&out, kHash);
  PutString(&out, answer);
  return out;
}

std::string MakeSshSignature(const PrivateKey& key, v1::DocumentType type,
                             absl::string_view message) {
  const PublicKey& half = key.public_key();
  std::string value = key.Sign(SshToBeSigned(type, message));
  if (half.algorithm() == Algorithm::kEcdsaP256) value = NumbersOfDer(value);
  std::string answer;
  PutString(&answer, TypeName(half.algorithm(), ""));
  PutString(&answer, value);
  return SshSignatureOf(SshKeyBlob(half.algorithm(), half.raw()), type, answer);
}

}  // namespace basalt::sign
