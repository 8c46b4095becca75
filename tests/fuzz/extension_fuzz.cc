// What a node reads of extensions that others wrote: manifests, and what the kernel says of mounts.
// The first byte chooses. A manifest that is taken names no file outside /usr and never passes as
// an image.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "machineconfig/sign/extension_manifest.h"
#include "server/controllers/extensions/decide.h"
#include "server/host/extension_mounts.h"

namespace {

void Must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0) {
    const auto manifest = basalt::sign::ParseExtensionManifest(bytes);
    if (!manifest.ok()) return 0;
    Must(!basalt::sign::ParseImageManifest(bytes).ok());
    Must(manifest->root.size() > 65 &&
         manifest->modules.empty() == manifest->kernel_release.empty());
    for (const auto& [file, what] : manifest->files) {
      Must(file.rfind("/usr/", 0) == 0 && file.find("/../") == std::string::npos);
    }
    Must(basalt::extensions::CheckConflicts({&*manifest}).ok() || manifest->files.size() > 1);
    const std::string id =
        basalt::host::ExtensionId(basalt::extensions::SourceOf(*manifest, "/file"));
    Must(id.find('/') == std::string::npos && id.find(':') == std::string::npos);
  } else {
    for (const auto& one : basalt::host::ParseExtensionMounts(bytes)) {
      Must(!one.id.empty() && one.id.find('/') == std::string::npos && one.id != "base");
    }
  }
  return 0;
}
