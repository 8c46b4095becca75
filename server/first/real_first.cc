#include "server/first/real_first.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "server/host/boot_disk.h"

namespace basalt::first {
namespace {

constexpr char kMountAt[] = "/run/noded-medium";
constexpr size_t kMostText = 4096;

std::string Text(const std::string& path) {
  std::ifstream in(path);
  std::string text(kMostText, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace

MachineFacts ReadMachineFacts(const std::string& root) {
  const std::string dmi = root + "/sys/class/dmi/id/";
  return {.sys_vendor = Text(dmi + "sys_vendor"),
          .product_name = Text(dmi + "product_name"),
          .product_serial = Text(dmi + "product_serial"),
          .chassis_asset_tag = Text(dmi + "chassis_asset_tag"),
          .bios_version = Text(dmi + "bios_version"),
          .command_line = Text(root + "/proc/cmdline")};
}

std::string FindBootPartition() {
  struct stat info {};
  if (stat("/", &info) != 0) return "";
  absl::StatusOr<host::BootDiskPlaces> places =
      host::FindBootDisk("", major(info.st_dev), minor(info.st_dev));
  return places.ok() ? places->esp : "";
}

MetalFirst::MetalFirst(engine::Executor& executor, host::Supervisor& supervisor, engine::Node& node,
                       const std::string& boot_partition, const std::string& fetch_program)
    : asker_(MakeAsker(executor, supervisor, fetch_program)),
      media_(MakeMedia(boot_partition, kMountAt)),
      first_({.executor = executor,
              .node = node,
              .media = *media_,
              .asker = *asker_,
              .sources = SourcesFor(ReadMachineFacts(""))}) {}

}  // namespace basalt::first
