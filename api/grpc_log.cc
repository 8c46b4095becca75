#include "api/grpc_log.h"

#include <grpc/support/log.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace basalt::api {
namespace {

constexpr int kLinesAMinute = 20;
std::atomic<uint64_t> dropped{0};
std::atomic<int64_t> minute{-1};
std::atomic<int> lines{0};

// Said for each connection to an address instead of a name, which is how nodes are dialled.
bool IsNoise(absl::string_view text) {
  return absl::string_view::npos != text.find("No match found for server name");
}

void Write(gpr_log_func_args* args) {
  if (args->severity < GPR_LOG_SEVERITY_ERROR || IsNoise(args->message)) return;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  int64_t current = now.tv_sec / 60;
  if (minute.exchange(current) != current) lines = 0;
  if (lines.fetch_add(1) >= kLinesAMinute) {
    ++dropped;
    return;
  }
  std::string line = absl::StrCat("grpc: ", args->message, "\n");
  // One write, so that lines of several threads do not mix; when it fails there is nobody to tell.
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) ++dropped;
}

}  // namespace

void RouteGrpcLog() {
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(&Write);
}

uint64_t GrpcLogDropped() { return dropped; }

}  // namespace basalt::api
