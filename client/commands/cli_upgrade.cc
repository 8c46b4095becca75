// The image of a node.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  UpgradeOptions upgrade;
  GetOptions slots;
};

}  // namespace

void AddUpgradeVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(p.app(), "upgrade",
                       "Another image: named in the source, signed, applied; or the one before",
                       "  nodectl upgrade -n n1 --image "
                       "https://example.org/basalt/basalt-1.4.0-vm-amd64.image.json\n"
                       "  nodectl upgrade -f n1.yaml --image basalt-1.4.0.image.json --url "
                       "http://10.0.0.2/basalt-1.4.0.image.json\n"
                       "  nodectl upgrade -n n1 --image sha256:... --url "
                       "https://example.org/basalt-1.4.0.image.json\n"
                       "Back to what is in the other slot, without a download:\n"
                       "  nodectl upgrade --rollback -n n1\n"
                       "Two people, each on a machine of their own:\n"
                       "  nodectl upgrade --rollback -n n1 --to back.json\n"
                       "  nodectl sign -f back.json --key other.key -o back.json\n"
                       "  nodectl upgrade --rollback -n n1 -f back.json",
                       [&w](Session& s) { return RunUpgrade(s, w.upgrade); });
  v->add_option("--image", w.upgrade.image,
                "The signed manifest: a file here, a URL, or sha256:... of it")
      ->type_name("FILE|URL|DIGEST");
  v->add_option("--url", w.upgrade.urls,
                "Where nodes fetch the manifest, slot and kernel image beside it; several: mirrors")
      ->type_name("URL")
      ->allow_extra_args(false);
  v->add_option("-f,--file", w.upgrade.file,
                "The source (default: that of -n); with --rollback an order that was signed before")
      ->type_name("FILE");
  v->add_flag("--rollback", w.upgrade.rollback, "Order the image of the other slot");
  v->add_option("--version", w.upgrade.version, "With --rollback: only when it is this one");
  v->add_flag("--allow-downgrade", w.upgrade.allow_downgrade,
              "With --rollback: also below the epoch that the node ran");
  v->add_option("--to", w.upgrade.to,
                "With --rollback: write the signed order, good for 24 hours; send nothing")
      ->type_name("FILE");
  p.Applying(v, w.upgrade.apply);

  v = p.Verb(p.app(), "slots", "What the two slots of a node hold, and what boots",
             "  nodectl slots -n n1\n  nodectl slots -n n1 -o wide\n  nodectl slots -n n1 -o json",
             [&w](Session& s) {
               w.slots.kind = "slot";
               return RunGet(s, w.slots);
             });
  p.Node(v, w.slots.node);
  p.Output(v, {"table", "wide", "json", "yaml", "name"});
}

}  // namespace basalt::client
