#include "client/commands/parser.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace basalt::client {

Parser::Parser() : app_("nodectl: signs machine configs and delivers them to nodes", "nodectl") {
  app_.require_subcommand(1);
  app_.set_version_flag("--version", "nodectl " BASALT_VERSION " (basalt/v1)",
                        "Version of this program");
  app_.set_help_all_flag("--help-all", "Help of every verb");
  app_.add_option("--context", global_.context,
                  "context.yaml of the cluster (default: $NODECTL_CONTEXT)");
  app_.add_option("--passphrase-file", global_.passphrase_file,
                  "File whose first line opens keys (default: $NODECTL_PASSPHRASE, then asks)");
  app_.footer(
      "Start: nodectl init DIR --cluster NAME. Each verb has examples: nodectl VERB --help");
  AddOwnerVerbs(*this);
  AddTrustVerbs(*this);
  AddDocumentVerbs(*this);
  AddEditingVerbs(*this);
  AddSecretVerbs(*this);
  AddApplyVerbs(*this);
  AddUpgradeVerbs(*this);
  AddExtensionVerbs(*this);
  AddNodeVerbs(*this);
  AddShellVerbs(*this);
}

CLI::App* Parser::Verb(CLI::App& parent, const std::string& name, const std::string& what,
                       const std::string& examples, Action action) {
  CLI::App* verb = parent.add_subcommand(name, what);
  verb->footer("Examples:\n" + examples);
  verb->fallthrough();
  verb->callback([this, verb, action = std::move(action)] {
    action_ = action;
    formats_ = formats_of_[verb];
  });
  return verb;
}

CLI::App* Parser::Hidden(const std::string& name, Action action) {
  CLI::App* verb = app_.add_subcommand(name, "")->group("")->fallthrough();
  verb->callback([this, action = std::move(action)] { action_ = action; });
  return verb;
}

CLI::App& Parser::Group(const std::string& name, const std::string& what) {
  for (CLI::App* made : app_.get_subcommands([](const CLI::App*) { return true; })) {
    if (made->get_name() == name) return *made;
  }
  return *app_.add_subcommand(name, what)->require_subcommand(1);
}

void Parser::Output(CLI::App* verb, std::vector<std::string> formats) {
  verb->add_option("-o,--output", global_.output, absl::StrJoin(formats, ", "))
      ->type_name("FORMAT");
  formats_of_[verb] = std::move(formats);
}

void Parser::OutputFormat(CLI::App* verb, std::vector<std::string> formats) {
  verb->add_option("--output-format", global_.output, absl::StrJoin(formats, ", "))
      ->type_name("FORMAT");
  formats_of_[verb] = std::move(formats);
}

void Parser::Files(CLI::App* verb, std::vector<std::string>& files) {
  verb->add_option("-f,--file", files, "Files, directories, or - for standard input")
      ->type_name("FILE")
      ->required()
      ->allow_extra_args(false);
}

void Parser::Node(CLI::App* verb, std::string& node) {
  verb->add_option("-n,--node-name", node, "Node of the inventory")->type_name("NAME");
}

void Parser::SchemaOf(CLI::App* verb, std::string& node) {
  verb->add_option("-n,--node-name", node,
                   "Node of the inventory whose schema is gone by (default: this program's own)")
      ->type_name("NAME");
}

void Parser::Identities(CLI::App* verb, std::vector<std::string>& files) {
  verb->add_option("-i,--identity", files,
                   "File that opens sealed secrets; may be repeated (default: the context's)")
      ->type_name("FILE")
      ->allow_extra_args(false);
}

void Parser::Signers(CLI::App* verb, SigningOptions& o, const std::string& flag,
                     const std::string& fallback) {
  verb->add_option(flag, o.keys,
                   absl::StrCat("Key that signs: a file, or ssh-agent:SHA256:...; may be repeated "
                                "(default: ",
                                fallback, ")"))
      ->type_name("KEY")
      ->allow_extra_args(false);
  verb->add_option("--sign-command", o.sign_command,
                   "Program for the shell that signs: bytes on its standard input, signature, raw "
                   "or base64, on its standard output")
      ->type_name("COMMAND");
  verb->add_option("--sign-public-key", o.sign_public_key, "Whose signature that program makes")
      ->type_name("FILE");
}

void Parser::Signing(CLI::App* verb, SigningOptions& o) {
  Identities(verb, o.identities);
  Signers(verb, o);
  verb->add_flag("--allow-plaintext", o.allow_plaintext,
                 "Sign secrets in the clear that cannot be sealed for the node");
  verb->add_option("--mode", o.mode, "commit, try or staged: sets metadata.apply.mode");
  verb->add_option("--confirm-within", o.confirm_within,
                   "How long mode try waits: sets metadata.apply.confirmWithin");
  verb->add_option("--reason", o.reason, "Why: sets metadata.reason");
}

void Parser::Timeout(CLI::App* verb, const std::string& what,
                     std::function<void(absl::Duration)> set) {
  verb->add_option_function<std::string>(
          "--timeout",
          [set = std::move(set)](const std::string& word) {
            absl::Duration value;
            if (absl::ParseDuration(word, &value)) set(value);  // checked below
          },
          what)
      ->type_name("DURATION")
      ->check([](const std::string& word) -> std::string {
        absl::Duration value;
        if (absl::ParseDuration(word, &value) && value > absl::ZeroDuration()) return "";
        return absl::StrCat("'", word, "' is not a duration: like 2m or 90s");
      });
}

void Parser::Applying(CLI::App* verb, ApplyOptions& o, std::vector<std::string> formats) {
  Node(verb, o.node);
  Signing(verb, o.signing);
  Timeout(verb, "Ends the wait, not the apply: 2m, 90s (default: 10m)",
          [&o](absl::Duration value) { o.timeout = value; });
  verb->add_flag("--dry-run", o.dry_run, "Show the plan of the signed document, apply nothing");
  verb->add_flag("--yes,-y", o.yes, "Do not ask, whatever the effect");
  verb->add_flag("--supersede", o.supersede, "Revert what is pending first (operators)");
  Output(verb, std::move(formats));
}

void Parser::Planning(CLI::App* verb, PlanOptions& o) {
  Files(verb, o.files);
  Node(verb, o.node);
  Identities(verb, o.identities);
  verb->add_option("--key", o.keys, "As in apply; without effect: a plan signs nothing")
      ->type_name("FILE")
      ->allow_extra_args(false);
  Timeout(verb, "How long each node may take: 2m, 90s (default: 110s)",
          [&o](absl::Duration value) { o.timeout = value; });
  verb->add_flag("--dry-run", o.dry_run, "As in apply; without effect: a plan changes nothing");
  verb->add_flag("--yes,-y", o.yes, "As in apply; without effect: nothing is asked");
}

}  // namespace basalt::client
