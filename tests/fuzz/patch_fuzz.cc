// A patch and, behind a line `---`, the config it is for. A patch that was taken once changes
// nothing the second time; the rewritten text means what the patched message means.
#include <cstdint>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/merge/patch.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  constexpr absl::string_view kLine = "\n---\n";
  const absl::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t line = all.find(kLine);
  if (line == all.npos) return 0;
  const absl::string_view patch = all.substr(0, line), text = all.substr(line + kLine.size());
  v1::MachineConfig config;
  if (!yaml::Decode(text, "fuzz", config).ok()) return 0;
  if (*merge::Rewrite(text, "fuzz", config) != text) std::abort();
  if (!merge::Patch(patch, "patch", config).ok()) return 0;
  v1::MachineConfig twice = config;
  if (!merge::Patch(patch, "patch", twice).ok()) std::abort();
  const std::string meaning = yaml::Emit(config);
  if (yaml::Emit(twice) != meaning) std::abort();
  v1::MachineConfig possible;
  const bool sayable = yaml::Decode(meaning, "fuzz", possible).ok();
  const absl::StatusOr<std::string> out = merge::Rewrite(text, "fuzz", config);
  if (!out.ok()) {
    // What no document can say, or a style that nobody edits.
    if (sayable && !absl::IsFailedPrecondition(out.status())) std::abort();
    return 0;
  }
  v1::MachineConfig again;
  if (!yaml::Decode(*out, "fuzz", again).ok() || yaml::Emit(again) != meaning) std::abort();
  return 0;
}
