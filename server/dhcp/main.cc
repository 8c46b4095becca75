// noded-dhcp: what dhcpcd runs when a lease comes or goes, in place of its shell scripts. Keeps one
// file a link below /run/dhcp and makes /run/etc/resolv.conf of them.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/dhcp/lease.h"

namespace {

constexpr char kLeases[] = "/run/dhcp";
constexpr char kResolvConf[] = "/run/etc/resolv.conf";

// Readers see the old or the new one. Memory, so nothing is synced.
bool Replace(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::ofstream(temporary, std::ios::trunc) << text;
  return rename(temporary.c_str(), path.c_str()) == 0;
}

std::vector<basalt::dhcp::Lease> ReadLeases() {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(kLeases, error)) {
    if (basalt::dhcp::IsLeaseFile(file.path().filename().string())) files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  // What the machine config says comes first.
  files.insert(files.begin(), absl::StrCat(kLeases, "/", basalt::dhcp::kConfigFile));
  std::vector<basalt::dhcp::Lease> leases;
  for (const std::string& file : files) {
    std::ifstream in(file);
    leases.push_back(basalt::dhcp::FromText(std::string(std::istreambuf_iterator<char>(in), {})));
  }
  return leases;
}

}  // namespace

int main() {
  basalt::dhcp::Environment environment;
  for (const char* const* variable = environ; *variable != nullptr; ++variable) {
    if (const char* equals = strchr(*variable, '='); equals != nullptr) {
      environment[std::string(*variable, equals)] = equals + 1;
    }
  }
  const basalt::dhcp::Change change = basalt::dhcp::ChangeOf(environment);
  const basalt::dhcp::Lease lease = basalt::dhcp::LeaseOf(environment);
  if (change == basalt::dhcp::Change::kNone || lease.interface.empty()) return 0;
  std::error_code error;
  std::filesystem::create_directories(kLeases, error);
  const bool six = basalt::dhcp::IsVersion6(environment);
  const std::string file = absl::StrCat(kLeases, "/", lease.interface, six ? ".lease6" : ".lease");
  if (change == basalt::dhcp::Change::kGone) {
    std::filesystem::remove(file, error);
    // A cable that is pulled or a client that ends is said once, for both.
    if (!six) std::filesystem::remove(file + "6", error);
  } else if (!Replace(file, basalt::dhcp::ToText(lease))) {
    std::fprintf(stderr, "noded-dhcp: %s: %s\n", file.c_str(), strerror(errno));
    return 1;
  }
  if (!Replace(kResolvConf, basalt::dhcp::ResolvConf(ReadLeases()))) {
    std::fprintf(stderr, "noded-dhcp: %s: %s\n", kResolvConf, strerror(errno));
    return 1;
  }
  return 0;
}
