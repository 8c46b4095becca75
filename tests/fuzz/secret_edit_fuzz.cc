// Configs of people, into which a sealed token is written. What is written reads back as exactly
// that change (the editor checks it), and the old value is not left in a comment or a stray line.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"
#include "client/commands/secret_edit.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

size_t Count(absl::string_view text, absl::string_view word) {
  size_t out = 0;
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++out;
  return out;
}

}  // namespace
}  // namespace basalt::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  constexpr absl::string_view kArmored = "-----\nAAAA\n-----\n";
  constexpr absl::string_view kWritten = "token: !sealed |\n    -----\n    AAAA\n    -----\n";
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto edited = client::EditSecret(text, "fuzz", "k3s.token", kArmored);
  if (!edited.ok()) return 0;
  auto again = client::EditSecret(*edited, "fuzz", "k3s.token", kArmored);
  if (!again.ok() || *again != *edited) std::abort();
  v1::MachineConfig before;
  if (!yaml::Decode(text, "fuzz", before).ok()) std::abort();
  const std::string& old = before.k3s().token().plain();
  if (old.size() < 4 || absl::StrContains(kWritten, old)) return 0;
  const size_t times = client::Count(text, old);
  // Folded and escaped values stand there in another form: of them nothing can be counted.
  if (times > 0 && client::Count(*edited, old) >= times) std::abort();
  return 0;
}
