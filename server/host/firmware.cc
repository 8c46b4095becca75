#include "server/host/firmware.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/host/fd.h"

namespace basalt::host {
namespace {

constexpr char kVariables[] = "/sys/firmware/efi/efivars/";
constexpr char kGlobal[] = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
constexpr char kDatabase[] = "-d719b2cb-3d3a-4596-a3bc-dad00e67656f";
constexpr size_t kMost = 1 << 20;
constexpr size_t kAttributes = 4;  // efivarfs has them in front of the value

// NotFound, Unavailable.
absl::StatusOr<std::string> ReadSmall(const std::string& path, size_t most) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno == ENOENT ? absl::NotFoundError(path)
                           : absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  std::string out(most + 1, '\0');
  size_t size = 0;
  while (size < out.size()) {
    const ssize_t n = read(fd.get(), out.data() + size, out.size() - size);
    // The kernel lets a process read so many variables a second, and then says EINTR.
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > most) return absl::UnavailableError(absl::StrCat(path, " is too large"));
  out.resize(size);
  return out;
}

class RealFirmware : public Firmware {
 public:
  explicit RealFirmware(std::string root) : root_(std::move(root)) {}

  SecureBoot secure_boot() const override {
    const std::string enforcing = Flag("SecureBoot"), setup = Flag("SetupMode");
    if (enforcing.empty()) return SecureBoot::kUnsupported;
    if (setup == "\1") return SecureBoot::kSetup;
    return enforcing == "\1" ? SecureBoot::kEnforcing : SecureBoot::kOff;
  }

  absl::StatusOr<std::string> SignatureList(const std::string& variable) const override {
    absl::StatusOr<std::string> value =
        ReadSmall(absl::StrCat(root_, kVariables, variable, kDatabase), kMost);
    if (absl::IsNotFound(value.status())) return "";
    if (value.ok()) value->erase(0, kAttributes);
    return value;
  }

  std::string Pcr(int index) const override {
    absl::StatusOr<std::string> text =
        ReadSmall(absl::StrCat(root_, "/sys/class/tpm/tpm0/pcr-sha256/", index), 256);
    if (!text.ok()) return "";
    std::string hex = absl::AsciiStrToLower(absl::StripAsciiWhitespace(*text));
    const bool good = hex.size() == 64 && std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit);
    return good ? hex : "";
  }

 private:
  std::string Flag(const char* name) const {
    absl::StatusOr<std::string> value =
        ReadSmall(absl::StrCat(root_, kVariables, name, kGlobal), 64);
    return value.ok() && value->size() == kAttributes + 1 ? value->substr(kAttributes) : "";
  }

  const std::string root_;
};

}  // namespace

absl::string_view ToString(SecureBoot state) {
  switch (state) {
    case SecureBoot::kUnsupported:
      return "unsupported";
    case SecureBoot::kOff:
      return "off";
    case SecureBoot::kSetup:
      return "setup";
    case SecureBoot::kEnforcing:
      return "enforcing";
  }
  return "unsupported";
}

std::unique_ptr<Firmware> MakeFirmware(const std::string& root) {
  return std::make_unique<RealFirmware>(root);
}

}  // namespace basalt::host
