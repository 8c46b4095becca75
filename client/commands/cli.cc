#include "client/commands/cli.h"

#include <poll.h>
#include <unistd.h>

#include <functional>
#include <iostream>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/completion.h"
#include "client/output/errors.h"
#include "machineconfig/schema/fields.h"

namespace basalt::client {
namespace {

constexpr int kUsage = 2;

using Action = std::function<absl::StatusOr<int>(Session&)>;

// Everything the parser fills in; it lives as long as the parser.
struct Words {
  GlobalOptions global;
  std::string timeout;
  InitOptions init;
  PinOptions pin;
  GenConfigOptions gen;
  K3sPinOptions k3s_pin;
  ValidateOptions validate;
  ExplainOptions explain;
  SchemaOptions schema;
  SealOptions seal;
  UnsealOptions unseal;
  RecipientOptions recipient;
  SignOptions sign;
  VerifyOptions verify;
  PlanOptions plan, diff;
  ApplyOptions apply;
  RollbackOptions rollback;
  NodeOptions confirm, cancel, history;
  StatusOptions status;
  GetOptions get;
  LogsOptions logs;
  KubeconfigOptions kubeconfig;
  TrustApplyOptions trust_apply;
  ResetOptions reset;
  std::string shell;
};

class Parser {
 public:
  Parser() : app_("nodectl: signs machine configs and delivers them to nodes", "nodectl") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", "nodectl " BASALT_VERSION " (basalt/v1)",
                          "Version of this program");
    app_.set_help_all_flag("--help-all", "Help of every verb");
    app_.add_option("--context", words_.global.context,
                    "context.yaml of the cluster (default: $NODECTL_CONTEXT)");
    app_.add_option("--passphrase-file", words_.global.passphrase_file,
                    "File whose first line opens keys (default: $NODECTL_PASSPHRASE, then asks)");
    app_.footer(
        "Start: nodectl init DIR --cluster NAME. Each verb has examples: nodectl VERB --help");
    Owner();
    Documents();
    Secrets();
    Applying();
    Nodes();
  }

  CLI::App& app() { return app_; }
  const GlobalOptions& global() const { return words_.global; }
  const Action& action() const { return action_; }

