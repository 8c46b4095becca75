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

// What stands after a flag. An empty COMPREPLY leaves the word to the shell, which knows files.
constexpr absl::string_view kValues = R"BASH(  case "$verb:$prev" in
    get:generation)
      COMPREPLY=($(compgen -W "$(nodectl "${context[@]}" __generations "${node[@]}" 2>/dev/null)" -- "$cur")); return ;;
  esac
  case "$prev" in
    -n|--node-name|--server)
      COMPREPLY=($(compgen -W "$(nodectl "${context[@]}" __nodes 2>/dev/null)" -- "$cur")); return ;;
    --role|--rotate) COMPREPLY=($(compgen -W 'server agent' -- "$cur")); return ;;
    --mode) COMPREPLY=($(compgen -W 'commit try staged' -- "$cur")); return ;;
    --for) COMPREPLY=($(compgen -W 'machineconfig action image bundle breakglass' -- "$cur")); return ;;
    --path) COMPREPLY=($(compgen -W "$(nodectl __paths 2>/dev/null)" -- "$cur")); return ;;
    --kind) COMPREPLY=($(compgen -W 'MachineConfig TrustPolicy Action ConfigSet' -- "$cur")); return ;;
    -o|--output|--output-format)
      case "$verb$prev" in
        'gen config'*|sign-o|sign--output|schema-o|schema--output|patch-o|patch--output|pcap-o|pcap--output) ;;
        *) COMPREPLY=($(compgen -W 'table wide json yaml name' -- "$cur")) ;;
      esac
      return ;;
    -f|--file) [ "$verb" = logs ] || [ "$verb" = dmesg ] || return ;;
    --key)
      [ "$verb" = 'trust grant' ] &&
        COMPREPLY=($(compgen -W "$(nodectl "${context[@]}" __keys 2>/dev/null)" -- "$cur"))
      return ;;
    --root-key|--old-key|--new-key|--public-key|--new-public-key|--sign-public-key|--trust|--to|--schema|--context|--passphrase-file|--timeout|--confirm-within|--reason|--since|--duration|--filter|--interface|--max|--snap-length|--server-name) return ;;
    --set)
      COMPREPLY=($(compgen -S = -W "$(nodectl __paths 2>/dev/null)" -- "$cur"))
      compopt -o nospace 2>/dev/null; return ;;
    -p|--patch-file|--patch|--k3s|-i|--identity) return ;;
  esac
)BASH";

// Verbs whose argument is a key of the trust policy.
bool NamesAKey(absl::string_view verb) {
  return verb == "trust revoke-key" || verb == "trust rotate";
}

bool NamesAGeneration(absl::string_view verb) { return verb == "rollback"; }

// bash; zsh runs the same by its bashcompinit.
std::string Bash(const std::vector<CompletionVerb>& verbs) {
  const auto children = Children(verbs);
  std::string out =
      "__nodectl_words() {\n"
      "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
      "  local verb='' word i context node\n"
      "  context=()\n"
      "  node=()\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=\"${COMP_WORDS[i]}\"\n"
      "    [ \"$word\" = --context ] && context=(--context \"${COMP_WORDS[i+1]}\")\n"
      "    case \"$word\" in -n|--node-name) [ $((i + 1)) -lt \"$COMP_CWORD\" ] && "
      "node=(-n \"${COMP_WORDS[i+1]}\") ;; esac\n"
      "    case \"$verb${verb:+ }$word\" in\n      ";
  absl::StrAppend(&out,
                  absl::StrJoin(verbs, "|",
                                [](std::string* text, const CompletionVerb& verb) {
                                  absl::StrAppend(text, "'", verb.words, "'");
                                }),
                  ") verb=\"$verb${verb:+ }$word\" ;;\n    esac\n  done\n", kValues,
                  "  case \"$verb\" in\n");
  absl::StrAppend(&out, "    '') COMPREPLY=($(compgen -W '", Names(children.at("")),
                  " --context --passphrase-file --help' -- \"$cur\")) ;;\n");
  for (const CompletionVerb& verb : verbs) {
    auto below = children.find(verb.words);
    std::vector<std::string> words = verb.arguments;
    std::string paths;
    if (verb.words == "explain") paths = " $(nodectl __paths 2>/dev/null)";
    if (NamesAKey(verb.words)) paths = " $(nodectl \"${context[@]}\" __keys 2>/dev/null)";
    if (NamesAGeneration(verb.words)) {
      paths = " $(nodectl \"${context[@]}\" __generations \"${node[@]}\" 2>/dev/null)";
    }
    if (verb.words == "describe") paths = " $(nodectl \"${context[@]}\" __nodes 2>/dev/null)";
    if (below != children.end()) words.push_back(Names(below->second));
    words.insert(words.end(), verb.flags.begin(), verb.flags.end());
    absl::StrAppend(&out, "    '", verb.words, "') COMPREPLY=($(compgen -W '",
                    absl::StrJoin(words, " "), "'",
                    paths.empty() ? "" : absl::StrCat("\"", paths, "\""), " -- \"$cur\")) ;;\n");
  }
  absl::StrAppend(&out, "  esac\n}\ncomplete -o default -F __nodectl_words nodectl\n");
  return out;
}

