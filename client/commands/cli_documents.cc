// What is done with documents without a node.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  ValidateOptions validate;
  ExplainOptions explain;
  SchemaOptions schema;
  SignOptions sign;
  VerifyOptions verify;
};

}  // namespace

void AddDocumentVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(p.app(), "validate", "Check files without a node: all errors at once",
                       "  nodectl validate -f n1.yaml\n"
                       "  nodectl validate -f nodes/ -o json\n"
                       "  cat n1.yaml | nodectl validate -f -\n"
                       "  nodectl validate -f n1.yaml -n n1          # by the schema of that node",
                       [&w](Session& s) { return RunValidate(s, w.validate); });
  p.Files(v, w.validate.files);
  p.SchemaOf(v, w.validate.node);
  p.Output(v, {"table", "json", "yaml", "name"});

  v = p.Verb(p.app(), "explain", "What a field of a document is: type, values, default, effect",
             "  nodectl explain\n"
             "  nodectl explain k3s.cluster\n"
             "  nodectl explain k3s.registries.mirrors.endpoints\n"
             "  nodectl explain k3s.config.kubelet-arg\n"
             "  nodectl explain k3s --recursive\n"
             "  nodectl explain TrustPolicy.grants\n"
             "  nodectl explain Action -o json\n"
             "  nodectl explain k3s -n n1                  # as that node's release has it",
             [&w](Session& s) { return RunExplain(s, w.explain); });
  v->add_option("path", w.explain.path,
                "Field, or KIND[.FIELD] of MachineConfig (the default), TrustPolicy, Action, "
                "ConfigSet");
  p.SchemaOf(v, w.explain.node);
  v->add_flag("--recursive", w.explain.recursive, "Names and types of everything below it");
  p.Output(v, {"table", "json", "yaml", "name"});

  v = p.Verb(p.app(), "schema", "The documents as JSON Schema, for editors",
             "  nodectl schema -o basalt.schema.json     # then, as the first line of a config:\n"
             "  # yaml-language-server: $schema=./basalt.schema.json\n"
             "  nodectl schema --kind TrustPolicy\n"
             "  nodectl schema -n n1 -o basalt.schema.json",
             [&w](Session& s) { return RunSchema(s, w.schema); });
  v->add_option("--kind", w.schema.kind, "MachineConfig (default), TrustPolicy, Action, ConfigSet");
  p.SchemaOf(v, w.schema.node);
  v->add_option("-o,--output", w.schema.output_file,
                "File, written anew when it is a schema; default: standard output");

  v = p.Verb(
      p.app(), "sign",
      "Fill in what was left out, show what changes, and sign: one file or many at once; or add a "
      "signature",
      "  nodectl sign -f n1.yaml -o n1.json\n"
      "  nodectl sign -f n1.yaml --key a.key --key b.key --mode try --confirm-within 10m -o "
      "n1.json\n"
      "A second signer adds to the same document:\n"
      "  nodectl sign -f n1.json --key other.key -o n1.json\n"
      "  nodectl sign -f n1.json --key ssh-agent: -o n1.json\n"
      "Several files under one signature, so that a hardware key is touched once; the second "
      "signer:\n"
      "  nodectl sign -f nodes/ --key ssh-agent: -o signed/\n"
      "  nodectl sign -f signed/ --key other.key -o signed/\n"
      "So with a next trust policy (nodectl trust) and with an order (nodectl reset --to):\n"
      "  nodectl sign -f trust.next.json --key other-root.key -o trust.next.json\n"
      "With a key that only another program has:\n"
      "  nodectl sign -f n1.yaml --sign-command 'kms-sign --key owner' --sign-public-key "
      "owner.pub -o n1.json\n"
      "With ssh-keygen (or minisign -S -t basalt-machineconfig@v1 -m n1.signed.yaml):\n"
      "  nodectl sign -f n1.yaml --payload-only -o n1.signed.yaml\n"
      "  ssh-keygen -Y sign -n basalt-machineconfig@v1 -f ~/.ssh/id_ed25519 n1.signed.yaml\n"
      "  nodectl sign -f n1.signed.yaml --attach n1.signed.yaml.sig -o n1.json\n"
      "And a second signer so, of what was signed (of a next trust policy too):\n"
      "  nodectl sign -f n1.json --payload-only -o n1.signed.yaml\n"
      "  nodectl sign -f n1.json --attach n1.signed.yaml.sig -o n1.json\n"
      "The same for several files, of which set.yaml is the one to sign:\n"
      "  nodectl sign -f nodes/ --payload-only -o tosign/\n"
      "  ssh-keygen -Y sign -n basalt-configset@v1 -f ~/.ssh/id_ed25519 tosign/set.yaml\n"
      "  nodectl sign -f tosign/ --attach tosign/set.yaml.sig -o signed/",
      [&w](Session& s) { return RunSign(s, w.sign); });
  p.Files(v, w.sign.files);
  p.Node(v, w.sign.node);
  p.Signing(v, w.sign.signing);
  v->add_option("--attach", w.sign.attach,
                "Signature that ssh-keygen -Y sign or minisign -S made of the file; may be "
                "repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  v->add_flag("--payload-only", w.sign.payload_only,
              "Write what is to be signed, with the completed files of a set beside it, and sign "
              "nothing");
  v->add_option("--medium", w.sign.medium,
                "Sign a first config for this boot medium (nodectl image medium)")
      ->type_name("FILE");
  v->add_flag("--yes,-y", w.sign.yes, "Do not ask, whatever the effect");
  v->add_option("-o,--output", w.sign.output_file,
                "File (0600), or DIRECTORY/ for a file each node; default: standard output");
  p.OutputFormat(v, {"table", "json"});

  v = p.Verb(p.app(), "verify", "Check the signatures of documents",
             "  nodectl verify -f n1.json --trust trust.json\n"
             "  nodectl verify -f n1.json -o json",
             [&w](Session& s) { return RunVerify(s, w.verify); });
  p.Files(v, w.verify.files);
  v->add_option("--trust", w.verify.trust, "The trust chain (default: the context's)");
  p.Output(v, {"table", "json", "yaml", "name"});
}

}  // namespace basalt::client
