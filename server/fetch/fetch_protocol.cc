#include "server/fetch/fetch_protocol.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::fetch {
namespace {

constexpr char kMethod[] = "BASALT_FETCH_METHOD";
constexpr char kHeaders[] = "BASALT_FETCH_HEADERS";
constexpr char kRedirects[] = "BASALT_FETCH_REDIRECTS";

}  // namespace

std::vector<std::string> ToArgv(const Arguments& arguments) {
  std::vector<std::string> argv = {"noded-fetch", absl::StrCat(arguments.limit),
                                   absl::StrCat(arguments.expected),
                                   absl::StrCat(arguments.stall_seconds)};
  argv.insert(argv.end(), arguments.urls.begin(), arguments.urls.end());
  return argv;
}

std::optional<Arguments> FromArgv(const std::vector<std::string>& argv) {
  Arguments a;
  if (argv.size() < 5 || !absl::SimpleAtoi(argv[1], &a.limit) ||
      !absl::SimpleAtoi(argv[2], &a.expected) || !absl::SimpleAtoi(argv[3], &a.stall_seconds)) {
    return std::nullopt;
  }
  if (a.limit <= 0 || a.limit > kMaxBytes || a.expected < 0 || a.expected > a.limit ||
      a.stall_seconds < 1) {
    return std::nullopt;
  }
  a.urls.assign(argv.begin() + 4, argv.end());
  return a;
}

std::vector<std::string> ToEnvironment(const Asking& asking) {
  return {absl::StrCat(kMethod, "=", asking.method),
          absl::StrCat(kHeaders, "=", absl::StrJoin(asking.headers, "\n")),
          absl::StrCat(kRedirects, "=", asking.redirects ? "yes" : "no")};
}

Asking FromEnvironment(const std::function<const char*(const char*)>& get) {
  const auto text = [&](const char* name) {
    const char* value = get(name);
    return absl::string_view(value == nullptr ? "" : value);
  };
  Asking asking;
  if (text(kMethod) == "PUT") asking.method = "PUT";
  asking.headers = absl::StrSplit(text(kHeaders), '\n', absl::SkipEmpty());
  asking.redirects = text(kRedirects) != "no";
  return asking;
}

std::string Reason(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "";
    case Outcome::kTooLarge:
      return "artifact-too-large";
    case Outcome::kStalled:
      return "artifact-stalled";
    case Outcome::kRedirectLoop:
      return "artifact-redirect-loop";
    case Outcome::kDiskFull:
      return "disk-full";
    case Outcome::kNotWritable:
      return "artifact-store-failed";
    case Outcome::kFailed:
    case Outcome::kUsage:
      break;
  }
  return "artifact-download-failed";
}

Outcome FromExit(int exit_code) {
  switch (exit_code) {
    case 0:
    case 11:
    case 12:
    case 13:
    case 14:
    case 15:
    case 64:
      return static_cast<Outcome>(exit_code);
    default:
      return Outcome::kFailed;
  }
}

std::optional<Progress> LastProgress(absl::string_view output) {
  std::optional<Progress> last;
  // What follows the last newline is a line that is still being written.
  output = output.substr(0, output.rfind('\n') + 1);
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    if (!absl::ConsumePrefix(&line, "progress ")) continue;
    std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    Progress p;
    if (words.size() == 2 && absl::SimpleAtoi(words[0], &p.done) &&
        absl::SimpleAtoi(words[1], &p.total) && p.done >= 0 && p.total >= 0) {
      last = p;
    }
  }
  return last;
}

int FromIndex(absl::string_view output) {
  int index = -1;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    if (absl::ConsumePrefix(&line, "from ") && (!absl::SimpleAtoi(line, &index) || index < 0)) {
      index = -1;
    }
  }
  return index;
}

int HttpStatus(absl::string_view output) {
  int status = 0;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    if (absl::ConsumePrefix(&line, "http ") &&
        (!absl::SimpleAtoi(line, &status) || status < 100 || status > 599)) {
      status = 0;
    }
  }
  return status;
}

std::string LastError(absl::string_view output) {
  std::string last;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    if (!absl::ConsumePrefix(&line, "error ")) continue;
    std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    last = std::string(parts.second);
  }
  return last;
}

std::vector<std::string> Attempts(absl::string_view output) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    if (absl::ConsumePrefix(&line, "failed ")) lines.emplace_back(line);
  }
  return lines;
}

}  // namespace basalt::fetch
