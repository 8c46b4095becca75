// Headers of age files from outside. What is read is written back byte for byte: there are no two
// headers of one meaning.
#include <cstdint>
#include <cstdlib>

#include "machineconfig/seal/age.h"
#include "machineconfig/seal/header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  // The identity of the published vectors, so that their stanzas are opened and not only read.
  static const std::vector<seal::Identity>* const identities = [] {
    auto* made = new std::vector<seal::Identity>();
    made->push_back(
        seal::Identity::Parse("AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLM"
                              "GR48UAWX40Q2P2LM0")
            .value());
    return made;
  }();
  const absl::string_view file(reinterpret_cast<const char*>(data), size);
  auto header = seal::ParseHeader(file);
  auto opened = seal::Decrypt(file, *identities);
  if (!header.ok()) {
    if (opened.ok()) std::abort();
    return 0;
  }
  if (header->mac.size() != 32 || header->size > size || header->authentic >= header->size) {
    std::abort();
  }
  if (seal::HeaderText(header->stanzas) != file.substr(0, header->authentic)) std::abort();
  return 0;
}
