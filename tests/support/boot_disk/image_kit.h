// Images of a few kilobytes that are made as real ones are: a slot with a superblock, a kernel
// image with its sections, a manifest that tells of both. Pure.
#pragma once

#include <string>

#include "machineconfig/sign/document.h"
#include "machineconfig/sign/efi_signature.h"
#include "machineconfig/sign/keys.h"

namespace basalt::testing {

struct KitImage {
  std::string version;
  std::string root;    // HEX64:BLOCKS
  std::string slot;    // bytes
  std::string kernel;  // bytes
  std::string manifest;
};

struct KitOptions {
  std::string version = "1.0.0";
  int epoch = 1;
  std::string architecture = "amd64";
  std::string profile = "vm-amd64";
  size_t kernel_size = 3 << 10;
  const sign::EfiSigner* signer = nullptr;  // of the kernel image, for Secure Boot
  std::string pcr11;                        // that the manifest predicts
};
// Two images of one version and different `seed` are different images.
KitImage MakeKitImage(const KitOptions& options, int seed = 0);

// The manifest that tells of this slot and kernel.
std::string KitManifest(const KitOptions& options, const std::string& root, const std::string& slot,
                        const std::string& kernel);

}  // namespace basalt::testing
