// Changing sources: a person's files, their comments and order kept.
#include "client/commands/editing.h"
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  PatchOptions patch;
  EditOptions edit;
  MigrateOptions migrate;
  DescribeOptions describe;
};

constexpr char kPatchRules[] =
    "What a patch does, as in Kubernetes: sections and maps merge, null takes away; lists of "
    "named\n"
    "things merge by name ($patch: delete beside the name takes one away); sets grow\n"
    "($deleteFromPrimitiveList/NAME: [..] beside them takes values away); other lists are "
    "replaced;\n"
    "$patch: replace in a section, or as an element of a list, writes it anew.\n";

}  // namespace

void AddEditingVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(
      p.app(), "patch", "Change configs from outside; comments and order stay",
      "  nodectl patch -f n1.yaml --set k3s.version=v1.31.0+k3s1 --in-place\n"
      "  nodectl patch -f n1.yaml --patch '{k3s: {config: {disable: [traefik]}}}'\n"
      "  nodectl patch -f n1.yaml --patch '{api: {clientCas: [{name: ci, $patch: delete}]}}'\n"
      "  nodectl patch -f nodes/ -p mirror.yaml --dry-run\n"
      "  nodectl patch -f nodes/ -p mirror.yaml --in-place     # all are checked, then written\n"
      "  nodectl patch -f n1.yaml -p new.yaml -n n1            # fields of that node's release",
      [&w](Session& s) { return RunPatch(s, w.patch); });
  v->footer(kPatchRules + ("\n" + v->get_footer()));
  p.Files(v, w.patch.files);
  v->add_option("-p,--patch-file", w.patch.patch_files, "Patch, YAML or JSON; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  v->add_option("--patch", w.patch.patches, "The patch itself; may be repeated")
      ->type_name("YAML")
      ->allow_extra_args(false);
  v->add_option("--set", w.patch.set, "path=value, behind the patches; may be repeated")
      ->allow_extra_args(false);
  v->add_flag("--in-place", w.patch.in_place, "Write the files");
  v->add_flag("--dry-run", w.patch.dry_run, "Show what would change, write nothing");
  v->add_option("-o,--output", w.patch.output_file,
                "File (0600 when new); default: standard output");
  p.SchemaOf(v, w.patch.node);
  p.OutputFormat(v, {"table", "json", "yaml"});

  v = p.Verb(
      p.app(), "edit", "Open a config in an editor; it is checked before it is written",
      "  nodectl edit -f n1.yaml\n"
      "  nodectl edit -n n1                         # its source, here or beside the context\n"
      "  nodectl edit -f n1.yaml --decrypt          # secrets opened in memory, sealed again\n"
      "  nodectl edit -f n1.yaml --apply --allow-plaintext\n"
      "  EDITOR='code --wait' nodectl edit -f n1.yaml",
      [&w](Session& s) { return RunEdit(s, w.edit); });
  v->add_option("-f,--file", w.edit.file, "The config")->type_name("FILE");
  v->add_flag("--decrypt", w.edit.decrypt,
              "Open sealed secrets, on a tmpfs; what is unchanged keeps its bytes");
  v->add_flag("--apply", w.edit.then_apply, "Sign and apply it afterwards");
  p.Applying(v, w.edit.apply, {"table", "json", "yaml"});

  CLI::App& config = p.Group("config", "Configs through the releases");
  v = p.Verb(
      config, "migrate", "What a config says in old words, in those of now",
      "  nodectl config migrate -f n1.yaml                      # the plan\n"
      "  nodectl config migrate -f nodes/ --write\n"
      "  nodectl config migrate -f n1.yaml --k3s v1.36.0+k3s1   # before that release is pinned",
      [&w](Session& s) { return RunMigrate(s, w.migrate); });
  p.Files(v, w.migrate.files);
  v->add_option("--k3s", w.migrate.k3s, "Release of K3s to go to (default: the one that is pinned)")
      ->type_name("VERSION");
  v->add_flag("--write", w.migrate.write, "Do it; comments and order stay");
  p.Output(v, {"table", "json", "yaml", "name"});

  v = p.Verb(p.app(), "describe", "One page about a node, or about what a file means",
             "  nodectl describe n1\n"
             "  nodectl describe n1 -o json\n"
             "  nodectl describe -f n1.yaml                # every value, and where it comes from",
             [&w](Session& s) { return RunDescribe(s, w.describe); });
  v->add_option("node", w.describe.node, "Node of the inventory");
  v->add_option("-f,--file", w.describe.file, "A config, with its defaults")->type_name("FILE");
  v->add_option("--limit", w.describe.limit, "Generations of the history (default: 5)")
      ->check(CLI::NonNegativeNumber);
  p.Output(v, {"table", "wide", "json", "yaml", "name"});
}

}  // namespace basalt::client