 private:
  CLI::App* Verb(CLI::App& parent, const std::string& name, const std::string& what,
                 const std::string& examples, Action action) {
    CLI::App* verb = parent.add_subcommand(name, what);
    verb->footer("Examples:\n" + examples);
    verb->fallthrough();
    verb->callback([this, action = std::move(action)] { action_ = action; });
    return verb;
  }
  void Output(CLI::App* verb) {
    verb->add_option("-o,--output", words_.global.output, "table, wide, json, yaml or name")
        ->type_name("FORMAT");
  }
  // Where -o names a file.
  void OutputFormat(CLI::App* verb) {
    verb->add_option("--output-format", words_.global.output, "table or json");
  }
  static void Files(CLI::App* verb, std::vector<std::string>& files) {
    verb->add_option("-f,--file", files, "Files, directories, or - for standard input")
        ->type_name("FILE")
        ->required()
        ->allow_extra_args(false);
  }
  static void Node(CLI::App* verb, std::string& node) {
    verb->add_option("-n,--node-name", node, "Node of the inventory")->type_name("NAME");
  }
  static void Identities(CLI::App* verb, std::vector<std::string>& files) {
    verb->add_option("-i,--identity", files,
                     "File that opens sealed secrets; may be repeated (default: the context's)")
        ->type_name("FILE")
        ->allow_extra_args(false);
  }
  static void Signing(CLI::App* verb, SigningOptions& o) {
    Identities(verb, o.identities);
    verb->add_option("--key", o.keys,
                     "Key that signs: a file, or ssh-agent:SHA256:...; may be repeated (default: "
                     "the context's)")
        ->type_name("KEY")
        ->allow_extra_args(false);
    verb->add_option(
            "--sign-command", o.sign_command,
            "Program for the shell that signs: bytes on its standard input, signature, raw "
            "or base64, on its standard output")
        ->type_name("COMMAND");
    verb->add_option("--sign-public-key", o.sign_public_key, "Whose signature that program makes")
        ->type_name("FILE");
    verb->add_flag("--allow-plaintext", o.allow_plaintext,
                   "Sign secrets in the clear; sealed ones are opened");
    verb->add_option("--mode", o.mode, "commit, try or staged: sets metadata.apply.mode");
    verb->add_option("--confirm-within", o.confirm_within,
                     "How long mode try waits: sets metadata.apply.confirmWithin");
    verb->add_option("--reason", o.reason, "Why: sets metadata.reason");
  }
  void Applying(CLI::App* verb, ApplyOptions& o) {
    Node(verb, o.node);
    Signing(verb, o.signing);
    TimeoutOption(verb, "Ends the wait, not the apply: 2m, 90s (default: 10m)");
    verb->add_flag("--dry-run", o.dry_run, "Show the plan of the signed document, apply nothing");
    verb->add_flag("--yes,-y", o.yes, "Do not ask, whatever the effect");
    verb->add_flag("--supersede", o.supersede, "Revert what is pending first (operators)");
    Output(verb);
  }
  // The words of apply, so that `plan` in the place of `apply` is a command line as well.
  void Planning(CLI::App* verb, PlanOptions& o) {
    Files(verb, o.files);
    Node(verb, o.node);
    Identities(verb, o.identities);
    verb->add_option("--key", o.keys, "As in apply; without effect: a plan signs nothing")
        ->type_name("FILE")
        ->allow_extra_args(false);
    TimeoutOption(verb, "How long each node may take: 2m, 90s (default: 110s)");
    verb->add_flag("--dry-run", o.dry_run, "As in apply; without effect: a plan changes nothing");
    verb->add_flag("--yes,-y", o.yes, "As in apply; without effect: nothing is asked");
  }
  void TimeoutOption(CLI::App* verb, const std::string& what) {
    verb->add_option("--timeout", words_.timeout, what)
        ->type_name("DURATION")
        ->check([](const std::string& word) -> std::string {
          absl::Duration value;
          if (absl::ParseDuration(word, &value) && value > absl::ZeroDuration()) return "";
          return absl::StrCat("'", word, "' is not a duration: like 2m or 90s");
        });
  }
  void Timeout(ApplyOptions& o) const {
    if (!words_.timeout.empty()) absl::ParseDuration(words_.timeout, &o.timeout);  // checked above
  }
  void Timeout(PlanOptions& o) const {
    if (!words_.timeout.empty()) absl::ParseDuration(words_.timeout, &o.timeout.emplace());
  }

