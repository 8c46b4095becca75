// The root of an image as a container: an OCI image that podman and docker load, and an OCI bundle
// that crun and runc start. The same files but for kernel modules, which are the host's business
// there.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "images/builder/root.h"
#include "images/builder/tree.h"

namespace basalt::image {

struct OciOptions {
  std::string architecture;  // as OCI calls it, which is as Debian does
  ImageInfo info;
  bool trust = false;  // the bundle has a trust policy beside its config
};

// Without what only a machine needs. Pure.
Tree ContainerTree(const Tree& root);

// An OCI image layout as a tar archive, with docker's own manifest.json beside it. Pure; the same
// tree gives the same bytes. Reasons: bad-path.
absl::StatusOr<std::string> MakeOciArchive(const Tree& tree, const OciOptions& options);

// config.json of a bundle: root read-only, namespaces of its own, /dev of memory, `state` and
// `data` beside it as volumes. Pure.
std::string BundleConfig(const OciOptions& options);

// DIRECTORY/{config.json,rootfs,state,data}; what `state` and `data` hold stays. `trust`: text of a
// trust policy, "" for none. Reasons: io-failed.
absl::Status WriteBundle(const Tree& tree, const OciOptions& options, const std::string& trust,
                         const std::string& directory);

}  // namespace basalt::image
