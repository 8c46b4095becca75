#include "server/host/verity_mapper.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace basalt::host {
namespace {

constexpr uint64_t kBlock = 4096, kSector = 512;

// What every request begins with, and room for one target with its line, which the kernel also
// answers into.
struct Request {
  dm_ioctl head;
  dm_target_spec target;
  char line[2048];
};

Request Make(const std::string& name, uint32_t flags = 0) {
  Request request = {};
  request.head.version[0] = DM_VERSION_MAJOR;  // the kernel takes any older minor version
  request.head.data_size = sizeof request;
  request.head.data_start = sizeof request.head;
  request.head.flags = flags;
  std::memcpy(request.head.name, name.data(), std::min(name.size(), sizeof request.head.name - 1));
  return request;
}

absl::Status FromErrno(int error, absl::string_view what, const std::string& name) {
  const std::string text =
      absl::StrCat("device-mapper: ", what, " ", name, ": ", std::strerror(error));
  return error == EBUSY ? absl::FailedPreconditionError(text) : absl::UnavailableError(text);
}

}  // namespace

std::string VerityLine(const VerityTable& table) {
  return absl::StrCat("1 ", table.device, " ", table.device, " 4096 4096 ", table.blocks, " ",
                      table.blocks + 1, " sha256 ", table.root_hash, " ", table.salt);
}

absl::StatusOr<VerityMapper> VerityMapper::Open() {
  UniqueFd control(open("/dev/mapper/control", O_RDWR | O_CLOEXEC));
  if (!control.valid()) {
    return absl::UnavailableError(
        absl::StrCat("this kernel has no device-mapper: ", std::strerror(errno)));
  }
  return VerityMapper(std::move(control));
}

absl::StatusOr<std::string> VerityMapper::Create(const std::string& name,
                                                 const VerityTable& table) {
  const std::string line = VerityLine(table);
  if (name.empty() || name.size() >= DM_NAME_LEN || line.size() >= sizeof Request::line) {
    return absl::InvalidArgumentError(absl::StrCat("a name or a salt that is too long: ", name));
  }
  Request status = Make(name);
  if (ioctl(control_.get(), DM_DEV_STATUS, &status) == 0) {
    // Its name holds half of the root hash, and nobody else makes one of that name.
    if ((status.head.flags & DM_ACTIVE_PRESENT_FLAG) != 0) {
      return absl::StrCat("/dev/dm-", minor(status.head.dev));
    }
    Request half = Make(name);  // a noded before this one ended in between
    ioctl(control_.get(), DM_DEV_REMOVE, &half);
  }
  Request create = Make(name);
  if (ioctl(control_.get(), DM_DEV_CREATE, &create) != 0) return FromErrno(errno, "making", name);
  const std::string path = absl::StrCat("/dev/dm-", minor(create.head.dev));
  Request load = Make(name, DM_READONLY_FLAG);
  load.head.target_count = 1;
  load.target.length = table.blocks * (kBlock / kSector);
  std::memcpy(load.target.target_type, "verity", 6);
  std::memcpy(load.line, line.data(), line.size());
  Request resume = Make(name);  // without the flag of the same name: resume
  if (ioctl(control_.get(), DM_TABLE_LOAD, &load) == 0 &&
      ioctl(control_.get(), DM_DEV_SUSPEND, &resume) == 0) {
    return path;
  }
  absl::Status failed = FromErrno(errno, "a table for", name);
  Request remove = Make(name);
  ioctl(control_.get(), DM_DEV_REMOVE, &remove);
  return failed;
}

absl::Status VerityMapper::Remove(const std::string& name) {
  Request remove = Make(name);
  if (ioctl(control_.get(), DM_DEV_REMOVE, &remove) == 0 || errno == ENXIO) return absl::OkStatus();
  const int error = errno;
  if (error == EBUSY) {
    Request later = Make(name, DM_DEFERRED_REMOVE);
    ioctl(control_.get(), DM_DEV_REMOVE, &later);
  }
  return FromErrno(error, "removing", name);
}

bool VerityMapper::IsCorrupt(const std::string& name) {
  Request status = Make(name);
  if (ioctl(control_.get(), DM_TABLE_STATUS, &status) != 0 || status.head.target_count != 1) {
    return false;
  }
  return status.line[0] == 'C';  // else 'V'
}

}  // namespace basalt::host
