// What K3s and noded-fetch say to noded: answers of HTTP endpoints, a Node object, log lines, lines
// about a download. The first byte chooses.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "server/fetch/fetch_protocol.h"
#include "server/k3s/http_call.h"
#include "server/k3s/join_failures.h"
#include "server/k3s/node_probe.h"

namespace basalt {
namespace {

void Http(const std::string& data) {
  k3s::HttpAnswer answer = k3s::ParseAnswer(data);
  if (answer.body.size() > data.size()) std::abort();
  if (answer.status == 0 && answer.error.empty()) std::abort();
  k3s::IsComplete(data);
}

void Log(const std::string& text) {
  k3s::FindFailure(text);
  k3s::FatalMessage(text);
  // The first line is the secret.
  const std::string secret = text.substr(0, text.find('\n'));
  const std::vector<std::string> lines = k3s::LastLines(text, 5, {secret});
  if (lines.size() > 5) std::abort();
  if (secret.size() < 16 || absl::StrContains("(redacted)", secret)) return;
  if (absl::StrContains(k3s::Scrub(text, {secret}), secret)) std::abort();
}

void Fetch(const std::string& text) {
  if (auto progress = fetch::LastProgress(text); progress && progress->done < 0) std::abort();
  if (fetch::FromIndex(text) < -1) std::abort();
  if (fetch::LastError(text).size() > text.size()) std::abort();
  if (fetch::Attempts(text).size() > text.size()) std::abort();
  std::vector<std::string> argv = absl::StrSplit(text, '\n');
  if (auto arguments = fetch::FromArgv(argv)) {
    auto again = fetch::FromArgv(fetch::ToArgv(*arguments));
    if (!again || !(*again == *arguments)) std::abort();
  }
}

}  // namespace
}  // namespace basalt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      basalt::Http(rest);
      break;
    case 1: {
      basalt::k3s::ProbeResult result;
      basalt::k3s::ReadNode(rest, &result);
      break;
    }
    case 2:
      basalt::Log(rest);
      break;
    default:
      basalt::Fetch(rest);
  }
  return 0;
}
