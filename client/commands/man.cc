#include "client/commands/man.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace basalt::client {
namespace {

// Text of a line: no character of it is an order to roff.
std::string Text(absl::string_view text) {
  std::string out = absl::StrReplaceAll(text, {{"\\", "\\e"},
                                               {"-", "\\-"},
                                               {"'", "\\(aq"},
                                               {"`", "\\(ga"},
                                               {"\"", "\\(dq"},
                                               {"^", "\\(ha"},
                                               {"~", "\\(ti"}});
  if (absl::StartsWith(out, ".")) out.insert(0, "\\&");
  return out;
}

std::string PageName(const std::string& words) { return absl::StrReplaceAll(words, {{" ", "-"}}); }

// Of the build, so that the same build gives the same pages.
std::string Date() {
  return absl::FormatTime("%Y-%m-%d", absl::FromUnixSeconds(BASALT_BUILD_TIME),
                          absl::UTCTimeZone());
}

bool Hidden(const CLI::App& app) { return app.get_group().empty(); }

std::string Usage(const CLI::App& app, const std::string& words) {
  std::string out = words;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional() || option->get_group().empty()) continue;
    const std::string name = absl::AsciiStrToUpper(option->get_name(true));
    absl::StrAppend(
        &out, option->get_required() ? absl::StrCat(" ", name) : absl::StrCat(" [", name, "]"));
  }
  const bool verbs = app.get_require_subcommand_min() > 0;
  return out + (verbs ? " VERB [OPTIONS]" : " [OPTIONS]");
}

void Options(const CLI::App& app, std::string& out) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    std::vector<std::string> names;
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    if (names.empty()) names.push_back(absl::AsciiStrToUpper(option->get_name(true)));
    const std::string type =
        option->get_expected_max() > 0 && !option->get_positional() ? option->get_type_name() : "";
    absl::StrAppend(&text, ".TP\n\\fB", Text(absl::StrJoin(names, ", ")), "\\fR",
                    type.empty() ? "" : absl::StrCat(" \\fI", Text(type), "\\fR"), "\n",
                    Text(option->get_description()), option->get_required() ? " (required)" : "",
                    "\n");
  }
  if (!text.empty()) absl::StrAppend(&out, ".SH OPTIONS\n", text);
}

// The footer: "Examples:" and lines behind two spaces are code, the rest is text.
void Footer(const CLI::App& app, std::string& out) {
  bool code = false;
  auto close = [&] {
    if (code) out += ".fi\n.RE\n";
    code = false;
  };
  bool titled = false;
  for (absl::string_view line : absl::StrSplit(app.get_footer(), '\n')) {
    if (line == "Examples:") {
      close();
      out += ".SH EXAMPLES\n";
      titled = true;
    } else if (absl::ConsumePrefix(&line, "  ")) {
      if (!titled) out += ".SH NOTES\n";
      titled = true;
      if (!code) out += ".RS 2\n.nf\n";
      code = true;
      absl::StrAppend(&out, Text(line), "\n");
    } else if (!line.empty()) {
      close();
      if (!titled) out += ".SH NOTES\n";
      titled = true;
      absl::StrAppend(&out, Text(line), "\n");
    }
  }
  close();
}

std::string Page(const CLI::App& app, const std::string& words) {
  const std::string name = PageName(words);
  std::string out = absl::StrCat(".\\\" Written by nodectl from its own help.\n.TH ",
                                 Text(absl::AsciiStrToUpper(name)), " 1 \"", Date(),
                                 "\" \"nodectl ", BASALT_VERSION, "\" \"Basalt\"\n.SH NAME\n",
                                 Text(name), " \\- ", Text(app.get_description()),
                                 "\n.SH SYNOPSIS\n\\fB", Text(Usage(app, words)), "\\fR\n");
  std::string verbs;
  std::vector<std::string> pages;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (Hidden(*sub)) continue;
    const std::string page = PageName(absl::StrCat(words, " ", sub->get_name()));
    pages.push_back(absl::StrCat("\\fB", Text(page), "\\fR(1)"));
    absl::StrAppend(&verbs, ".TP\n\\fB", Text(sub->get_name()), "\\fR\n",
                    Text(sub->get_description()), "; see ", pages.back(), "\n");
  }
  if (!verbs.empty()) absl::StrAppend(&out, ".SH VERBS\n", verbs);
  Options(app, out);
  Footer(app, out);
  if (words == "nodectl") {
    out +=
        ".SH EXIT STATUS\n0: done. 1: an error, which is told with its code. 2: the words were not "
        "understood.\n.br\n\\fBdiff\\fR: 0 no changes, 1 changes, 2 an error. \\fBplan\\fR with "
        "\\-\\-detailed\\-exitcode: 2 for changes.\n"
        ".SH ENVIRONMENT\n";
    const std::pair<const char*, const char*> variables[] = {
        {"NODECTL_CONTEXT", "context.yaml of the cluster"},
        {"NODECTL_PASSPHRASE", "Opens keys"},
        {"NODECTL_EXTERNAL_DIFF",
         "Program, and its arguments, that shows differences: it gets two directories; secrets in "
         "them are redacted"},
        {"VISUAL, EDITOR", "The editor of nodectl edit"},
        {"NO_COLOR", "No colours on a terminal either"}};
    for (const auto& [variable, what] : variables) {
      absl::StrAppend(&out, ".TP\n\\fB", variable, "\\fR\n", Text(what), "\n");
    }
  } else {
    const size_t space = words.rfind(' ');
    pages.insert(pages.begin(),
                 absl::StrCat("\\fB", Text(PageName(words.substr(0, space))), "\\fR(1)"));
  }
  absl::StrAppend(&out, ".SH SEE ALSO\n", absl::StrJoin(pages, ",\n"), "\n");
  return out;
}

void Add(const CLI::App& app, const std::string& words, std::map<std::string, std::string>& out) {
  out[PageName(words) + ".1"] = Page(app, words);
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!Hidden(*sub)) Add(*sub, absl::StrCat(words, " ", sub->get_name()), out);
  }
}

}  // namespace

std::map<std::string, std::string> ManPages(const CLI::App& app) {
  std::map<std::string, std::string> out;
  Add(app, "nodectl", out);
  return out;
}

}  // namespace basalt::client
