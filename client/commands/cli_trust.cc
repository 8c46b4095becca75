// Who may sign what: the trust policy and its chain.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  TrustShowOptions show;
  AddKeyOptions add_key;
  RevokeKeyOptions revoke_key;
  TrustGrantOptions grant;
  UngrantOptions ungrant;
  RotateOptions rotate;
  EpochOptions epoch;
  AdoptOptions adopt;
  TrustApplyOptions apply;
  SheetOptions sheet;
};

// What every verb has that makes a next version. `--key` names keys of the policy here.
void Editing(Parser& p, CLI::App* v, TrustEditOptions& o) {
  Parser::Signers(v, o.signing, "--root-key,--old-key",
                  "root keys whose files lie beside the context's");
  v->add_flag("--dry-run", o.dry_run, "Show what would change, sign nothing");
  v->add_flag("--payload-only", o.payload_only,
              "Write the policy that is to be signed, sign nothing");
  v->add_option("--to", o.to,
                "Where the policy goes that is not signed, or not by all (default: standard "
                "output, trust.next.json)")
      ->type_name("FILE");
  p.Output(v, {"table", "json", "yaml"});
}

void Scope(CLI::App* v, std::vector<std::string>& paths, std::vector<std::string>& labels,
           std::vector<std::string>& verbs) {
  v->add_option("--path", paths, "Field that may change, with all below it; may be repeated")
      ->type_name("PATH")
      ->allow_extra_args(false);
  v->add_option("--label", labels, "Only nodes with it, before and after; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  v->add_option("--verb", verbs, "Of action and breakglass: reset, ...; may be repeated")
      ->type_name("VERB")
      ->allow_extra_args(false);
}

CLI::Option* ForWhat(CLI::App* v, std::string& for_what, const std::string& what) {
  return v->add_option("--for", for_what, what)
      ->type_name("KIND")
      ->check(CLI::IsMember({"machineconfig", "action", "image", "bundle", "breakglass"}));
}

}  // namespace

void AddTrustVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App& trust = p.Group("trust", "The trust policy: who may sign what");
  CLI::App* v = p.Verb(trust, "show", "Versions, keys, grants in words, and where the keys lie",
                       "  nodectl trust show\n  nodectl trust show -o json\n"
                       "  nodectl trust show -f trust.next.json    # whose signatures are missing",
                       [&w](Session& s) { return RunTrustShow(s, w.show); });
  v->add_option("-f,--file", w.show.file, "Another chain, or a next version")->type_name("FILE");
  p.Output(v, {"table", "json", "yaml", "name"});

  v = p.Verb(trust, "add-key", "Add a key: to root, with a grant of its own, or for later grants",
             "  nodectl trust add-key alice --public-key alice.pub --for machineconfig\n"
             "  nodectl trust add-key ci --public-key 'ssh-ed25519 AAAA... ci' --for machineconfig "
             "--path k3s.images --label site=lab\n"
             "  nodectl trust add-key root-b --public-key root-b.pub --root\n"
             "  nodectl trust add-key ops --generate --for action --verb reset",
             [&w](Session& s) { return RunTrustAddKey(s, w.add_key); });
  v->add_option("name", w.add_key.name, "How the policy calls it")->required();
  v->add_option("--public-key", w.add_key.public_key, "PEM, OpenSSH or minisign: a file or a line")
      ->type_name("FILE|LINE");
  v->add_flag("--generate", w.add_key.generate, "Make a key: keys/NAME.key (0600)");
  v->add_flag("--no-passphrase", w.add_key.no_passphrase, "Of a generated key");
  v->add_flag("--root", w.add_key.root, "It signs trust policies, and nothing else");
  ForWhat(v, w.add_key.for_what, "A grant for this key alone");
  v->add_option("--threshold", w.add_key.threshold, "With --root: how many root keys have to sign")
      ->check(CLI::Range(1, 16));
  Scope(v, w.add_key.paths, w.add_key.labels, w.add_key.verbs);
  Editing(p, v, w.add_key.edit);

  v = p.Verb(trust, "revoke-key",
             "Take a key out of root and every grant: it is never accepted again",
             "  nodectl trust revoke-key alice\n"
             "  nodectl trust revoke-key root-b --threshold 1\n"
             "  nodectl trust revoke-key alice --dry-run",
             [&w](Session& s) { return RunTrustRevokeKey(s, w.revoke_key); });
  v->add_option("name", w.revoke_key.name, "The key")->required();
  v->add_option("--threshold", w.revoke_key.threshold,
                "How many root keys have to sign from then on")
      ->check(CLI::Range(1, 16));
  Editing(p, v, w.revoke_key.edit);

  v = p.Verb(trust, "grant", "Let keys sign something: what, which fields, which nodes, how many",
             "  nodectl trust grant --for machineconfig --key alice --key bob --threshold 2\n"
             "  nodectl trust grant --for machineconfig --key ci --path k3s.images --path "
             "'k3s.config[disable]' --label site=lab\n"
             "  nodectl trust grant --for breakglass --key oncall --verb clusterReset",
             [&w](Session& s) { return RunTrustGrant(s, w.grant); });
  ForWhat(v, w.grant.for_what, "The kind of document")->required();
  v->add_option("--key", w.grant.keys, "Name of a key of the policy; may be repeated")
      ->type_name("NAME")
      ->required()
      ->allow_extra_args(false);
  v->add_option("--threshold", w.grant.threshold, "How many of them have to sign")
      ->check(CLI::Range(1, 16));
  Scope(v, w.grant.paths, w.grant.labels, w.grant.verbs);
  Editing(p, v, w.grant.edit);

  v = p.Verb(trust, "ungrant", "Take a grant away",
             "  nodectl trust show && nodectl trust ungrant 2\n  nodectl trust ungrant 2 --dry-run",
             [&w](Session& s) { return RunTrustUngrant(s, w.ungrant); });
  v->add_option("number", w.ungrant.number, "As `trust show` numbers them")->required();
  Editing(p, v, w.ungrant.edit);

  v = p.Verb(trust, "rotate", "Put a new key into every place of an old one, which is revoked",
             "  nodectl trust rotate config --generate\n"
             "  nodectl trust rotate config --new-public-key alice.pub --as alice\n"
             "  nodectl trust rotate root --old-key keys/root.key --new-key /media/usb/root-2.key\n"
             "  nodectl trust rotate root --new-key ssh-agent: --new-public-key id_ed25519.pub",
             [&w](Session& s) { return RunTrustRotate(s, w.rotate); });
  v->add_option("name", w.rotate.name, "The old key")->required();
  v->add_option("--new-key", w.rotate.new_key,
                "The new key: a file, or ssh-agent:SHA256:...; a new root signs with it")
      ->type_name("KEY");
  v->add_option("--new-public-key", w.rotate.new_public_key,
                "Its public half, when the key itself is elsewhere: a file or a line")
      ->type_name("FILE|LINE");
  v->add_flag("--generate", w.rotate.generate, "Make the new key: keys/NAME.key (0600)");
  v->add_flag("--no-passphrase", w.rotate.no_passphrase, "Of a generated key");
  v->add_option("--as", w.rotate.as, "Name of the new key (default: config-2 after config)")
      ->type_name("NAME");
  Editing(p, v, w.rotate.edit);

  v = p.Verb(trust, "epoch", "Raise the epoch: every generation so far is history",
             "  nodectl trust epoch\n  nodectl trust epoch 3 --dry-run",
             [&w](Session& s) { return RunTrustEpoch(s, w.epoch); });
  v->add_option("epoch", w.epoch.epoch, "The new epoch (default: one more)");
  Editing(p, v, w.epoch.edit);

  v = p.Verb(
      trust, "adopt", "Keep a next version that has its signatures, or a newer chain",
      "  nodectl trust adopt -f trust.next.json\n  nodectl trust adopt -f colleague/trust.json",
      [&w](Session& s) { return RunTrustAdopt(s, w.adopt); });
  v->add_option("-f,--file", w.adopt.file, "A version, or a chain")->type_name("FILE")->required();
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(trust, "apply", "Give nodes the newest version of the trust policy",
             "  nodectl trust apply -n n1\n  nodectl trust apply -n n1 -n n2\n"
             "  nodectl trust apply -f trust.json -n n1 -o json",
             [&w](Session& s) { return RunTrustApply(s, w.apply); });
  v->add_option("-f,--file", w.apply.file, "The chain (default: the context's)")->type_name("FILE");
  v->add_option("-n,--node-name", w.apply.nodes, "Node of the inventory; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(trust, "sheet", "A page to print: the keys, what losing each means, how to restore",
             "  nodectl trust sheet\n  nodectl trust sheet --to recovery.txt\n"
             "  nodectl trust sheet --with-secrets --to /media/usb/recovery.txt",
             [&w](Session& s) { return RunTrustSheet(s, w.sheet); });
  v->add_option("--to", w.sheet.to, "File, written anew (0600 with secrets)")->type_name("FILE");
  v->add_flag("--with-secrets", w.sheet.with_secrets, "With the keys and tokens themselves");
}

}  // namespace basalt::client
