// Sealed secrets.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  SealOptions seal;
  UnsealOptions unseal;
  RecipientOptions recipient;
};

}  // namespace

void AddSecretVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v =
      p.Verb(p.app(), "seal", "Seal secrets, so that a config may stand in Git",
             "  nodectl seal -f n1.yaml --all                      # all that stand in the clear\n"
             "  nodectl seal -f n1.yaml k3s.token                  # asks for the value\n"
             "  nodectl seal -f n1.yaml k3s.datastore.key < db.key\n"
             "  nodectl seal --cluster home --name n1 --recipient age1... k3s.token < token",
             [&w](Session& s) { return RunSeal(s, w.seal); });
  v->add_option("path", w.seal.path,
                "Field, like k3s.token or k3s.registries.configs[ghcr.io].password");
  v->add_option("-f,--file", w.seal.file, "The config to edit; without: text to standard output")
      ->type_name("FILE");
  v->add_flag("--all", w.seal.all, "Every secret of the file that stands in the clear");
  v->add_option("-r,--recipient", w.seal.recipients,
                "age1...; may be repeated (default: recipients of the context)")
      ->allow_extra_args(false);
  v->add_option("-R,--recipients-file", w.seal.recipient_files, "File with a recipient a line")
      ->type_name("FILE")
      ->allow_extra_args(false);
  v->add_option("--cluster", w.seal.cluster, "Without -f (default: the context's)");
  v->add_option("--name", w.seal.name, "Without -f: the node");

  v = p.Verb(p.app(), "unseal", "Show a sealed secret of a config",
             "  nodectl unseal -f n1.yaml k3s.token\n"
             "  nodectl unseal -f n1.yaml k3s.token --identity keys/secrets.key",
             [&w](Session& s) { return RunUnseal(s, w.unseal); });
  v->add_option("path", w.unseal.path, "Field")->required();
  v->add_option("-f,--file", w.unseal.file, "The config")->type_name("FILE")->required();
  p.Identities(v, w.unseal.identities);

  v = p.Verb(p.app(), "recipient", "Whom secrets are sealed to",
             "  nodectl recipient\n"
             "  nodectl recipient --identity keys/secrets.key",
             [&w](Session& s) { return RunRecipient(s, w.recipient); });
  v->add_option("-i,--identity", w.recipient.identities, "The recipients of these files instead")
      ->type_name("FILE")
      ->allow_extra_args(false);
  p.Output(v, {"table", "json", "yaml"});
}

}  // namespace basalt::client
