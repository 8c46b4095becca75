// Reading documents: whatever the bytes, no crash, no leak, bounded; and what was read is written
// and read back unchanged.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

namespace {

void Require(bool ok, const char* what, const std::string& text) {
  if (ok) return;
  std::fprintf(stderr, "%s:\n%s\n", what, text.c_str());
  std::abort();
}

template <typename Message>
bool RoundTrip(absl::string_view text, Message& message) {
  const auto result = basalt::yaml::Decode(text, "fuzz", message);
  Require(result.errors.size() <= 101, "more errors than the limit", "");
  if (!result.ok()) return false;
  const std::string emitted = basalt::yaml::Emit(message);
  Message again;
  const auto second = basalt::yaml::Decode(emitted, "emitted", again);
  Require(second.ok(), "emitted text is refused", emitted);
  Require(google::protobuf::util::MessageDifferencer::Equals(message, again),
          "emitted text reads as another message", emitted);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  basalt::v1::MachineConfig config;
  if (RoundTrip(text, config)) {
    const auto resolved = basalt::schema::Resolve(config);
    Require(basalt::diff::Diff(&resolved, resolved).empty(), "a config differs from itself", "");
  }
  basalt::v1::TrustPolicy policy;
  RoundTrip(text, policy);
  basalt::yaml::PeekHeader(text);
  (void)basalt::validate::Load(text, "fuzz", basalt::validate::Stage::kComplete);
  (void)basalt::validate::LoadTrustPolicy(text, "fuzz");
  (void)basalt::validate::LoadAction(text, "fuzz");
  return 0;
}
