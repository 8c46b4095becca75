#include "tests/fault/process/process_fixture.h"

#include "absl/strings/str_cat.h"

namespace basalt::testing {

const Owner& TheOwner() {
  static const Owner* owner = new Owner();
  return *owner;
}

void StartWithK3s(NodeProcess& node) {
  absl::Status started = node.Start();
  ASSERT_TRUE(started.ok()) << started;
  auto end = node.Apply(NodeConfig{.generation = 1, .with_k3s = true});
  ASSERT_TRUE(end.ok()) << end.status() << node.Log();
  ASSERT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  ASSERT_EQ(end->error_code(), "") << end->message();
}

NodeConfig WithLabel(int64_t generation, const std::string& value) {
  return {.generation = generation,
          .with_k3s = true,
          .k3s = absl::StrCat("  node: {labels: {case: \"", value, "\"}}\n")};
}

NodeConfig WithRestart(int64_t generation, const std::string& value) {
  return {.generation = generation,
          .with_k3s = true,
          .env = absl::StrCat("    - {name: CASE, value: \"", value, "\"}\n")};
}

}  // namespace basalt::testing
