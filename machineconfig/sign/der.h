// DER, written: the few forms that signatures and variables of firmware are made of. Written here
// and not by OpenSSL's PKCS#7, which puts the time of signing in: the same input and key give the
// same bytes. Private to machineconfig/sign.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace basalt::sign::der {

inline std::string Tagged(unsigned char tag, absl::string_view content) {
  std::string out(1, static_cast<char>(tag));
  const size_t size = content.size();
  if (size < 0x80) {
    out.push_back(static_cast<char>(size));
  } else {
    int bytes = 1;
    while (size >> (8 * bytes) != 0) ++bytes;
    out.push_back(static_cast<char>(0x80 | bytes));
    for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(size >> (8 * i)));
  }
  return absl::StrCat(out, content);
}

template <typename... Parts>
std::string Sequence(const Parts&... parts) {
  return Tagged(0x30, absl::StrCat(parts...));
}
template <typename... Parts>
std::string Set(const Parts&... parts) {  // of one element, or of some in the order of DER
  return Tagged(0x31, absl::StrCat(parts...));
}
inline std::string Octets(absl::string_view bytes) { return Tagged(0x04, bytes); }

template <size_t N>
std::string Literal(const char (&bytes)[N]) {
  return std::string(bytes, N - 1);
}
inline std::string Version1() { return Literal("\x02\x01\x01"); }
// AlgorithmIdentifiers, with NULL for parameters.
inline std::string Sha256Algorithm() {
  return Literal("\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00");
}
inline std::string RsaAlgorithm() {
  return Literal("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00");
}
// Object identifiers.
inline std::string Pkcs7Data() { return Literal("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"); }
inline std::string Pkcs7SignedData() {
  return Literal("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02");
}
inline std::string ContentTypeAttribute() {
  return Literal("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03");
}
inline std::string MessageDigestAttribute() {
  return Literal("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04");
}
inline std::string SpcIndirectData() {  // 1.3.6.1.4.1.311.2.1.4
  return Literal("\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04");
}
inline std::string SpcPeImageData() {  // 1.3.6.1.4.1.311.2.1.15
  return Literal("\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0f");
}

}  // namespace basalt::sign::der
