// A document of type `image` and kind Extension: an add-on of the image, and what it is.
// Image-builder writes it, nodectl and noded read it, once its signatures have passed. Another kind
// than Image, so that the grant for images covers it and neither can be taken for the other. Pure,
// thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "machineconfig/sign/image_manifest.h"

namespace basalt::sign {

struct ExtensionManifest {
  std::string name;          // "iscsi"
  std::string architecture;  // "amd64", "arm64"
  std::string version;
  absl::Time build_time;
  std::string kernel_release;  // that its modules are for; "" when it has none
  std::string root;            // "HEX64:BLOCKS" of the hash tree
  std::string salt;            // of the tree, lower hex
  ImageFile file;              // file system with its hash tree
  ImageFile sbom;
  std::vector<std::string> modules;  // names, in load order
  // All that it has but directories, "/usr/sbin/mount.nfs", with what it is: sha256 of a file in
  // hex, or "-> TARGET" of a link. Two extensions may have the same one.
  std::map<std::string, std::string> files;
  bool operator==(const ExtensionManifest&) const = default;
};

// Unknown fields are left alone. InvalidArgument "bad-manifest": not JSON, a field that is missing,
// there twice or of another type, a name that leaves its directory, a file outside /usr, modules
// without a kernel.
absl::StatusOr<ExtensionManifest> ParseExtensionManifest(absl::string_view payload);

}  // namespace basalt::sign
