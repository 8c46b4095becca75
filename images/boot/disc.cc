#include "images/boot/disc.h"

#include <linux/loop.h>

#include "images/boot/kernel.h"

namespace basalt::boot {
namespace {

constexpr uint32_t kSector = 512;  // of the table, whatever the disc's own blocks are
constexpr long kNoMedium = -123;   // ENOMEDIUM: a disc of somebody else's is none

}  // namespace

long AttachDisc(const char* device) {
  long disc = Open(device, kReadOnly);
  if (disc < 0) return disc;
  char head[8];
  long error = ReadAt(disc, head, sizeof head, kSector);
  if (error == sizeof head && !IsTableHeader({head, sizeof head})) error = kNoMedium;
  long control = error < 0 ? error : Open("/dev/loop-control", kReadWrite);
  long number = control < 0 ? control : Call(__NR_ioctl, control, LOOP_CTL_GET_FREE);
  if (control >= 0) Close(control);
  char path[32];
  Writer writer(path, sizeof path);
  writer.Add(Literal("/dev/loop")).AddNumber(number < 0 ? 0 : static_cast<uint64_t>(number));
  long loop = number < 0 || writer.Finish() == nullptr ? number : Open(path, kReadOnly);
  error = loop;
  if (loop >= 0) {
    loop_config config = {};
    config.fd = static_cast<uint32_t>(disc);
    config.block_size = kSector;
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_PARTSCAN;
    error = Call(__NR_ioctl, loop, LOOP_CONFIGURE, Address(&config));
    Close(loop);
  }
  Close(disc);  // the loop device keeps it open
  return error < 0 ? error : 0;
}

}  // namespace basalt::boot
