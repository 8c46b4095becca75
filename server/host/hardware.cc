#include "server/host/hardware.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace basalt::host {
namespace {

// MemTotal is what the kernel left of the modules; firmware, the kernel and a GPU take up to an
// eighth. A "2 GB" board shows 1.8 GiB: guards compare the nominal size, so it is rounded up to 256
// MiB below 1 GiB, to 512 MiB below 4 GiB and to 1 GiB above.
int64_t NominalMemory(int64_t total) {
  constexpr int64_t kMi = 1 << 20;
  int64_t step = total <= 1024 * kMi ? 256 * kMi : total <= 4096 * kMi ? 512 * kMi : 1024 * kMi;
  return (total + step - 1) / step * step;
}

int64_t MemTotal() {
  std::ifstream in("/proc/meminfo");
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind("MemTotal:", 0) != 0) continue;
    std::istringstream words(line.substr(9));
    int64_t kib = 0;
    words >> kib;
    return kib * 1024;
  }
  return 0;
}

// Does this directory lie on an SD card or eMMC? Partitions of one are below the card's own device.
bool OnFlash(const std::string& directory) {
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0) return false;
  std::error_code error;
  const std::string device = std::filesystem::read_symlink(
      absl::StrCat("/sys/dev/block/", major(info.st_dev), ":", minor(info.st_dev)), error);
  return !error && IsFlashDevice(device);
}

std::string Architecture() {
  utsname name{};
  uname(&name);
  std::string machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine.rfind("arm", 0) == 0) return "arm";
  return machine;
}

// A short text of the kernel, without its end of line or its zero.
std::string Text(const std::string& path) {
  std::ifstream in(path);
  std::string text(256, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  text.resize(std::min(text.size(), text.find('\0')));
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace

Hardware MeasureHardware(const std::string& data_directory) {
  Hardware hardware;
  hardware.architecture = Architecture();
  hardware.memory_total = NominalMemory(MemTotal());
  hardware.data_on_flash = OnFlash(data_directory);
  hardware.cpus = static_cast<int>(std::thread::hardware_concurrency());
  return hardware;
}

void IdentifyHardware(const std::string& root, Hardware* hardware) {
  for (const char* file :
       {"/sys/class/dmi/id/product_serial", "/sys/class/dmi/id/board_serial",
        "/sys/class/dmi/id/chassis_serial", "/sys/firmware/devicetree/base/serial-number"}) {
    hardware->serial = RealSerial(Text(root + file));
    if (!hardware->serial.empty()) break;
  }
  std::error_code error;
  for (const auto& link : std::filesystem::directory_iterator(root + "/sys/class/net", error)) {
    const std::string path = link.path();
    // Ethernet with a device behind it: what K3s makes comes and goes.
    if (Text(path + "/type") != "1" || !std::filesystem::exists(path + "/device", error)) continue;
    const std::string address = absl::AsciiStrToLower(Text(path + "/address"));
    if (address.size() == 17 && address != "00:00:00:00:00:00") hardware->macs.push_back(address);
  }
  std::sort(hardware->macs.begin(), hardware->macs.end());
  hardware->macs.erase(std::unique(hardware->macs.begin(), hardware->macs.end()),
                       hardware->macs.end());
}

std::string RealSerial(absl::string_view text) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (const char* filler :
       {"to be filled", "default string", "not specified", "not applicable", "system serial",
        "serial number", "o.e.m", "none", "unknown", "n/a", "invalid"}) {
    if (absl::StrContains(lower, filler)) return "";
  }
  const bool one_character =
      lower.find_first_not_of(lower.empty() ? '0' : lower[0]) == std::string::npos;
  // It is shown, signed and compared: printable ASCII or nothing.
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isprint(c); });
  return one_character || !printable || lower == "0123456789" || lower == "123456789"
             ? ""
             : std::string(text);
}

bool IsFlashDevice(absl::string_view device) { return absl::StrContains(device, "/mmc_host/"); }

}  // namespace basalt::host