  void Owner() {
    Words& w = words_;
    CLI::App* v = Verb(app_, "init", "Make keys, trust policy, certificates, tokens and inventory",
                       "  nodectl init lab --cluster home\n"
                       "  nodectl init lab --cluster home --no-passphrase\n"
                       "  NODECTL_PASSPHRASE=... nodectl init lab --cluster home",
                       [&w](Session& s) { return RunInit(s, w.init); });
    v->add_option("dir", w.init.directory, "New or empty directory")->required();
    v->add_option("--cluster", w.init.cluster, "Name of the cluster")->required();
    v->add_flag("--no-passphrase", w.init.no_passphrase, "Keys protected by file modes alone");
    Output(v);

    v = Verb(
        app_, "pin", "Record by which fingerprint a node is known",
        "  nodectl pin n1 --node 192.168.1.10:6050 --fingerprint 4c1f...\n"
        "  nodectl pin n1 --node \"$(cat run/endpoint)\" --fingerprint \"$(cat run/fingerprint)\"\n"
        "  nodectl pin n1 --node 192.168.1.10:6050 --tofu",
        [&w](Session& s) { return RunPin(s, w.pin); });
    v->add_option("name", w.pin.name, "Name of the node")->required();
    v->add_option("--node", w.pin.endpoint, "HOST:PORT")->required();
    v->add_option("--fingerprint", w.pin.fingerprint, "sha256 of the node's identity key");
    v->add_flag("--tofu", w.pin.tofu, "Ask the node, and then you");
    v->add_flag("--yes,-y", w.pin.yes, "Do not ask");
    Output(v);

    CLI::App* gen = app_.add_subcommand("gen", "Generate files")->require_subcommand(1);
    v = Verb(*gen, "config", "Write a complete machine config for a node",
             "  nodectl gen config --name n1 --role server > n1.yaml\n"
             "  nodectl gen config --name n2 --role agent --server n1 > n2.yaml\n"
             "  nodectl gen config --name n1 --role server --set 'k3s.config.disable=[traefik]' -o "
             "n1.yaml\n"
             "  nodectl gen config --name n1 --role server --schema basalt.schema.json -o n1.yaml",
             [&w](Session& s) { return RunGenConfig(s, w.gen); });
    v->add_option("--name", w.gen.name, "Name of the node")->required();
    v->add_option("--role", w.gen.role, "server or agent")
        ->required()
        ->check(CLI::IsMember({"server", "agent"}));
    v->add_option("--server", w.gen.server, "Node of the inventory to join");
    v->add_option("--set", w.gen.set, "path=value; may be repeated")->allow_extra_args(false);
    v->add_option("-o,--output", w.gen.output_file, "New file (0600); default: standard output");
    v->add_option(
         "--schema", w.gen.schema,
         "JSON Schema for the editor (default: basalt.schema.json beside the file, if any)")
        ->type_name("PATH|URL");

    CLI::App* k3s = app_.add_subcommand("k3s", "K3s releases")->require_subcommand(1);
    v = Verb(*k3s, "pin", "Write version, URLs and sha256 of a K3s into a config",
             "  nodectl k3s pin -f n1.yaml --version v1.30.4+k3s1\n"
             "  nodectl k3s pin -f n1.yaml --file /usr/local/bin/k3s",
             [&w](Session& s) { return RunK3sPin(s, w.k3s_pin); });
    v->add_option("-f", w.k3s_pin.file, "The config")->required();
    v->add_option("--version", w.k3s_pin.version, "Release, or version of --file");
    v->add_option("--file", w.k3s_pin.binary, "A K3s binary of this machine");
    v->add_option("--mirror", w.k3s_pin.base_url, "Base URL of the releases");
    Output(v);

    CLI::App* trust = app_.add_subcommand("trust", "The trust policy")->require_subcommand(1);
    v = Verb(*trust, "apply", "Give a node newer versions of the trust policy",
             "  nodectl trust apply -f trust.json -n n1\n"
             "  nodectl trust apply -f trust.json -n n1 -o json",
             [&w](Session& s) { return RunTrustApply(s, w.trust_apply); });
    v->add_option("-f,--file", w.trust_apply.file, "The chain")->required();
    Node(v, w.trust_apply.node);
    Output(v);
  }

