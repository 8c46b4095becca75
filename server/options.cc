#include "server/options.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "api/coded_status.h"

namespace basalt {
namespace {

absl::Status Usage(const std::string& message) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage", message, "see `noded --help`");
}

constexpr char kOwnNamespaces[] = "--own-namespaces";

std::string Absolute(const std::string& path, const std::string& working_dir) {
  if (path.empty() || path[0] == '/') return path;
  return absl::StrCat(working_dir, "/", path);
}

absl::Status CheckListen(const std::string& listen) {
  size_t colon = listen.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return Usage(
        absl::StrCat("--listen ", listen, ": wants ADDRESS:PORT, e.g. 127.0.0.1:0 or [::1]:6050"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& args,
                                             const std::string& program_dir,
                                             const std::string& working_dir) {
  CommandLine line;
  if (args.empty()) return Usage("a command is missing: serve or version");
  if (args[0] == "version" || args[0] == "--version") {
    line.command = Command::kVersion;
    return line;
  }
  if (args[0] == "help" || args[0] == "--help" || args[0] == "-h") return line;
  if (args[0] != "serve")
    return Usage(absl::StrCat("unknown command `", args[0], "`; known: serve, version"));
  line.command = Command::kServe;

  ServeOptions& serve = line.serve;
  const std::map<absl::string_view, std::string*> flags = {
      {"--platform", &serve.platform}, {"--root", &serve.root},
      {"--listen", &serve.listen},     {"--trust", &serve.trust},
      {"--init", &serve.init_program}, {"--fetch", &serve.fetch_program},
      {"--wire", &serve.wire_program}};
  for (size_t i = 1; i < args.size(); ++i) {
    if (args[i] == "--help" || args[i] == "-h") {
      line.command = Command::kHelp;
      return line;
    }
    if (args[i] == kOwnNamespaces) {
      serve.own_namespaces = true;
      continue;
    }
    std::string name = args[i];
    std::string value;
    size_t equals = name.find('=');
    bool inline_value = equals != std::string::npos;
    if (inline_value) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    auto flag = flags.find(name);
    if (flag == flags.end()) return Usage(absl::StrCat("unknown flag ", name));
    if (!inline_value) {
      if (i + 1 == args.size()) return Usage(absl::StrCat(name, " wants a value"));
      value = args[++i];
    }
    if (value.empty()) return Usage(absl::StrCat(name, " wants a value that is not empty"));
    *flag->second = value;
  }

  if (serve.platform.empty()) {
    return Usage("--platform is missing; this build knows: sandbox, metal, container");
  }
  const bool metal = serve.platform == "metal";
  const bool whole = metal || serve.platform == "container";  // has a root of its own
  if (!whole && serve.platform != "sandbox") {
    return Usage(absl::StrCat("--platform ", serve.platform,
                              ": this build knows: sandbox, metal, container"));
  }
  if (metal && (!serve.root.empty() || serve.own_namespaces)) {
    return Usage("--platform metal owns the machine: it takes no --root and no --own-namespaces");
  }
  if (whole && !metal && !serve.root.empty() && serve.root != "/") {
    return Usage("--platform container has the root of the image: it takes no --root");
  }
  if (whole) serve.root = "/";
  if (whole && serve.listen.empty()) serve.listen = kMetalListen;
  if (whole && serve.trust.empty()) serve.trust = kMetalTrust;
  if (serve.root.empty())
    return Usage("--root DIR is missing: everything the node keeps lies below it");
  if (serve.listen.empty()) return Usage("--listen ADDRESS:PORT is missing");
  if (absl::Status status = CheckListen(serve.listen); !status.ok()) return status;
  serve.root = Absolute(serve.root, working_dir);
  if (!whole && serve.root.find_first_not_of("/.") == std::string::npos) {
    return Usage("--root / is the whole machine: name a directory of the node's own");
  }
  while (serve.root.size() > 1 && absl::EndsWith(serve.root, "/")) serve.root.pop_back();
  serve.trust = Absolute(serve.trust, working_dir);
  serve.init_program = serve.init_program.empty() ? absl::StrCat(program_dir, "/noded-init")
                                                  : Absolute(serve.init_program, working_dir);
  serve.fetch_program = serve.fetch_program.empty() ? absl::StrCat(program_dir, "/noded-fetch")
                                                    : Absolute(serve.fetch_program, working_dir);
  serve.wire_program = serve.wire_program.empty() ? absl::StrCat(program_dir, "/noded-wire")
                                                  : Absolute(serve.wire_program, working_dir);
  if (metal) serve.dhcp_program = absl::StrCat(program_dir, "/noded-dhcp");
  return line;
}

std::vector<std::string> ToArguments(const ServeOptions& options) {
  std::vector<std::string> out = {"serve",
                                  "--platform",
                                  options.platform,
                                  "--root",
                                  options.root,
                                  "--listen",
                                  options.listen,
                                  "--init",
                                  options.init_program,
                                  "--fetch",
                                  options.fetch_program,
                                  "--wire",
                                  options.wire_program};
  if (!options.trust.empty()) {
    out.push_back("--trust");
    out.push_back(options.trust);
  }
  if (options.own_namespaces) out.push_back(kOwnNamespaces);
  return out;
}

std::string HelpText() {
  return R"(noded runs a node: it serves the API, obeys signed machine configs alone, and installs and runs K3s.

  noded serve --platform sandbox --root DIR --listen ADDRESS:PORT [--trust trust.json]
              [--own-namespaces]
  noded serve --platform metal [--listen ADDRESS:PORT] [--trust trust.json]
  noded serve --platform container [--listen ADDRESS:PORT] [--trust trust.json]
  noded version

  --platform sandbox   every effect stays below --root; needs no root but for a real K3s
  --platform metal     the node image, below noded-init as PID 1: /state, /data, /etc/rancher, /run;
                       listens on :6050 and takes the trust that the medium was written with
  --platform container the image as a container, below noded-init --pid1: /state and /data are
                       volumes; kernel, clock, disks and links are the host's
  --root DIR           state/, data/, etc/ and run/ of the node; made when it is absent
  --listen ADDR:PORT   where the API listens; port 0 picks a free one and keeps it in DIR
  --trust FILE         trust chain from `nodectl init`; read only while DIR holds none
  --own-namespaces     the mount and network namespace are this node's alone: when K3s is removed,
                       its links, mounts, packet filter rules and leases are removed from them too
  --init, --fetch, --wire
                       noded-init, noded-fetch and noded-wire, when they are not beside noded

noded puts itself under noded-init, which restarts it and keeps K3s across that. DIR/run/endpoint,
DIR/run/fingerprint and DIR/run/noded.pid say where it is. End it with SIGTERM to noded-init.

Example:
  nodectl init lab --cluster home --no-passphrase
  noded serve --platform sandbox --root /tmp/n1 --listen 127.0.0.1:0 --trust lab/trust.json
)";
}

}  // namespace basalt
