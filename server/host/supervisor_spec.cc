#include "server/host/supervisor_spec.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"

namespace basalt::host {
namespace {

absl::Status Bad(const ServiceSpec& spec, absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-service-spec",
                    absl::StrCat("service \"", spec.name, "\": ", what),
                    "this is a fault of noded itself: report it");
}

bool HasZero(absl::string_view text) { return absl::StrContains(text, '\0'); }

}  // namespace

absl::string_view ToString(ServiceState state) {
  switch (state) {
    case ServiceState::kStarting:
      return "starting";
    case ServiceState::kRunning:
      return "running";
    case ServiceState::kBackingOff:
      return "backing-off";
    case ServiceState::kStopping:
      return "stopping";
    case ServiceState::kStopped:
      return "stopped";
    case ServiceState::kFailed:
      return "failed";
  }
  return "unknown";
}

absl::Status ValidateSpec(const ServiceSpec& spec) {
  if (spec.name.empty() || spec.name.size() > kMaxServiceName ||
      !std::all_of(spec.name.begin(), spec.name.end(), [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
               c == '-';
      })) {
    return Bad(spec, "a name is 1 to 31 of a-z A-Z 0-9 . _ -");
  }
  if (spec.tag.size() > kMaxServiceTag || HasZero(spec.tag)) {
    return Bad(spec, "the tag is longer than 79 bytes or holds a zero byte");
  }
  if (spec.argv.empty() || spec.argv.size() > kMaxServiceArgs) {
    return Bad(spec, "1 to 256 arguments are allowed");
  }
  if (spec.env.size() > kMaxServiceEnv) return Bad(spec, "at most 1024 variables are allowed");
  size_t bytes = 0;
  for (const auto* list : {&spec.argv, &spec.env}) {
    for (const std::string& text : *list) {
      if (HasZero(text)) return Bad(spec, "a zero byte in an argument or variable");
      bytes += text.size() + 1;
    }
  }
  if (bytes > kMaxServiceStrings) {
    return Bad(spec, "arguments and environment exceed 15 KiB: pass files instead");
  }
  for (const std::string& variable : spec.env) {
    if (!absl::StrContains(variable, '=')) return Bad(spec, "a variable without \"=\"");
  }
  if (!spec.exec_fd.valid()) return Bad(spec, "no program descriptor");
  if (spec.fds.size() > kMaxServiceFds) return Bad(spec, "at most 4 descriptors are allowed");
  for (const UniqueFd& fd : spec.fds) {
    if (!fd.valid()) return Bad(spec, "a descriptor that is not open");
  }
  if (spec.cgroup.size() > 255 || HasZero(spec.cgroup) || absl::StartsWith(spec.cgroup, "/")) {
    return Bad(spec, "the cgroup is a relative path of at most 255 bytes");
  }
  for (absl::string_view part : absl::StrSplit(spec.cgroup, '/')) {
    if (part == "..") return Bad(spec, "the cgroup climbs out of its base");
  }
  if (spec.restart.delay < absl::ZeroDuration() || spec.restart.max_delay < spec.restart.delay ||
      spec.restart.rapid < absl::ZeroDuration() || spec.stop_grace < absl::ZeroDuration()) {
    return Bad(spec, "a negative time, or a largest delay below the first one");
  }
  return absl::OkStatus();
}

}  // namespace basalt::host
