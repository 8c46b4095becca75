#include "client/commands/cli.h"

#include <poll.h>
#include <unistd.h>

#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/parser.h"
#include "client/output/errors.h"
#include "machineconfig/schema/fields.h"

namespace basalt::client {
namespace {

constexpr int kUsage = 2;

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

// Before anything is parsed: a program that asked for JSON gets its errors so too.
bool WantsJson(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word = argv[i];
    const absl::string_view next = i + 1 < argc ? argv[i + 1] : "";
    if (word == "-ojson" || word == "--output=json" || word == "-o=json" ||
        word == "--output-format=json") {
      return true;
    }
    if ((word == "-o" || word == "--output" || word == "--output-format") && next == "json") {
      return true;
    }
  }
  return false;
}

bool NamesOutput(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word = argv[i];
    if (absl::StartsWith(word, "-o") || absl::StartsWith(word, "--output")) return true;
  }
  return false;
}

// `nodectl validate n1.yaml`: a file that stands where a flag belongs.
std::string ForgottenFlag(const Meant& meant, int argc, char** argv) {
  if (meant.verb->get_option_no_throw("-f") == nullptr) return "";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "-f" || word == "--file") return "";
    const bool value = absl::StartsWith(argv[i - 1], "-");
    if (!value && word[0] != '-' && access(word.c_str(), R_OK) == 0) {
      return absl::StrCat(meant.words, " -f ", word);
    }
  }
  return "";
}

// An unknown verb is named, with the one that was meant.
absl::Status UsageError(const Meant& meant, const std::string& what, bool names_output,
                        const std::string& forgotten) {
  if (meant.unknown.empty() && names_output && meant.verb->get_option_no_throw("-o") == nullptr &&
      meant.verb->get_option_no_throw("--output-format") == nullptr) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-output",
                      meant.words + " has one form of output, and no -o", meant.words + " --help");
  }
  if (meant.unknown.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage", what,
                      forgotten.empty() ? meant.words + " --help"
                                        : absl::StrCat("did you mean `", forgotten, "`?"));
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
      if (WantsJson(argc, argv)) io.format = Format::kJson;
      PrintError(io, UsageError(WhatIsMeant(parser.app(), argc, argv), error.what(),
                                NamesOutput(argc, argv),
                                ForgottenFlag(WhatIsMeant(parser.app(), argc, argv), argc, argv)));
      return kUsage;
    }
    absl::StatusOr<Format> format = ParseFormat(parser.global().output, parser.formats());
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
    // Words that do not go together are found by the verb. `diff` says 1 for changes, so an error
    // is more; everywhere else it is 1.
    const bool usage = api::Reason(code.status()) == "usage";
    return usage || parser.app().got_subcommand("diff") ? kUsage : 1;
  } catch (const std::exception& error) {
    PrintError(io, api::Coded(absl::StatusCode::kInternal, "internal", error.what(),
                              "this is a fault of nodectl: please report it"));
    return 1;
  }
}

}  // namespace basalt::client
