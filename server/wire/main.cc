// noded-wire: what noded has done on the network, beside downloads. See server/wire/README.md.
#include <signal.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "server/diagnose/capture.h"
#include "server/diagnose/probe.h"
#include "server/logs/ship.h"

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "probe") return basalt::diagnose::ProbeMain({argv + 2, argv + argc});
  if (what == "capture") return basalt::diagnose::CaptureMain();
  absl::Status status =
      absl::InvalidArgumentError("usage: noded-wire logs | probe ... | capture (started by noded)");
  if (what == "logs") {
    // It ends when noded lets go of it, and sends what it has in hand then.
    signal(SIGTERM, SIG_IGN);
    status = basalt::logs::Ship();
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "noded-wire: %s\n", std::string(status.message()).c_str());
  return 1;
}
