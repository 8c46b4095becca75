// What an upgrade reads that others wrote: names and heads of kernel images, superblocks,
// manifests, the record, image.json. The first byte chooses. What PID 1 reads of the same bytes
// must be the same: it is PID 1 who calls an entry good.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "machineconfig/sign/image_manifest.h"
#include "server/init/boot/entry_text.h"
#include "server/update/decide.h"
#include "server/update/entry_name.h"
#include "server/update/image_controller.h"
#include "server/update/kernel_image.h"
#include "server/update/record.h"

namespace {

namespace update = basalt::update;
namespace init = basalt::init;

void Must(bool holds) {
  if (!holds) std::abort();
}

void Names(const std::string& text) {
  const std::optional<update::EntryName> entry = update::ParseEntryName(text);
  if (entry) {
    Must(update::IsVersion(entry->version));
    Must(update::ParseEntryName(update::FormatEntryName(*entry)) == entry);
    init::EntryName its;
    Must(init::ParseEntryName(text.c_str(), &its));
    Must("noded_" + entry->version == its.stem && entry->counted == its.counted &&
         entry->left == its.left && entry->done == its.done);
  }
  const size_t middle = text.size() / 2;
  const std::string a = text.substr(0, middle), b = text.substr(middle);
  Must(update::CompareVersions(a, b) == -update::CompareVersions(b, a));
  Must(update::CompareVersions(a, a) == 0);
}

void Kernel(const std::string& bytes) {
  const update::ReadAt read = [&](uint64_t offset, size_t size) -> absl::StatusOr<std::string> {
    return offset < bytes.size() ? bytes.substr(offset, size) : std::string();
  };
  const absl::StatusOr<update::KernelImage> kernel = update::InspectKernel(read);
  if (!kernel.ok()) return;
  Must(update::ParseRootId(kernel->root.ToString()).ok() && update::IsVersion(kernel->version));
  // As noded-init looks for it before it renames an entry.
  const size_t head = bytes.size() < 4096 ? bytes.size() : 4096;
  init::Section section;
  Must(init::FindSection(bytes.data(), head, ".cmdline", &section));
  char root[init::kRootSize];
  Must(init::RootOfCommandLine(bytes.data() + section.offset, section.size, root));
  Must(kernel->root.ToString() == root);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 5) {
    case 0:
      Names(bytes);
      break;
    case 1:
      Kernel(bytes);
      break;
    case 2: {
      const update::RootId root{.hash = std::string(64, 'a'), .blocks = 2};
      if (update::IsSuperblockOf(bytes, root)) Must(bytes.size() >= update::kSuperblockSize);
      basalt::stored::ImageRecord record;
      if (update::DecodeImageRecord(bytes, &record)) {
        Must(update::DecodeImageRecord(update::EncodeImageRecord(record), &record));
      }
      break;
    }
    case 3: {
      const auto manifest = basalt::sign::ParseImageManifest(bytes);
      if (!manifest.ok()) break;
      Must(manifest->epoch > 0 && manifest->slot.size > 0 && manifest->kernel.size > 0);
      Must(manifest->slot.name.find('/') == std::string::npos &&
           manifest->kernel.name.find('/') == std::string::npos);
      Must(update::IsVersion(manifest->version));
      break;
    }
    case 4: {
      const auto image = update::ParseRunningImage(bytes);
      if (image.ok()) Must(!image->version.empty() && image->epoch >= 1);
      break;
    }
  }
  return 0;
}