  void Documents() {
    Words& w = words_;
    CLI::App* v = Verb(app_, "validate", "Check files without a node: all errors at once",
                       "  nodectl validate -f n1.yaml\n"
                       "  nodectl validate -f nodes/ -o json\n"
                       "  cat n1.yaml | nodectl validate -f -",
                       [&w](Session& s) { return RunValidate(s, w.validate); });
    Files(v, w.validate.files);
    Output(v);

    v = Verb(app_, "explain", "What a field of a document is: type, values, default, effect",
             "  nodectl explain\n"
             "  nodectl explain k3s.cluster\n"
             "  nodectl explain k3s.registries.mirrors.endpoints\n"
             "  nodectl explain k3s.config.kubelet-arg\n"
             "  nodectl explain k3s --recursive\n"
             "  nodectl explain TrustPolicy.grants\n"
             "  nodectl explain Action -o json",
             [&w](Session& s) { return RunExplain(s, w.explain); });
    v->add_option("path", w.explain.path,
                  "Field, or KIND[.FIELD] of MachineConfig (the default), TrustPolicy, Action, "
                  "ConfigSet");
    v->add_flag("--recursive", w.explain.recursive, "Names and types of everything below it");
    Output(v);

    v = Verb(app_, "schema", "The documents as JSON Schema, for editors",
             "  nodectl schema -o basalt.schema.json     # then, as the first line of a config:\n"
             "  # yaml-language-server: $schema=./basalt.schema.json\n"
             "  nodectl schema --kind TrustPolicy",
             [&w](Session& s) { return RunSchema(s, w.schema); });
    v->add_option("--kind", w.schema.kind,
                  "MachineConfig (default), TrustPolicy, Action, ConfigSet");
    v->add_option("-o,--output", w.schema.output_file,
                  "File, written anew when it is a schema; default: standard output");

    v = Verb(app_, "sign", "Fill in what was left out, and sign; or add a signature",
             "  nodectl sign -f n1.yaml --allow-plaintext -o n1.json\n"
             "  nodectl sign -f n1.yaml --key a.key --key b.key --mode try --confirm-within 10m -o "
             "n1.json\n"
             "A second signer adds to the same document:\n"
             "  nodectl sign -f n1.json --key other.key -o n1.json\n"
             "  nodectl sign -f n1.json --key ssh-agent: -o n1.json\n"
             "With a key that only another program has:\n"
             "  nodectl sign -f n1.yaml --sign-command 'kms-sign --key owner' --sign-public-key "
             "owner.pub -o n1.json\n"
             "With ssh-keygen (or minisign -S -t basalt-machineconfig@v1 -m n1.signed.yaml):\n"
             "  nodectl sign -f n1.yaml --payload-only -o n1.signed.yaml\n"
             "  ssh-keygen -Y sign -n basalt-machineconfig@v1 -f ~/.ssh/id_ed25519 n1.signed.yaml\n"
             "  nodectl sign -f n1.signed.yaml --attach n1.signed.yaml.sig -o n1.json",
             [&w](Session& s) { return RunSign(s, w.sign); });
    Files(v, w.sign.files);
    Node(v, w.sign.node);
    Signing(v, w.sign.signing);
    v->add_option("--attach", w.sign.attach,
                  "Signature that ssh-keygen -Y sign or minisign -S made of the file; may be "
                  "repeated")
        ->type_name("FILE")
        ->allow_extra_args(false);
    v->add_flag("--payload-only", w.sign.payload_only,
                "Write the completed config that is to be signed, and sign nothing");
    v->add_option("-o,--output", w.sign.output_file, "File (0600); default: standard output");
    OutputFormat(v);

    v = Verb(app_, "verify", "Check the signatures of documents",
             "  nodectl verify -f n1.json --trust trust.json\n"
             "  nodectl verify -f n1.json -o json",
             [&w](Session& s) { return RunVerify(s, w.verify); });
    Files(v, w.verify.files);
    v->add_option("--trust", w.verify.trust, "The trust chain (default: the context's)");
    Output(v);
  }

