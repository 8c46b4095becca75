#include "images/boot/verity_device.h"

#include <linux/dm-ioctl.h>
#include <linux/ioctl.h>

#include "images/boot/kernel.h"
#include "images/boot/root_spec.h"

namespace basalt::boot {
namespace {

struct Request {
  dm_ioctl head;
  dm_target_spec target;
  char line[1024];
};

void Prepare(Request* request) {
  *request = {};
  request->head.version[0] = DM_VERSION_MAJOR;  // the kernel takes any older minor version
  request->head.data_size = sizeof *request;
  request->head.data_start = sizeof request->head;
  for (size_t i = 0; i < 4; ++i) request->head.name[i] = "root"[i];
}

long Ioctl(long fd, unsigned long number, Request* request) {
  return Call(__NR_ioctl, fd, static_cast<long>(number), Address(request));
}

}  // namespace

long CreateVerityDevice(uint64_t blocks, const char* table, size_t table_length, char* path,
                        size_t path_size) {
  static Request request;
  if (table_length >= sizeof request.line) return -7;  // E2BIG
  long fd = Open("/dev/mapper/control", kReadWrite);
  if (fd < 0) return fd;

  Prepare(&request);
  long error = Ioctl(fd, DM_DEV_CREATE, &request);
  // Minor numbers above 255 have their high bits elsewhere; this is the first device there is.
  uint64_t minor = (request.head.dev & 0xff) | ((request.head.dev >> 12) & 0xfff00);
  if (error >= 0) {
    Prepare(&request);
    request.head.flags = DM_READONLY_FLAG;
    request.head.target_count = 1;
    request.target.length = blocks * (kBlockSize / 512);
    for (size_t i = 0; i < 6; ++i) request.target.target_type[i] = "verity"[i];
    for (size_t i = 0; i < table_length; ++i) request.line[i] = table[i];
    error = Ioctl(fd, DM_TABLE_LOAD, &request);
  }
  if (error >= 0) {
    Prepare(&request);
    error = Ioctl(fd, DM_DEV_SUSPEND, &request);  // without the flag of the same name: resume
  }
  Close(fd);
  if (error < 0) return error;
  Writer writer(path, path_size);
  return writer.Add(Literal("/dev/dm-")).AddNumber(minor).Finish() != nullptr ? 0 : -7;
}

}  // namespace basalt::boot
