#include "machineconfig/merkle/hash.h"

#include "absl/strings/str_cat.h"

namespace basalt::merkle {
namespace {

absl::string_view View(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

Digest LeafHash(absl::string_view leaf) {
  Sha256Stream stream;
  stream.Update(absl::string_view("\0", 1));
  stream.Update(leaf);
  return stream.Finish();
}

Digest NodeHash(const Digest& left, const Digest& right) {
  return Sha256(absl::StrCat("\x01", View(left), View(right)));
}

Digest EmptyRoot() { return Sha256(""); }

}  // namespace basalt::merkle