  void Secrets() {
    Words& w = words_;
    CLI::App* v =
        Verb(app_, "seal", "Seal secrets, so that a config may stand in Git",
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

    v = Verb(app_, "unseal", "Show a sealed secret of a config",
             "  nodectl unseal -f n1.yaml k3s.token\n"
             "  nodectl unseal -f n1.yaml k3s.token --identity keys/secrets.key",
             [&w](Session& s) { return RunUnseal(s, w.unseal); });
    v->add_option("path", w.unseal.path, "Field")->required();
    v->add_option("-f,--file", w.unseal.file, "The config")->type_name("FILE")->required();
    Identities(v, w.unseal.identities);

    v = Verb(app_, "recipient", "Whom secrets are sealed to",
             "  nodectl recipient\n"
             "  nodectl recipient --identity keys/secrets.key",
             [&w](Session& s) { return RunRecipient(s, w.recipient); });
    v->add_option("-i,--identity", w.recipient.identities, "The recipients of these files instead")
        ->type_name("FILE")
        ->allow_extra_args(false);
  }

  void Applying() {
    Words& w = words_;
    CLI::App* v = Verb(app_, "plan", "Show what would change on a node",
                       "  nodectl plan -f n1.yaml\n"
                       "  nodectl plan -f n1.json -n n1 --detailed-exitcode",
                       [this](Session& s) {
                         Timeout(words_.plan);
                         return RunPlan(s, words_.plan);
                       });
    Planning(v, w.plan);
    v->add_flag("--detailed-exitcode", w.plan.detailed_exit_code,
                "0: no changes, 2: changes, 1: error");
    Output(v);

    v = Verb(app_, "diff", "Show only the changes; exit 0: none, 1: some, more: error",
             "  nodectl diff -f n1.yaml\n"
             "  nodectl diff -f nodes/ || echo changes",
             [this](Session& s) {
               words_.diff.diff = true;
               Timeout(words_.diff);
               return RunPlan(s, words_.diff);
             });
    Planning(v, w.diff);
    Output(v);

    v = Verb(app_, "apply", "Sign when needed, show the plan, deliver, wait until it is healthy",
             "  nodectl apply -f n1.yaml --allow-plaintext\n"
             "  nodectl apply -f n1.json --yes --timeout 2m -o json\n"
             "  nodectl apply -f n1.yaml --allow-plaintext --mode try --confirm-within 5m",
             [this](Session& s) -> absl::StatusOr<int> {
               Timeout(words_.apply);
               return RunApplyVerb(s, words_.apply);
             });
    Files(v, w.apply.files);
    Applying(v, w.apply);

    v = Verb(app_, "rollback", "Sign the content of an old generation as a new one, and apply it",
             "  nodectl rollback 20261123221500 -n n1\n"
             "  nodectl rollback 20261123221500 -n n1 -f old.json --yes",
             [this](Session& s) -> absl::StatusOr<int> {
               Timeout(words_.rollback.apply);
               return RunRollback(s, words_.rollback);
             });
    v->add_option("generation", w.rollback.generation, "See nodectl history")->required();
    v->add_option("-f,--file", w.rollback.file,
                  "The signed file of then (default: the copy kept here)");
    Applying(v, w.rollback.apply);

    v = Verb(app_, "confirm", "Keep what mode try applied",
             "  nodectl confirm -n n1\n  nodectl confirm -n n1 --digest sha256:...",
             [&w](Session& s) { return RunConfirm(s, w.confirm); });
    Node(v, w.confirm.node);
    v->add_option("--digest", w.confirm.digest, "Only this document");
    Output(v);

    v = Verb(app_, "cancel", "End a pending apply: the node goes back",
             "  nodectl cancel -n n1\n  nodectl cancel -n n1 --digest sha256:...",
             [&w](Session& s) { return RunCancel(s, w.cancel); });
    Node(v, w.cancel.node);
    v->add_option("--digest", w.cancel.digest, "Only this document");
    Output(v);
  }

  void Nodes() {
    Words& w = words_;
    CLI::App* v = Verb(app_, "history", "Every generation of a node: who, why, how it ended",
                       "  nodectl history -n n1\n  nodectl history -n n1 --limit 3 -o json",
                       [&w](Session& s) { return RunHistory(s, w.history); });
    Node(v, w.history.node);
    v->add_option("--limit", w.history.limit, "The newest only")->check(CLI::NonNegativeNumber);
    Output(v);

    v = Verb(app_, "status", "What the nodes observe of themselves",
             "  nodectl status\n  nodectl status -n n1 -n n2 -o wide\n  nodectl status -o json",
             [&w](Session& s) { return RunStatus(s, w.status); });
    v->add_option("-n,--node-name", w.status.nodes, "Only these nodes")->allow_extra_args(false);
    Output(v);

    v = Verb(app_, "get", "Resources of a node, by kind",
             "  nodectl get service -n n1\n  nodectl get k3sstatus k3s -n n1 -o json\n"
             "  nodectl get generation -n n1 -o name",
             [&w](Session& s) { return RunGet(s, w.get); });
    v->add_option("kind", w.get.kind, "machinestatus, configstatus, generation, service, k3sstatus")
        ->required();
    v->add_option("name", w.get.name, "One of them");
    Node(v, w.get.node);
    Output(v);

    v = Verb(app_, "logs", "Output of a service",
             "  nodectl logs -n n1\n  nodectl logs k3s -n n1 --tail 50 -f",
             [&w](Session& s) { return RunLogs(s, w.logs); });
    v->add_option("service", w.logs.service, "k3s when it is left out");
    v->add_option("--tail", w.logs.tail, "The last lines only")->check(CLI::NonNegativeNumber);
    v->add_flag("-f,--follow", w.logs.follow, "Go on until interrupted");
    Node(v, w.logs.node);
    Output(v);

    v = Verb(app_, "kubeconfig", "A kubeconfig of the cluster, valid for 8 hours",
             "  nodectl kubeconfig -n n1 > kubeconfig\n  nodectl kubeconfig -n n1 --to kubeconfig",
             [&w](Session& s) { return RunKubeconfig(s, w.kubeconfig); });
    Node(v, w.kubeconfig.node);
    v->add_option("--to", w.kubeconfig.output_file, "File (0600)");
    Output(v);

    v = Verb(
        app_, "reset", "Sign an order that erases a node's config, K3s and data",
        "  nodectl reset -n n1 --key keys/config.key\n  nodectl reset -n n1 --yes --reason OPS-7",
        [&w](Session& s) { return RunReset(s, w.reset); });
    Node(v, w.reset.node);
    v->add_option("--key", w.reset.keys, "Key that signs; may be repeated")
        ->allow_extra_args(false);
    v->add_option("--reason", w.reset.reason, "Why");
    v->add_flag("--yes,-y", w.reset.yes, "Do not ask");
    Output(v);

    v = Verb(app_, "completion", "Completion of words for a shell",
             "  source <(nodectl completion bash)\n  nodectl completion zsh > _nodectl\n"
             "  nodectl completion fish > ~/.config/fish/completions/nodectl.fish",
             [this](Session& s) -> absl::StatusOr<int> {
               s.io().out << Completion(words_.shell, Tree(app_));
               return 0;
             });
    v->add_option("shell", w.shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));

    // For the completion scripts; a node need not be up to be named.
    app_.add_subcommand("__nodes", "")->group("")->fallthrough()->callback([this] {
      action_ = [](Session& s) -> absl::StatusOr<int> {
        absl::StatusOr<const Inventory*> inventory = s.inventory();
        if (!inventory.ok()) return inventory.status();
        for (const InventoryNode& node : (*inventory)->nodes()) s.io().out << node.name << "\n";
        return 0;
      };
    });

    app_.add_subcommand("__paths", "")->group("")->fallthrough()->callback([this] {
      action_ = [](Session& s) { return RunPaths(s); };
    });

    v = Verb(app_, "version", "Version of this program",
             "  nodectl version\n  nodectl version -o json",
             [](Session& s) { return RunVersion(s); });
    Output(v);
  }

