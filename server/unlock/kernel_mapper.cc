// By ioctl, without libdevmapper and without udev: devtmpfs makes the device, the name is a link.
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/unlock/mapper.h"

namespace basalt::unlock {
namespace {

constexpr char kControl[] = "/dev/mapper/control";
constexpr uint64_t kUnit = 512;

struct Request {
  dm_ioctl head;
  dm_target_spec target;
  char line[1024];
};

class Control {
 public:
  Control() : fd_(open(kControl, O_RDWR | O_CLOEXEC)) {}
  ~Control() {
    if (fd_ >= 0) close(fd_);
  }
  // 0 or errno.
  int Call(unsigned long number, const std::string& name, Request* request) {
    if (fd_ < 0) return ENODEV;
    request->head.version[0] = DM_VERSION_MAJOR;  // the kernel takes any older minor version
    request->head.data_size = sizeof *request;
    request->head.data_start = sizeof request->head;
    strncpy(request->head.name, name.c_str(), sizeof request->head.name - 1);
    return ioctl(fd_, number, request) == 0 ? 0 : errno;
  }

 private:
  int fd_;
};

std::string LinkOf(const std::string& name) { return absl::StrCat("/dev/mapper/", name); }

Status Failed(absl::string_view what, const std::string& name, int error) {
  const std::string text = absl::StrCat(what, " ", name, ": ", strerror(error));
  switch (error) {
    case EEXIST:
      return AlreadyExistsError(text);
    case EBUSY:
      // What DM_DEV_CREATE says of a name that is taken, DM_DEV_REMOVE of one in use.
      return FailedPreconditionError(text);
    case ENXIO:
      return NotFoundError(text);
    default:
      return UnavailableError(text);
  }
}

class RealMapper : public Mapper {
 public:
  Status Map(const Mapping& mapping, const seal::SecretBytes& key) override {
    Control control;
    Request request = {};
    const std::string uuid = absl::StrCat("CRYPT-LUKS2-", mapping.uuid);
    if (control.Call(DM_DEV_STATUS, mapping.name, &request) == 0) {
      const std::string text = absl::StrCat(LinkOf(mapping.name), " is there");
      return uuid == request.head.uuid ? AlreadyExistsError(text)
                                       : FailedPreconditionError(text + ", of another device");
    }
    // Of type "logon": the kernel uses it, and nobody reads it, dm-crypt's table included.
    const std::string description = absl::StrCat("basalt:", mapping.uuid);
    if (syscall(SYS_add_key, "logon", description.c_str(), key.data(), key.size(),
                KEY_SPEC_THREAD_KEYRING) < 0) {
      return Failed("hand the kernel the key of", mapping.name, errno);
    }
    request = {};
    strncpy(request.head.uuid, uuid.c_str(), sizeof request.head.uuid - 1);
    int error = control.Call(DM_DEV_CREATE, mapping.name, &request);
    if (error != 0) return Failed("make", LinkOf(mapping.name), error);
    const uint64_t number = request.head.dev;
    std::string options;
    int count = 0;
    if (mapping.discards && ++count > 0) options += " allow_discards";
    if (mapping.sector != kUnit && ++count > 0) {
      absl::StrAppend(&options, " sector_size:", mapping.sector);
    }
    const std::string line = absl::StrCat("aes-xts-plain64 :", key.size(), ":logon:", description,
                                          " 0 ", mapping.device, " ", mapping.offset / kUnit,
                                          count > 0 ? absl::StrCat(" ", count, options) : "");
    request = {};
    request.head.target_count = 1;
    request.head.flags = DM_SECURE_DATA_FLAG;
    request.target.length = mapping.size / mapping.sector * mapping.sector / kUnit;
    strncpy(request.target.target_type, "crypt", sizeof request.target.target_type - 1);
    strncpy(request.line, line.c_str(), sizeof request.line - 1);
    error = control.Call(DM_TABLE_LOAD, mapping.name, &request);
    if (error == 0) {
      request = {};
      error = control.Call(DM_DEV_SUSPEND, mapping.name, &request);  // without the flag: resume
    }
    // As libdevmapper packs it; minor numbers above 255 have their high bits elsewhere.
    const uint64_t minor_number = (number & 0xff) | ((number >> 12) & 0xfff00);
    if (error == 0) {
      unlink(LinkOf(mapping.name).c_str());  // ignoring: of an earlier one; else symlink fails
      if (symlink(absl::StrCat("../dm-", minor_number).c_str(), LinkOf(mapping.name).c_str()) !=
          0) {
        error = errno;
      }
    }
    if (error == 0) return OkStatus();
    Unmap(mapping.name).IgnoreError();  // ignoring: the cause is what counts
    return Failed("map", LinkOf(mapping.name), error);
  }

  Status Unmap(const std::string& name) override {
    Control control;
    Request request = {};
    const int error = control.Call(DM_DEV_REMOVE, name, &request);
    if (error != 0) return Failed("remove", LinkOf(name), error);
    unlink(LinkOf(name).c_str());  // ignoring: a link that leads nowhere harms nobody
    return OkStatus();
  }
};

}  // namespace

std::unique_ptr<Mapper> KernelMapper() { return std::make_unique<RealMapper>(); }

}  // namespace basalt::unlock
