// Verbs about the disks of a node: reset, wipe.
#include "client/commands/disk_verbs.h"
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  ResetOptions reset;
  WipeOptions wipe;
  InstallOptions install;
};

void Ordering(Parser& p, CLI::App* v, OrderOptions& order) {
  p.Node(v, order.node);
  p.Signers(v, order.signing);
  v->add_option("--reason", order.reason, "Why");
  v->add_option("--to", order.to, "Write the signed order, good for 24 hours; send nothing")
      ->type_name("FILE");
  v->add_option("-f,--file", order.file, "Send an order that was signed before")->type_name("FILE");
  v->add_flag("--yes,-y", order.yes, "Do not ask");
  p.Output(v, {"table", "json", "yaml"});
}

}  // namespace

void AddDiskVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(
      p.app(), "reset", "Sign an order that erases a node's config, K3s and data",
      "  nodectl reset -n n1 --key keys/config.key\n  nodectl reset -n n1 --yes --reason OPS-7\n"
      "K3s anew, with the config that the node has:\n"
      "  nodectl reset -n n1 --data\n"
      "A machine that is given away:\n"
      "  nodectl reset -n n1 --all --forget-trust --wipe discard --power-off\n"
      "Two people, each on a machine of their own:\n"
      "  nodectl reset -n n1 --to reset.json\n"
      "  nodectl sign -f reset.json --key other.key -o reset.json\n"
      "  nodectl reset -n n1 -f reset.json",
      [&w](Session& s) { return RunReset(s, w.reset); });
  Ordering(p, v, w.reset.order);
  v->add_flag(
      "--state", w.reset.state,
      "Make the partition STATE anew: identity, config, secrets; trust, epoch and floor stay");
  v->add_flag("--data", w.reset.data,
              "Make the partition DATA anew: K3s, images, pods; the config stays");
  v->add_flag("--all", w.reset.all, "Both");
  v->add_flag("--forget-trust", w.reset.forget_trust,
              "With --all: trust, epoch and floor too (wants a grant for forgetTrust)");
  v->add_option("--graceful", w.reset.graceful, "End K3s and its pods first (default: true)")
      ->type_name("true|false");
  v->add_option("--wipe", w.reset.method,
                "How partitions are emptied before they are made anew: fast (the default: only "
                "formatted), zero, discard, crypto-erase")
      ->check(CLI::IsMember({"fast", "zero", "discard", "crypto-erase"}))
      ->type_name("METHOD");
  v->add_flag("--reboot", w.reset.reboot, "Restart when it is done (partitions: always)");
  v->add_flag("--power-off", w.reset.power_off, "Power off instead: it is done at the next start");
  v->add_flag("--no-wait", w.reset.no_wait, "Do not wait until the node answers again");

  v = p.Verb(p.app(), "wipe", "Sign an order that empties a disk or a volume the node does not use",
             "  nodectl get disk -n n1\n"
             "  nodectl wipe -n n1 --disk serial=S64DNX0R\n"
             "  nodectl wipe -n n1 --disk type=hdd,minSize=1T --method zero\n"
             "A volume that no config names any more:\n"
             "  nodectl wipe -n n1 --volume longhorn",
             [&w](Session& s) { return RunWipe(s, w.wipe); });
  Ordering(p, v, w.wipe.order);
  v->add_option("--disk", w.wipe.disk,
                "The disk: all that is said has to be so, of exactly one, else nothing is touched")
      ->type_name("SELECTOR");
  v->add_option("--volume", w.wipe.volume, "The partition of this volume")->type_name("NAME");
  v->add_option("--method", w.wipe.method,
                "fast (the default: signatures and tables), zero, discard, crypto-erase")
      ->check(CLI::IsMember({"fast", "zero", "discard", "crypto-erase"}))
      ->type_name("METHOD");
  v->add_flag("--no-wait", w.wipe.no_wait, "Do not wait until it is done");

  v = p.Verb(
      p.app(), "install", "Have a node that runs from an install medium put itself onto a disk",
      "  nodectl get disk -n n1\n"
      "  nodectl install -n n1 --disk type=nvme\n"
      "  nodectl install -f n1.yaml --disk serial=S64DNX0R --wipe\n"
      "What it does is in the source, as system.install: nodectl apply -f n1.yaml is the same.",
      [&w](Session& s) { return RunInstall(s, w.install); });
  v->add_option("--disk", w.install.disk,
                "The disk (default: as the source says): all that is said has to be so, of exactly "
                "one, else nothing is touched")
      ->type_name("SELECTOR");
  v->add_flag("--wipe", w.install.wipe, "Also when the disk holds something, which is lost");
  v->add_option("-f,--file", w.install.file, "The source (default: that of -n)")->type_name("FILE");
  p.Applying(v, w.install.apply);
}

}  // namespace basalt::client
