#include "images/builder/pack.h"

#include "absl/strings/str_cat.h"
#include "images/builder/formats/gpt.h"

namespace basalt::image {

std::string VeritySalt() {
  const Digest salt = Sha256("basalt verity");
  return std::string(reinterpret_cast<const char*>(salt.bytes.data()), salt.bytes.size());
}

absl::StatusOr<VeritySlot> PackSlot(const Tools& tools, const std::string& directory,
                                    const std::string& label, const std::string& file) {
  Guid id = GuidOf(label);
  std::string hex =
      HexEncode(absl::string_view(reinterpret_cast<const char*>(id.data()), id.size()));
  std::string uuid = absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4),
                                  "-", hex.substr(16, 4), "-", hex.substr(20));
  // Clusters of 256 KiB take 0.45 MB less than those of 64 KiB; beyond that there is nothing to
  // gain. Level 12 takes another 0.09 MB for some seconds; a node reads it as fast.
  auto made = tools.Run({"mkfs.erofs", "--quiet", "-zlz4hc,12", "-C262144", "-Eztailpacking", "-U",
                         uuid, absl::StrCat("-T", absl::ToUnixSeconds(tools.time())), "--all-root",
                         file, directory});
  if (!made.ok()) return made.status();
  absl::StatusOr<std::string> bytes = ReadWhole(file);
  if (!bytes.ok()) return bytes.status();
  return AppendVerity(*std::move(bytes), VeritySalt());
}

}  // namespace basalt::image
