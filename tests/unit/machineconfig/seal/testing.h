// Shared by the tests of machineconfig/seal.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "api/coded_status.h"
#include "machineconfig/seal/keys.h"

namespace basalt::seal {

// A generator whose bytes are known: `script` first, then a counter.
class Scripted {
 public:
  explicit Scripted(std::string script = "") : script_(std::move(script)) {}
  bool operator()(uint8_t* out, size_t size) const {
    for (size_t i = 0; i < size; ++i, ++at_) {
      out[i] = at_ < script_.size() ? static_cast<uint8_t>(script_[at_])
                                    : static_cast<uint8_t>(at_ * 31 + 7);
    }
    return true;
  }
  size_t drawn() const { return at_; }

 private:
  std::string script_;
  mutable size_t at_ = 0;  // a FunctionRef calls what is const
};

inline Identity MakeIdentity(char seed) {
  Scripted random(std::string(32, seed));
  return Identity::Generate(random).value();
}

inline std::string Hex(absl::string_view hex) { return absl::HexStringToBytes(hex); }

// The specification's own example.
inline constexpr absl::string_view kSpecIdentity =
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
inline constexpr absl::string_view kSpecRecipient =
    "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

}  // namespace basalt::seal
