// noded: the daemon of a node. See server/README.md for the architecture.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "api/grpc_library.h"
#include "api/grpc_log.h"
#include "server/metal.h"
#include "server/options.h"
#include "server/serve.h"

namespace {

// EX_USAGE: noded-init does not restart what ends so at its first start.
constexpr int kExitUsage = 64;

int Fail(const absl::Status& status) {
  std::string hint = basalt::api::Hint(status);
  std::string reason = basalt::api::Reason(status);
  std::string text = absl::StrCat("noded: ", status.message());
  if (!reason.empty()) absl::StrAppend(&text, " [", reason, "]");
  if (!hint.empty()) absl::StrAppend(&text, "\n  ", hint);
  std::fprintf(stderr, "%s\n", text.c_str());
  return kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  // gRPC makes a dozen threads: glibc would give each an arena of its own and never return it.
  mallopt(M_ARENA_MAX, 2);
  basalt::api::RouteGrpcLog();
  std::error_code ignored;
  std::string program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  absl::StatusOr<basalt::CommandLine> line = basalt::ParseCommandLine(
      {argv + 1, argv + argc}, std::filesystem::path(program).parent_path(),
      std::filesystem::current_path(ignored));
  if (!line.ok()) return Fail(line.status());
  switch (line->command) {
    case basalt::Command::kHelp:
      std::fputs(basalt::HelpText().c_str(), stdout);
      return 0;
    case basalt::Command::kVersion:
      std::printf("noded %s\n", BASALT_VERSION);
      return 0;
    case basalt::Command::kServe:
      break;
  }
  if (!basalt::UnderSupervisor()) {
    if (line->serve.platform == "metal") return Fail(basalt::NotBelowPid1());
    return Fail(basalt::BecomeSupervisor(program, line->serve));
  }
  basalt::api::HoldGrpc();
  absl::Status status = basalt::Serve(line->serve);
  basalt::api::EndGrpc();
  return status.ok() ? 0 : Fail(status);
}
