#include "server/engine/real_executor.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/host/fd.h"

namespace basalt::engine {
namespace {

std::unique_ptr<RealExecutor> Make(RealExecutorOptions options = {}) {
  auto executor = MakeRealExecutor(options);
  EXPECT_TRUE(executor.ok()) << executor.status();
  return *std::move(executor);
}

TEST(RealExecutor, RunsWhatIsPostedInOrderOnTheLoop) {
  auto executor = Make();
  std::vector<int> order;
  std::thread::id loop = std::this_thread::get_id();
  std::thread poster([&] {
    for (int i = 0; i < 100; ++i) {
      executor->Post([&, i] {
        EXPECT_EQ(std::this_thread::get_id(), loop);
        order.push_back(i);
        if (i == 99) executor->Stop();
      });
    }
  });
  executor->Run();
  poster.join();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(RealExecutor, TimersFireInTheOrderOfTheirTimesAndCancelledOnesNever) {
  auto executor = Make();
  std::string fired;
  executor->After(absl::Milliseconds(30), [&] {
    fired += 'c';
    executor->Stop();
  });
  executor->After(absl::Milliseconds(10), [&] { fired += 'a'; });
  auto cancelled = executor->After(absl::Milliseconds(15), [&] { fired += 'x'; });
  executor->After(absl::Milliseconds(20), [&] { fired += 'b'; });
  EXPECT_NE(cancelled, 0u);
  executor->CancelTimer(cancelled);
  executor->CancelTimer(cancelled);
  executor->Run();
  EXPECT_EQ(fired, "abc");
}

TEST(RealExecutor, ATimerMayMakeAnotherAndCancelItself) {
  auto executor = Make();
  int fired = 0;
  Executor::TimerId id = executor->After(absl::ZeroDuration(), [&] {
    ++fired;
    executor->CancelTimer(id);
    executor->After(absl::ZeroDuration(), [&] {
      ++fired;
      executor->Stop();
    });
  });
  executor->Run();
  EXPECT_EQ(fired, 2);
}

TEST(RealExecutor, ATimerFiresThoughAnEarlierOneWasCancelledWhileTheLoopWaited) {
  auto executor = Make();
  Executor::TimerId early = executor->After(absl::Milliseconds(20), [] { ADD_FAILURE(); });
  executor->After(absl::Milliseconds(40), [&] { executor->Stop(); });
  executor->After(absl::Milliseconds(5), [&] { executor->CancelTimer(early); });
  executor->Run();
}

TEST(RealExecutor, BlockingWorkRunsElsewhereAndIsReportedOnTheLoop) {
  auto executor = Make();
  std::thread::id loop = std::this_thread::get_id();
  std::thread::id worker;
  bool done = false;
  ASSERT_TRUE(executor->RunBlocking([&] { worker = std::this_thread::get_id(); },
                                    [&] {
                                      EXPECT_EQ(std::this_thread::get_id(), loop);
                                      done = true;
                                      executor->Stop();
                                    }));
  executor->Run();
  EXPECT_TRUE(done);
  EXPECT_NE(worker, loop);
}

TEST(RealExecutor, AFullQueueRefuses) {
  auto executor = Make({.pool_threads = 1, .queue = 2});
  std::promise<void> started, release;
  std::shared_future<void> go = release.get_future().share();
  ASSERT_TRUE(executor->RunBlocking(
      [&] {
        started.set_value();
        go.wait();
      },
      [] {}));
  started.get_future().wait();
  int done = 0;
  auto finish = [&] {
    if (++done == 2) executor->Stop();
  };
  EXPECT_TRUE(executor->RunBlocking([] {}, finish));
  EXPECT_TRUE(executor->RunBlocking([] {}, finish));
  EXPECT_FALSE(executor->RunBlocking([] { ADD_FAILURE(); }, [] { ADD_FAILURE(); }));
  release.set_value();
  executor->Run();
  EXPECT_EQ(done, 2);
}

TEST(RealExecutor, WatchesADescriptorUntilItIsUnwatched) {
  auto executor = Make();
  host::UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  int seen = 0;
  uint64_t one = 1;
  ASSERT_EQ(write(fd.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  executor->WatchFd(fd.get(), [&] {
    // Level-triggered: not drained, so it comes again until it is unwatched.
    if (++seen == 3) {
      executor->UnwatchFd(fd.get());
      executor->Post([&] { executor->Post([&] { executor->Stop(); }); });
    }
  });
  executor->Run();
  EXPECT_EQ(seen, 3);
}

TEST(RealExecutor, NothingRunsAfterStop) {
  auto executor = Make();
  executor->Stop();
  executor->Post([] { ADD_FAILURE(); });
  executor->Run();
}

TEST(RealExecutor, ManyThreadsMayPostAndBlockAtOnce) {
  auto executor = Make({.pool_threads = 2, .queue = 1000});
  std::atomic<int> worked{0};
  int done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(executor->RunBlocking([&] { ++worked; },
                                          [&] {
                                            if (++done == 400) executor->Stop();
                                          }));
      }
    });
  }
  executor->Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(worked, 400);
  EXPECT_EQ(done, 400);
}

}  // namespace
}  // namespace basalt::engine
