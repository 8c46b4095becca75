// Bringing a document to a node, and what follows.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  PlanOptions plan;
  PlanOptions diff;
  ApplyOptions apply;
  RollbackOptions rollback;
  NodeOptions confirm;
  NodeOptions cancel;
};

}  // namespace

void AddApplyVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(p.app(), "plan", "Show what would change on a node",
                       "  nodectl plan -f n1.yaml\n"
                       "  nodectl plan -f n1.json -n n1 --detailed-exitcode",
                       [&w](Session& s) { return RunPlan(s, w.plan); });
  p.Planning(v, w.plan);
  v->add_flag("--detailed-exitcode", w.plan.detailed_exit_code,
              "0: no changes, 2: changes, 1: error");
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(p.app(), "diff", "Show only the changes; exit 0: none, 1: some, more: error",
             "  nodectl diff -f n1.yaml\n"
             "  nodectl diff -f nodes/ || echo changes",
             [&w](Session& s) {
               w.diff.diff = true;
               return RunPlan(s, w.diff);
             });
  p.Planning(v, w.diff);
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(p.app(), "apply", "Sign when needed, show the plan, deliver, wait until it is healthy",
             "  nodectl apply -f n1.yaml\n"
             "  nodectl apply -f n1.json --yes --timeout 2m -o json\n"
             "  nodectl apply -f n1.yaml --mode try --confirm-within 5m",
             [&w](Session& s) { return RunApplyVerb(s, w.apply); });
  p.Files(v, w.apply.files);
  p.Applying(v, w.apply);

  v = p.Verb(p.app(), "rollback",
             "Sign the content of an old generation as a new one, and apply it",
             "  nodectl rollback 20261123221500 -n n1\n"
             "  nodectl rollback 20261123221500 -n n1 -f old.json --yes\n"
             "  nodectl rollback 20261123221500 -n n1 --key ssh-agent: --key other.key\n"
             "Two people, each on a machine of their own:\n"
             "  nodectl rollback 20261123221500 -n n1 --to n1.json\n"
             "  nodectl sign -f n1.json --key other.key -o n1.json && nodectl apply -f n1.json",
             [&w](Session& s) { return RunRollback(s, w.rollback); });
  v->add_option("generation", w.rollback.generation, "See nodectl history")->required();
  v->add_option("-f,--file", w.rollback.file,
                "The signed file of then (default: the copy kept here)");
  v->add_option("--to", w.rollback.to, "Write the signed document for others to sign; send nothing")
      ->type_name("FILE");
  p.Applying(v, w.rollback.apply);

  v = p.Verb(p.app(), "confirm", "Keep what mode try applied",
             "  nodectl confirm -n n1\n  nodectl confirm -n n1 --digest sha256:...",
             [&w](Session& s) { return RunConfirm(s, w.confirm); });
  p.Node(v, w.confirm.node);
  v->add_option("--digest", w.confirm.digest, "Only this document");
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(p.app(), "cancel", "End a pending apply: the node goes back",
             "  nodectl cancel -n n1\n  nodectl cancel -n n1 --digest sha256:...",
             [&w](Session& s) { return RunCancel(s, w.cancel); });
  p.Node(v, w.cancel.node);
  v->add_option("--digest", w.cancel.digest, "Only this document");
  p.Output(v, {"table", "json", "yaml"});
}

}  // namespace basalt::client
