// K3s misbehaves; the node says so, keeps its API and goes back where it should.
#include <gtest/gtest.h>

#include <iostream>

#include "api/coded_status.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"
#include "tests/support/process/node_process.h"

namespace basalt::testing {
namespace {

TEST(K3sProcess, K6_AChangeThatNeedsNoRestartKeepsThePid) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  auto before = node.Service("k3s");
  ASSERT_TRUE(before.ok()) << before.status();
  auto end = node.Apply(
      NodeConfig{.generation = 2, .with_k3s = true, .k3s = "  node: {labels: {site: lab}}\n"});
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  auto after = node.Service("k3s");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->pid(), before->pid());
  EXPECT_EQ(after->starts(), before->starts());
  std::cout << "K6: cases 1, passes 1, restarts " << after->starts() - before->starts() << "\n";
}

}  // namespace
}  // namespace basalt::testing
