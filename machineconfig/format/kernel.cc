#include "machineconfig/format/kernel.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace basalt::format {
namespace {

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

bool AllOf(absl::string_view text, absl::string_view more) {
  return std::all_of(text.begin(), text.end(), [more](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains(more, c);
  });
}

}  // namespace

absl::Status CheckModuleName(absl::string_view text) {
  if (absl::EndsWith(text, ".ko") || absl::EndsWith(text, ".ko.xz")) {
    return Bad("the name of a module is written without .ko, such as br_netfilter");
  }
  if (!text.empty() && text.size() <= 64 && text[0] != '-' && AllOf(text, "-_")) {
    return absl::OkStatus();
  }
  return Bad("not the name of a kernel module: letters, digits, `-` and `_`, such as br_netfilter");
}

absl::Status CheckSysctl(absl::string_view text) {
  const char* const kWhat =
      "not the name of a setting: parts with dots between, such as vm.swappiness or "
      "net.ipv4.ip_forward";
  if (text.size() > 255) return Bad(kWhat);
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  if (parts.size() < 2) return Bad(kWhat);
  for (absl::string_view part : parts) {
    // A `/` stands for a dot inside a name, never for a way up.
    if (part.empty() || part.front() == '/' || part.back() == '/' || !AllOf(part, "-_/:@") ||
        absl::StrContains(part, "//")) {
      return Bad(kWhat);
    }
  }
  for (absl::string_view root :
       {"abi", "crypto", "debug", "dev", "fs", "kernel", "net", "sunrpc", "user", "vm"}) {
    if (parts[0] == root) return absl::OkStatus();
  }
  return Bad("a setting begins with kernel, vm, net, fs, dev, user, abi, crypto, debug or sunrpc");
}

absl::Status CheckKernelArgument(absl::string_view text) {
  const size_t equals = text.find('=');
  const absl::string_view name = text.substr(0, equals);
  const bool good = !name.empty() && text.size() <= 256 && name[0] != '-' && AllOf(name, "-_.") &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return absl::ascii_isgraph(c) && c != '"' && c != '\'' && c != '\\';
                    });
  if (good) return absl::OkStatus();
  return Bad(
      "not an argument: NAME or NAME=VALUE without spaces and quotes, at most 256 characters, such "
      "as console=ttyS0");
}

absl::Status CheckPath(absl::string_view text) {
  const char* const kWhat =
      "not a path: absolute, of letters, digits, `-`, `_` and `.`, such as /var/lib/longhorn";
  if (text.size() < 2 || text.size() > 255 || text[0] != '/') return Bad(kWhat);
  for (absl::string_view part : absl::StrSplit(text.substr(1), '/')) {
    if (part == "." || part == "..") return Bad("a path holds no `.` or `..` here");
    if (part.empty()) return Bad("a path holds no empty parts: neither `//` nor a `/` at its end");
    if (!AllOf(part, "-_.") || part[0] == '-') return Bad(kWhat);
  }
  return absl::OkStatus();
}

}  // namespace basalt::format
