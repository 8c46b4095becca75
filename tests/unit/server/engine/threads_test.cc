// The engine on its real loop and pool, called from many threads at once, as gRPC calls it. What is
// asserted is little; ThreadSanitizer (./dev tsan) looks at the rest.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/engine/real_executor.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using basalt::testing::EngineHarness;

// Counts ends: each watcher has exactly one.
class Ends {
 public:
  void One(bool committed) {
    std::lock_guard lock(mu_);
    ++count_;
    committed_ += committed;
    cv_.notify_all();
  }
  void Await(int count) {
    std::unique_lock lock(mu_);
    cv_.wait(lock, [&] { return count_ >= count; });
  }
  int count() {
    std::lock_guard lock(mu_);
    return count_;
  }
  int committed() {
    std::lock_guard lock(mu_);
    return committed_;
  }

 private:
  std::mutex mu_;
  std::condition_variable cv_;
  int count_ = 0;
  int committed_ = 0;
};

class EndWatcher : public ApplyWatcher {
 public:
  explicit EndWatcher(Ends& ends) : ends_(ends) {}
  void OnEvent(const v1::ApplyEvent& event) override {
    if (event.final()) ends_.One(event.state() == v1::APPLY_STATE_COMMITTED);
  }
  void OnError(const absl::Status&) override { ends_.One(false); }

 private:
  Ends& ends_;
};

class Threads : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = MakeRealExecutor();
    ASSERT_TRUE(made.ok()) << made.status();
    executor_ = *std::move(made);
    ASSERT_TRUE(h_.Make(*executor_).ok());
    ASSERT_TRUE(h_.node->Start().ok());
    loop_ = std::thread([this] { executor_->Run(); });
  }
  void TearDown() override {
    executor_->Stop();
    if (loop_.joinable()) loop_.join();
    h_.Kill();  // before the executor, as in noded
  }

  EngineHarness h_;
  std::unique_ptr<RealExecutor> executor_;
  std::thread loop_;
};

TEST_F(Threads, EveryCallFromManyThreadsIsAnsweredOnce) {
  constexpr int kCallers = 4, kRounds = 40;
  std::atomic<int64_t> generation{0};
  std::atomic<int> replies{0};
  Ends ends;
  std::vector<v1::SignedDocument> documents;
  for (int i = 0; i < kCallers * kRounds; ++i) {
    documents.push_back(
        h_.Sign({.generation = i + 1, .version = absl::StrCat("v1.30.", i, "+k3s1")}));
  }
  const std::string source = h_.Yaml({.generation = 1});
  Node& node = *h_.node;
  auto counted = [&](const auto&) { ++replies; };
  std::vector<std::thread> callers;
  for (int c = 0; c < kCallers; ++c) {
    callers.emplace_back([&, c] {
      Caller caller = h_.operator_caller;
      caller.peer = absl::StrCat("10.0.0.", c, ":1");
      caller.connection = static_cast<uint64_t>(c);
      for (int round = 0; round < kRounds; ++round) {
        auto watcher = std::make_shared<EndWatcher>(ends);
        v1::ApplyRequest request;
        *request.mutable_document() = documents[static_cast<size_t>(generation++)];
        request.set_supersede(round % 7 == 0);
        request.set_dry_run(round % 5 == 0);
        node.Apply(caller, request, watcher);
        EXPECT_EQ(node.Hello(caller).trust_version(), 1);
        EXPECT_TRUE(node.List({}).ok());
        EXPECT_TRUE(node.History({}).ok());
        node.GetConfig({}).IgnoreError();  // there may be none yet
        EXPECT_EQ(node.api_policy().cluster.size() % 4, 0u);
        v1::PlanRequest plan;
        plan.set_unsigned_yaml(source);
        node.Plan(caller, plan, counted);
        node.Logs({.service = "k3s", .max_bytes = 100}, counted);
        node.Return(caller, {}, counted);
        node.Confirm(caller, {}, counted);
        if (round % 10 == 3) {
          node.Cancel(caller, {}, counted);
        } else {
          node.Kubeconfig(caller, counted);
        }
        if (round % 8 == 1) executor_->Post([this] { h_.controller->Changed(); });
        ends.Await(1);  // lets some of them in before the next
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  ends.Await(kCallers * kRounds);
  // After this every reply that was posted before has been given; plans go through the pool.
  while (replies < kCallers * kRounds * 5) std::this_thread::yield();
  EXPECT_EQ(replies, kCallers * kRounds * 5);
  EXPECT_EQ(ends.count(), kCallers * kRounds);
  EXPECT_GE(ends.committed(), 1);
}

TEST_F(Threads, CallersThatGoAwayAtEveryMomentLeaveTheApplyToGoOn) {
  Ends ends;
  std::vector<v1::SignedDocument> documents;
  constexpr int kApplies = 60;
  for (int i = 0; i < kApplies; ++i) {
    documents.push_back(
        h_.Sign({.generation = i + 1, .version = absl::StrCat("v1.30.", i, "+k3s1")}));
  }
  Node& node = *h_.node;
  for (int i = 0; i < kApplies; ++i) {
    auto watcher = std::make_shared<EndWatcher>(ends);
    v1::ApplyRequest request;
    *request.mutable_document() = documents[static_cast<size_t>(i)];
    node.Apply(h_.operator_caller, request, watcher);
    for (int turn = 0; turn < i % 16; ++turn) std::this_thread::yield();
    node.Detach(watcher);
  }
  // The last one again, until the node has let it in: whoever went away did not leave it stuck.
  Ends last;
  auto apply = [&] {
    v1::ApplyRequest request;
    *request.mutable_document() = documents.back();
    node.Apply(h_.operator_caller, request, std::make_shared<EndWatcher>(last));
  };
  for (int tries = 1; last.committed() == 0; ++tries) {
    apply();
    last.Await(tries);
  }
  std::atomic<bool> published{false};
  executor_->Post([&] { published = true; });
  while (!published) std::this_thread::yield();
  EXPECT_EQ(h_.ActiveGeneration(), kApplies);
}

TEST_F(Threads, AStopInTheMiddleOfManyCallsEndsWithoutTouchingWhatIsGone) {
  Ends ends;
  v1::SignedDocument document = h_.Sign({.generation = 1});
  std::atomic<bool> over{false};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&, c] {
      Caller caller = h_.operator_caller;
      caller.peer = absl::StrCat("10.0.0.", c, ":1");
      while (!over) {
        v1::ApplyRequest request;
        *request.mutable_document() = document;
        h_.node->Apply(caller, request, std::make_shared<EndWatcher>(ends));
        h_.node->Logs({.service = "k3s", .max_bytes = 100}, [](const auto&) {});
      }
    });
  }
  ends.Await(20);
  executor_->Stop();
  loop_.join();
  over = true;
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace basalt::engine
