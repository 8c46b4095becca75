// noded-fetch: one download into descriptor 3. See fetch_protocol.h.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "server/fetch/download.h"

using basalt::fetch::Outcome;

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  std::optional<basalt::fetch::Arguments> arguments = basalt::fetch::FromArgv({argv, argv + argc});
  if (!arguments) {
    std::fprintf(
        stderr,
        "error %s usage: noded-fetch LIMIT EXPECTED STALL-SECONDS URL... (to descriptor 3)\n",
        basalt::fetch::Reason(Outcome::kUsage).c_str());
    return static_cast<int>(Outcome::kUsage);
  }
  basalt::fetch::Hooks hooks;
  hooks.progress = [](basalt::fetch::Progress p) {
    std::printf("progress %lld %lld\n", static_cast<long long>(p.done),
                static_cast<long long>(p.total));
    std::fflush(stdout);
  };
  hooks.failed = [](Outcome outcome, const std::string& url, const std::string& why) {
    std::fprintf(stderr, "failed %s %s: %s\n", basalt::fetch::Reason(outcome).c_str(), url.c_str(),
                 why.c_str());
  };
  hooks.pause = [](int seconds) { sleep(static_cast<unsigned>(seconds)); };
  hooks.from = [](int index) { std::printf("from %d\n", index); };
  hooks.status = [](int status) { std::printf("http %d\n", status); };
  std::string why;
  Outcome outcome = basalt::fetch::Download(
      *arguments, basalt::fetch::kTargetFd, hooks, &why,
      basalt::fetch::FromEnvironment([](const char* name) { return std::getenv(name); }));
  if (outcome != Outcome::kOk) {
    std::fprintf(stderr, "error %s %s\n", basalt::fetch::Reason(outcome).c_str(), why.c_str());
  }
  return static_cast<int>(outcome);
}
