// Asking and ordering nodes.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  NodeOptions history;
  StatusOptions status;
  GetOptions get;
  LogsOptions logs;
  LogsOptions dmesg;
  KubeconfigOptions kubeconfig;
};

}  // namespace

void AddNodeVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(p.app(), "history", "Every generation of a node: who, why, how it ended",
                       "  nodectl history -n n1\n  nodectl history -n n1 --limit 3 -o json",
                       [&w](Session& s) { return RunHistory(s, w.history); });
  p.Node(v, w.history.node);
  v->add_option("--limit", w.history.limit, "The newest only")->check(CLI::NonNegativeNumber);
  p.Output(v, {"table", "wide", "json", "yaml", "name"});

  v = p.Verb(p.app(), "status", "What the nodes observe of themselves",
             "  nodectl status\n  nodectl status -n n1 -n n2 -o wide\n  nodectl status -o json",
             [&w](Session& s) { return RunStatus(s, w.status); });
  v->add_option("-n,--node-name", w.status.nodes, "Only these nodes")->allow_extra_args(false);
  p.Output(v, {"table", "wide", "json", "yaml", "name"});

  v = p.Verb(p.app(), "get", "Resources of a node, by kind",
             "  nodectl get service -n n1\n  nodectl get k3sstatus k3s -n n1 -o json\n"
             "  nodectl get generation -n n1 -o name",
             [&w](Session& s) { return RunGet(s, w.get); });
  v->add_option(
       "kind", w.get.kind,
       "machinestatus, configstatus, generation, service, k3sstatus, systemstatus, link, disk, "
       "volumestatus, image, slot, logsink")
      ->required();
  v->add_option("name", w.get.name, "One of them");
  p.Node(v, w.get.node);
  p.Output(v, {"table", "wide", "json", "yaml", "name"});

  v = p.Verb(p.app(), "logs", "Output of a service, or of the kernel",
             "  nodectl logs -n n1\n  nodectl logs k3s -n n1 --tail 50 -f\n  nodectl logs kernel "
             "-n n1 --since 10m\n"
             "  nodectl logs k3s -n n1 --stored --since 24h",
             [&w](Session& s) { return RunLogs(s, w.logs); });
  v->add_option("service", w.logs.service,
                "k3s when it is left out; `kernel`; what `nodectl get service` lists");
  v->add_option("--tail", w.logs.tail, "The last lines only")->check(CLI::NonNegativeNumber);
  v->add_flag("-f,--follow", w.logs.follow, "Go on until interrupted");
  Parser::Span(v, "--since", "Only what was said within so long: 10m, 24h",
               [&w](absl::Duration since) { w.logs.since = since; });
  v->add_flag("--stored", w.logs.stored,
              "What lies on the node's disk (system.logs.retention), of earlier boots too");
  p.Node(v, w.logs.node);
  p.Output(v, {"table", "json"});

  v = p.Verb(p.app(), "dmesg", "What the kernel said: `logs kernel`",
             "  nodectl dmesg -n n1\n  nodectl dmesg -n n1 -f", [&w](Session& s) {
               w.dmesg.service = "kernel";
               return RunLogs(s, w.dmesg);
             });
  v->add_option("--tail", w.dmesg.tail, "The last lines only")->check(CLI::NonNegativeNumber);
  v->add_flag("-f,--follow", w.dmesg.follow, "Go on until interrupted");
  Parser::Span(v, "--since", "Only what was said within so long: 10m, 24h",
               [&w](absl::Duration since) { w.dmesg.since = since; });
  p.Node(v, w.dmesg.node);
  p.Output(v, {"table", "json"});

  v = p.Verb(p.app(), "kubeconfig", "A kubeconfig of the cluster, valid for 8 hours",
             "  nodectl kubeconfig -n n1 > kubeconfig\n  nodectl kubeconfig -n n1 --to kubeconfig",
             [&w](Session& s) { return RunKubeconfig(s, w.kubeconfig); });
  p.Node(v, w.kubeconfig.node);
  v->add_option("--to", w.kubeconfig.output_file, "File (0600)");
  p.Output(v, {"yaml", "json"});
}

}  // namespace basalt::client
