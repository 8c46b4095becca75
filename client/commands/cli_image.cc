// Images on disks, and nodes that are not known yet.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  ImageWriteOptions write;
  ImageMediumOptions medium;
  DiscoverOptions discover;
};

}  // namespace

void AddImageVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App& group = p.Group("image", "Disks that a node starts from");
  CLI::App* v = p.Verb(
      group, "write", "Write an image to a disk, stick or card, with a node's first config on it",
      "  nodectl image write --image basalt-1.4.0-vm-amd64.raw --disk /dev/sdb --config n1.yaml\n"
      "  nodectl image write --image basalt-1.4.0-vm-amd64.raw --disk n1.raw --config n1.yaml "
      "--yes\n"
      "  nodectl image write --image basalt-1.4.0-vm-amd64.raw --disk /dev/sdb   # trust alone\n"
      "Signed on another machine, which has the key:\n"
      "  nodectl image medium -o stick-7.medium\n"
      "  nodectl sign -f n1.yaml --medium stick-7.medium -o n1.json\n"
      "  nodectl image write --image basalt-1.4.0-vm-amd64.raw --disk /dev/sdb --config n1.json "
      "--medium stick-7.medium",
      [&w](Session& s) { return RunImageWrite(s, w.write); });
  v->add_option("--image", w.write.image, "The image as it is built (.raw)")
      ->type_name("FILE")
      ->required();
  v->add_option("--disk", w.write.disk,
                "A whole disk, all of which is erased; or a file, which is made")
      ->type_name("DISK|FILE")
      ->required();
  v->add_option("--config", w.write.config,
                "First config: a source, which is signed for this medium; or what `sign --medium` "
                "wrote")
      ->type_name("FILE");
  v->add_option("--trust", w.write.trust,
                "The trust chain that the node starts from (default: the context's)")
      ->type_name("FILE");
  CLI::Option* file =
      v->add_option("--medium", w.write.medium, "Name and key of the medium (nodectl image medium)")
          ->type_name("FILE");
  v->add_option("--medium-id", w.write.medium_id,
                "Name of the medium (default: one that is made up)")
      ->type_name("NAME")
      ->excludes(file);
  p.Signing(v, w.write.signing);
  v->add_flag("--yes,-y", w.write.yes, "Do not ask before the disk is erased");
  p.Output(v, {"table", "json"});

  v = p.Verb(group, "medium", "Make name and one-time key of a medium, to sign for it elsewhere",
             "  nodectl image medium -o stick-7.medium --id stick-7",
             [&w](Session& s) { return RunImageMedium(s, w.medium); });
  v->add_option("-o,--output", w.medium.output_file, "File (0600); must not exist")
      ->type_name("FILE")
      ->required();
  v->add_option("--id", w.medium.id, "Name of the medium (default: one that is made up)")
      ->type_name("NAME");

  v = p.Verb(p.app(), "discover", "Nodes that say by mDNS that they are there, on the same network",
             "  nodectl discover\n"
             "  nodectl discover --timeout 10s -o wide\n"
             "  nodectl discover -o json | jq -r '.nodes[].endpoint'",
             [&w](Session& s) { return RunDiscover(s, w.discover); });
  Parser::Timeout(v, "How long answers are waited for (default: 3s)",
                  [&w](absl::Duration value) { w.discover.timeout = value; });
  p.Output(v, {"table", "wide", "json", "name"});
}

}  // namespace basalt::client