  // Verbs and flags as the completion scripts want them: from the parser, so that they cannot
  // differ.
  static std::vector<CompletionVerb> Tree(const CLI::App& app, const std::string& prefix = "") {
    std::vector<CompletionVerb> out;
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (sub->get_group().empty()) continue;  // hidden
      CompletionVerb verb;
      verb.words = prefix + sub->get_name();
      verb.description = sub->get_description();
      for (const CLI::Option* option : sub->get_options()) {
        for (const std::string& name : option->get_lnames()) verb.flags.push_back("--" + name);
        for (const std::string& name : option->get_snames()) verb.flags.push_back("-" + name);
      }
      if (verb.words == "completion") verb.arguments = {"bash", "zsh", "fish"};
      if (verb.words == "logs") verb.arguments = {"k3s"};
      if (verb.words == "get") {
        verb.arguments = {"machinestatus", "configstatus", "generation", "service", "k3sstatus"};
      }
      std::vector<CompletionVerb> below = Tree(*sub, verb.words + " ");
      out.push_back(std::move(verb));
      out.insert(out.end(), below.begin(), below.end());
    }
    return out;
  }

  CLI::App app_;
  Words words_;
  Action action_;
};

}  // namespace

namespace {

// The verb that the words name so far, for `nodectl VERB --help`; and the word after it, when it is
// none of its verbs.
struct Meant {
  const CLI::App* verb;
  std::string words = "nodectl";
  std::string unknown;
};

Meant WhatIsMeant(const CLI::App& app, int argc, char** argv) {
  Meant out{.verb = &app};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--context" || word == "--passphrase-file") ++i;
    if (word.empty() || word[0] == '-') continue;
    const CLI::App* below = nullptr;
    for (const CLI::App* sub : out.verb->get_subcommands([](const CLI::App*) { return true; })) {
      if (sub->get_name() == word) below = sub;
    }
    if (below == nullptr) {
      if (out.verb->get_require_subcommand_min() > 0) out.unknown = word;
      break;
    }
    out.verb = below;
    out.words += " " + word;
  }
  return out;
}