// What may follow a flag: -x takes these words only, -r a file.
std::string FishValue(absl::string_view verb, absl::string_view flag) {
  if (flag == "-n" || flag == "--node-name" || flag == "--server") {
    return " -x -a '(nodectl __nodes 2>/dev/null)'";
  }
  if (flag == "--role" || flag == "--rotate") return " -x -a 'server agent'";
  if (flag == "--mode") return " -x -a 'commit try staged'";
  if (flag == "--for") return " -x -a 'machineconfig action image bundle breakglass'";
  if (flag == "--path") return " -x -a '(nodectl __paths 2>/dev/null)'";
  if (flag == "--key" && verb == "trust grant") return " -x -a '(nodectl __keys 2>/dev/null)'";
  if (flag == "--kind") return " -x -a 'MachineConfig TrustPolicy Action ConfigSet'";
  const bool output = flag == "-o" || flag == "--output";
  if (output && (verb == "gen config" || verb == "sign" || verb == "schema" || verb == "patch" ||
                 verb == "pcap")) {
    return " -r";
  }
  if (flag == "--set") return " -x -a '(nodectl __paths 2>/dev/null)'";
  if (output || flag == "--output-format") return " -x -a 'table wide json yaml name'";
  if ((flag == "-f" && verb != "logs" && verb != "dmesg") || flag == "--file" || flag == "--key" ||
      flag == "-p" || flag == "--patch-file" || flag == "--schema" || flag == "--to" ||
      flag == "--public-key" || flag == "--root-key" || flag == "--old-key" ||
      flag == "--new-key" || flag == "--new-public-key") {
    return " -r";
  }
  return "";
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
                      flag.substr(is_long ? 2 : 1), FishValue(verb.words, flag), "\n");
    }
    if (NamesAKey(verb.words)) {
      absl::StrAppend(&out, "complete -c nodectl -n ", condition,
                      " -f -a '(nodectl __keys 2>/dev/null)'\n");
    }
    if (verb.words == "explain") {
      absl::StrAppend(&out, "complete -c nodectl -n ", condition,
                      " -f -a '(nodectl __paths 2>/dev/null)'\n");
    }
    if (NamesAGeneration(verb.words)) {
      absl::StrAppend(&out, "complete -c nodectl -n ", condition,
                      " -f -a '(nodectl __generations 2>/dev/null)'\n");
    }
    if (verb.words == "describe") {
      absl::StrAppend(&out, "complete -c nodectl -n ", condition,
                      " -f -a '(nodectl __nodes 2>/dev/null)'\n");
    }
    if (!verb.arguments.empty()) {
      absl::StrAppend(&out, "complete -c nodectl -n ", condition, " -f -a ",
                      quote(absl::StrJoin(verb.arguments, " ")), "\n");
    }
  }
  return out;
}

}  // namespace

std::string Completion(const std::string& shell, const std::vector<CompletionVerb>& verbs) {
  if (shell == "fish") return Fish(verbs);
  if (shell == "zsh") {
    return absl::StrCat(
        "#compdef nodectl\nautoload -U +X bashcompinit && bashcompinit\n", Bash(verbs),
        // From a directory of $fpath the first TAB loads this file, and wants an answer as well.
        "if [ \"${funcstack[1]}\" = _nodectl ]; then\n"
        "  _bash_complete -o default -F __nodectl_words\nfi\n");
  }
  return absl::StrCat("# nodectl completion: source <(nodectl completion bash)\n", Bash(verbs));
}

}  // namespace basalt::client
