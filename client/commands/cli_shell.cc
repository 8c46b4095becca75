// What serves the shell and tells of the program itself.
#include "client/commands/completion.h"
#include "client/commands/man.h"
#include "client/commands/parser.h"
#include "client/context/files.h"

namespace basalt::client {
namespace {

// Verbs and flags as the completion scripts want them: from the parser, so that they cannot
// differ.
std::vector<CompletionVerb> Tree(const CLI::App& app, const std::string& prefix = "") {
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
      verb.arguments = {"machinestatus", "configstatus", "generation", "service",
                        "k3sstatus",     "systemstatus", "link",       "disk",
                        "volumestatus",  "image",        "slot",       "extension"};
    }
    std::vector<CompletionVerb> below = Tree(*sub, verb.words + " ");
    out.push_back(std::move(verb));
    out.insert(out.end(), below.begin(), below.end());
  }
  return out;
}

}  // namespace

void AddShellVerbs(Parser& p) {
  auto& shell = p.Keep<std::string>();
  CLI::App* v = p.Verb(p.app(), "completion", "Completion of words for a shell",
                       "  source <(nodectl completion bash)\n  nodectl completion zsh > _nodectl\n"
                       "  nodectl completion fish > ~/.config/fish/completions/nodectl.fish",
                       [&p, &shell](Session& s) -> absl::StatusOr<int> {
                         s.io().out << Completion(shell, Tree(p.app()));
                         return 0;
                       });
  v->add_option("shell", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));

  // For the completion scripts; a node need not be up to be named.
  p.Hidden("__nodes", [](Session& s) -> absl::StatusOr<int> {
    absl::StatusOr<const Inventory*> inventory = s.inventory();
    if (!inventory.ok()) return inventory.status();
    for (const InventoryNode& node : (*inventory)->nodes()) s.io().out << node.name << "\n";
    return 0;
  });
  p.Hidden("__keys", [](Session& s) -> absl::StatusOr<int> {
    absl::StatusOr<const sign::VerifiedChain*> trust = s.trust();
    if (!trust.ok()) return trust.status();
    for (const v1::TrustKey& key : (*trust)->policy.keys()) s.io().out << key.name() << "\n";
    return 0;
  });
  auto& generations = p.Keep<NodeOptions>();
  Parser::Node(p.Hidden("__generations",
                        [&generations](Session& s) { return RunGenerations(s, generations); }),
               generations.node);
  p.Hidden("__paths", [](Session& s) { return RunPaths(s); });

  // For the installation: the manual pages, into a directory.
  auto& pages = p.Keep<std::string>();
  p.Hidden("__man",
           [&p, &pages](Session&) -> absl::StatusOr<int> {
             if (absl::Status s = MakeDirectory(pages, 0755); !s.ok()) return s;
             for (const auto& [name, text] : ManPages(p.app())) {
               absl::Status s = WriteFileAtomically(JoinPath(pages, name), text, 0644);
               if (!s.ok()) return s;
             }
             return 0;
           })
      ->add_option("dir", pages)
      ->required();

  v = p.Verb(p.app(), "version", "Version of this program",
             "  nodectl version\n  nodectl version -o json",
             [](Session& s) { return RunVersion(s); });
  p.Output(v, {"table", "json", "yaml", "name"});
}

}  // namespace basalt::client