// An unknown verb is named, with the one that was meant.
absl::Status UsageError(const Meant& meant, const std::string& what) {
  if (meant.unknown.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage", what, meant.words + " --help");
  }
  std::vector<absl::string_view> known;
  for (const CLI::App* sub : meant.verb->get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) known.push_back(sub->get_name());
  }
  const std::string near = schema::Nearest(meant.unknown, known);
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage",
                    absl::StrCat("'", meant.unknown, "' is no verb of ", meant.words),
                    near.empty() ? meant.words + " --help"
                                 : absl::StrCat("did you mean `", meant.words, " ", near, "`?"));
}

// Standard output is a pipe, and nobody holds its other end. Asked of the kernel: the errno of the
// write that failed was lost in the stream.
bool ReaderLeft() {
  pollfd out{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

// `nodectl help VERB`, as other tools have it.
std::vector<char*> WithHelp(int argc, char** argv) {
  std::vector<char*> out(argv, argv + argc);
  if (argc > 1 && std::string(argv[1]) == "help") {
    static char flag[] = "--help";
    out.erase(out.begin() + 1);
    out.push_back(flag);
  }
  return out;
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  Io io = StandardIo();
  try {
    Parser parser;
    try {
      std::vector<char*> words = WithHelp(argc, argv);
      if (words.size() == 1) {  // nothing asked: what there is to ask
        io.err << parser.app().help();
        return kUsage;
      }
      parser.app().parse(static_cast<int>(words.size()), words.data());
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) {  // help, version
        parser.app().exit(error, std::cout, std::cerr);
        return 0;
      }
      PrintError(io, UsageError(WhatIsMeant(parser.app(), argc, argv), error.what()));
      return kUsage;
    }
    absl::StatusOr<Format> format = ParseFormat(parser.global().output);
    if (!format.ok()) {
      PrintError(io, format.status());
      return kUsage;
    }
    io.format = *format;
    Session session(io, parser.global());
    absl::StatusOr<int> code = parser.action()(session);
    if (code.ok()) {
      io.out.flush();
      // Who reads no further (`| head -2`) has what they wanted.
      if (io.out.good() || ReaderLeft()) return *code;
      io.err << "error: output-error: standard output cannot be written: is the disk full?\n";
      return 1;
    }
    PrintError(io, code.status());
    // `diff` says 1 for changes, so an error is more; everywhere else it is 1.
    return parser.app().got_subcommand("diff") ? 2 : 1;
  } catch (const std::exception& error) {
    PrintError(io, api::Coded(absl::StatusCode::kInternal, "internal", error.what(),
                              "this is a fault of nodectl: please report it"));
    return 1;
  }
}

}  // namespace basalt::client
