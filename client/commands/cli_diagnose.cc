// How the network looks from a node.
#include "absl/strings/str_cat.h"
#include "client/commands/parser.h"
#include "machineconfig/format/quantity.h"

namespace basalt::client {
namespace {

struct Words {
  ProbeOptions probe;
  CaptureOptions capture;
};

}  // namespace

void AddDiagnoseVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(
      p.app(), "probe", "Let a node resolve, connect, shake hands or fetch, and say how that went",
      "  nodectl probe dns registry.example.org -n n1\n  nodectl probe tcp 192.168.1.1:53 -n n1\n"
      "  nodectl probe tls registry.example.org:443 -n n1\n"
      "  nodectl probe http https://get.k3s.io/ -n n1 -o json\n"
      "A service of the node itself, or link-local; needs the role admin:\n"
      "  nodectl probe tls 127.0.0.1:6443 --any-address -n n1",
      [&w](Session& s) { return RunProbe(s, w.probe); });
  v->add_option("kind", w.probe.kind, "dns, tcp, tls or http")->required();
  v->add_option("target", w.probe.target, "A name, HOST:PORT, or a URL")->required();
  v->add_option("--server-name", w.probe.server_name,
                "With tls and http: whom to ask for instead of the target's host");
  Parser::Timeout(v, "For all of it, at most 30s (default: 10s)",
                  [&w](absl::Duration timeout) { w.probe.timeout = timeout; });
  v->add_flag("--any-address", w.probe.any_address,
              "Loopback, link-local and metadata services too (role admin)");
  p.Node(v, w.probe.node);
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(
      p.app(), "pcap", "Packets of a node's interface, as pcapng",
      "  nodectl pcap -n n1 -o n1.pcapng\n"
      "  nodectl pcap -n n1 --interface eth0 --filter 'port 53' --duration 1m -o dns.pcapng\n"
      "  nodectl pcap -n n1 --filter 'tcp port 6443' -o - | tcpdump -nr -",
      [&w](Session& s) { return RunCapture(s, w.capture); });
  v->add_option("--interface", w.capture.interface, "Default: the one with the default route");
  v->add_option("--filter", w.capture.filter,
                "In tcpdump's language (compiled here, by libpcap 0.8)");
  Parser::Span(v, "--duration", "At most 10m (default: 30s)",
               [&w](absl::Duration duration) { w.capture.duration = duration; });
  v->add_option_function<std::string>(
       "--max",
       [&w](const std::string& text) {
         w.capture.max_bytes = format::ParseQuantity(text).value_or(0);
       },
       "Ends with so many bytes, at most 256Mi (default: 10Mi)")
      ->type_name("SIZE")
      ->check([](const std::string& text) -> std::string {
        auto size = format::ParseQuantity(text);
        if (size.ok() && *size > 0) return "";
        return absl::StrCat("'", text, "' is no size: like 10Mi");
      });
  v->add_option("--snap-length", w.capture.snap_length, "Bytes kept of each packet (default: all)")
      ->check(CLI::PositiveNumber);
  v->add_option("-o,--output", w.capture.output_file, "File (0600), or - for standard output")
      ->type_name("FILE");
  p.Node(v, w.capture.node);
}

}  // namespace basalt::client
