#include "client/commands/completion.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace basalt::client {
namespace {

// "" → the first words; "gen" → "config"; with the descriptions.
std::map<std::string, std::vector<const CompletionVerb*>> Children(
    const std::vector<CompletionVerb>& verbs) {
  std::map<std::string, std::vector<const CompletionVerb*>> out;
  for (const CompletionVerb& verb : verbs) {
    size_t space = verb.words.rfind(' ');
    out[space == std::string::npos ? "" : verb.words.substr(0, space)].push_back(&verb);
  }
  return out;
}

std::string Last(const CompletionVerb& verb) {
  size_t space = verb.words.rfind(' ');
  return space == std::string::npos ? verb.words : verb.words.substr(space + 1);
}

std::string Names(const std::vector<const CompletionVerb*>& verbs) {
  return absl::StrJoin(verbs, " ", [](std::string* out, const CompletionVerb* verb) {
    absl::StrAppend(out, Last(*verb));
  });
}

// bash; zsh runs the same by its bashcompinit.
std::string Bash(const std::vector<CompletionVerb>& verbs) {
  const auto children = Children(verbs);
  std::string out =
      "# nodectl completion: source <(nodectl completion bash)\n"
      "_nodectl() {\n"
      "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" verb='' word i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=\"${COMP_WORDS[i]}\"\n"
      "    case \"$verb${verb:+ }$word\" in\n      ";
  absl::StrAppend(&out,
                  absl::StrJoin(verbs, "|",
                                [](std::string* text, const CompletionVerb& verb) {
                                  absl::StrAppend(text, "'", verb.words, "'");
                                }),
                  ") verb=\"$verb${verb:+ }$word\" ;;\n    esac\n  done\n  case \"$verb\" in\n");
  absl::StrAppend(&out, "    '') COMPREPLY=($(compgen -W '", Names(children.at("")),
                  " --context --passphrase-file --help' -- \"$cur\")) ;;\n");
  for (const CompletionVerb& verb : verbs) {
    auto below = children.find(verb.words);
    std::string words = absl::StrJoin(verb.flags, " ");
    if (below != children.end()) words = absl::StrCat(Names(below->second), " ", words);
    if (verb.words == "completion") words = absl::StrCat("bash zsh fish ", words);
    absl::StrAppend(&out, "    '", verb.words, "') COMPREPLY=($(compgen -W '", words,
                    "' -- \"$cur\")) ;;\n");
  }
  absl::StrAppend(&out,
                  "  esac\n"
                  "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                  "}\ncomplete -F _nodectl nodectl\n");
  return out;
}

std::string Fish(const std::vector<CompletionVerb>& verbs) {
  auto quote = [](const std::string& text) {
    return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
  };
  const auto children = Children(verbs);
  std::string out = "# nodectl completion fish > ~/.config/fish/completions/nodectl.fish\n";
  for (const CompletionVerb* verb : children.at("")) {
    absl::StrAppend(&out, "complete -c nodectl -n __fish_use_subcommand -f -a ", Last(*verb),
                    " -d ", quote(verb->description), "\n");
  }
  for (const CompletionVerb& verb : verbs) {
    std::string condition = absl::StrCat(
        "'__fish_seen_subcommand_from ",
        absl::StrReplaceAll(verb.words, {{" ", "; and __fish_seen_subcommand_from "}}), "'");
    if (auto below = children.find(verb.words); below != children.end()) {
      for (const CompletionVerb* child : below->second) {
        absl::StrAppend(&out, "complete -c nodectl -n ", condition, " -f -a ", Last(*child), " -d ",
                        quote(child->description), "\n");
      }
    }
    for (const std::string& flag : verb.flags) {
      const bool is_long = flag.size() > 2;
      absl::StrAppend(&out, "complete -c nodectl -n ", condition, is_long ? " -l " : " -s ",
                      flag.substr(is_long ? 2 : 1), "\n");
    }
  }
  absl::StrAppend(&out,
                  "complete -c nodectl -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh "
                  "fish'\n");
  return out;
}

}  // namespace

std::string Completion(const std::string& shell, const std::vector<CompletionVerb>& verbs) {
  if (shell == "fish") return Fish(verbs);
  if (shell == "zsh") {
    return absl::StrCat("#compdef nodectl\nautoload -U +X bashcompinit && bashcompinit\n",
                        Bash(verbs));
  }
  return Bash(verbs);
}

}  // namespace basalt::client
