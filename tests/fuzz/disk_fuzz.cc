// What disks and the kernel say of themselves, as noded reads it: pages of SCSI, names, mounts,
// swap; patterns of models in a config; the record of volumes. The first byte chooses.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/match.h"
#include "server/controllers/storage/selector.h"
#include "server/controllers/storage/volume_record.h"
#include "server/host/block_text.h"

namespace {

namespace host = basalt::host;
namespace storage = basalt::storage;

void Must(bool holds) {
  if (!holds) std::abort();
}

void MustBePlain(const std::string& text) {
  for (char c : text) Must(c >= ' ' && c <= '~');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] & 3) {
    case 0:
      MustBePlain(host::SerialOfPage80(rest));
      MustBePlain(host::ModelOfPage89(rest));
      break;
    case 1:
      for (const host::BlockMount& mount : host::ParseMounts(rest)) {
        Must(absl::StartsWith(mount.source, "/dev/"));
      }
      host::ParseSwaps(rest);
      break;
    case 2: {
      const storage::VolumeRecord record = storage::ParseRecord(rest);
      Must(storage::ParseRecord(storage::ToText(record)) == record);
      break;
    }
    default: {
      // As long as a config may have it.
      const size_t cut = std::min<size_t>(rest.size() / 2, 128);
      basalt::v1::DiskSelector selector;
      selector.set_model(rest.substr(0, cut));
      host::BlockDisk disk;
      disk.device = "/dev/sda";
      disk.model = rest.substr(cut, 128);
      const bool matches = storage::Matches(selector, disk);
      Must(matches || selector.model() != disk.model);
      host::DiskFacts facts{.name = "sda",
                            .vendor = "ATA",
                            .model = disk.model,
                            .serial = rest.substr(cut / 2),
                            .wwid = "naa." + rest.substr(0, 16)};
      for (const std::string& id : host::IdsOf(facts)) {
        if (absl::StartsWith(id, "ata-")) MustBePlain(id);
      }
    }
  }
  return 0;
}
