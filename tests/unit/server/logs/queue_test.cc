// What a slow sink costs: nothing but its own oldest lines, and those are counted and said.
#include "server/logs/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/logs/sender.h"

namespace basalt::logs {
namespace {

using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1795500000);

Record Line(const std::string& text) { return {.time = kStart, .source = "k3s", .text = text}; }

TEST(Queue, GivesABatchWhenItIsFullOrOldEnough) {
  Queue queue(1 << 20);
  int64_t dropped = 0;
  queue.Push(Line("a"), kStart);
  EXPECT_TRUE(queue.Take(2, absl::Seconds(5), kStart + absl::Seconds(4), false, &dropped).empty());
  EXPECT_EQ(queue.Due(2, absl::Seconds(5), kStart + absl::Seconds(4)), absl::Seconds(1));
  EXPECT_EQ(queue.Take(2, absl::Seconds(5), kStart + absl::Seconds(5), false, &dropped).size(), 1u);
  queue.Push(Line("b"), kStart);
  queue.Push(Line("c"), kStart);
  queue.Push(Line("d"), kStart);
  EXPECT_EQ(queue.Take(2, absl::Seconds(5), kStart, false, &dropped).size(), 2u);
  EXPECT_EQ(queue.Take(2, absl::Seconds(5), kStart, true, &dropped).size(), 1u);
  EXPECT_EQ(queue.Due(2, absl::Seconds(5), kStart), absl::InfiniteDuration());
}

TEST(Queue, AWallClockThatWasSetBackKeepsNoLine) {
  Queue queue(1 << 20);
  int64_t dropped = 0;
  queue.Push(Line("a"), kStart);
  EXPECT_EQ(queue.Take(9, absl::Seconds(5), kStart - absl::Hours(24 * 365), false, &dropped).size(),
            1u);
}

TEST(Queue, DropsTheOldestAndCountsThem) {
  Queue queue(1000);
  for (int i = 0; i < 20; ++i) queue.Push(Line(std::string(72, 'a' + i)), kStart);
  int64_t dropped = 0;
  const std::vector<Record> left = queue.Take(100, {}, kStart, true, &dropped);
  EXPECT_EQ(left.size(), 5u);
  EXPECT_EQ(left.back().text[0], 'a' + 19);
  EXPECT_EQ(dropped, 15);
  EXPECT_EQ(queue.dropped(), 15);
}

class FakeDelivery : public Delivery {
 public:
  explicit FakeDelivery(std::vector<std::vector<Record>>* delivered, absl::Status* status)
      : delivered_(delivered), status_(status) {}
  absl::Status Deliver(const std::vector<Record>& records) override {
    if (status_->ok()) delivered_->push_back(records);
    return *status_;
  }

 private:
  std::vector<std::vector<Record>>* delivered_;
  absl::Status* status_;
};

class SenderTest : public ::testing::Test {
 protected:
  void Push(int lines) {
    for (int i = 0; i < lines; ++i) queue_.Push(Line(std::string(72, 'x')), now_);
  }
  absl::Duration Step(absl::Duration later = absl::ZeroDuration()) {
    now_ += later;
    return sender_.Step(now_, false);
  }

  absl::Time now_ = kStart;
  Queue queue_{2000};
  std::vector<std::vector<Record>> delivered_;
  absl::Status status_;
  Sender sender_{{.name = "siem", .batch = 3, .wait = absl::Seconds(5)},
                 std::make_unique<FakeDelivery>(&delivered_, &status_),
                 queue_};
};

TEST_F(SenderTest, SendsInBatchesAndWaitsForMore) {
  Push(7);
  while (Step() == absl::ZeroDuration()) {
  }
  EXPECT_EQ(delivered_.size(), 2u);
  EXPECT_EQ(sender_.state().sent, 6);
  EXPECT_EQ(Step(absl::Seconds(5)), absl::InfiniteDuration());
  EXPECT_EQ(sender_.state().sent, 7);
}

TEST_F(SenderTest, WaitsLongerAndLongerForASinkThatIsNotThereAndLosesNothingThatFits) {
  status_ = absl::UnavailableError("refused");
  Push(3);
  std::vector<absl::Duration> waits;
  absl::Duration wait = Step();
  for (int i = 0; i < 9; ++i) {
    waits.push_back(wait);
    wait = Step(wait);
  }
  EXPECT_EQ(waits[0], absl::Seconds(1));
  EXPECT_EQ(waits[1], absl::Seconds(2));
  EXPECT_EQ(waits[8], Sender::kLastRetry);
  EXPECT_TRUE(sender_.state().failing);
  EXPECT_EQ(sender_.state().message, "refused");
  // Before its time it is not tried again.
  EXPECT_EQ(Step(absl::Seconds(10)), Sender::kLastRetry - absl::Seconds(10));
  status_ = absl::OkStatus();
  Step(Sender::kLastRetry);
  EXPECT_FALSE(sender_.state().failing);
  ASSERT_EQ(delivered_.size(), 1u);
  EXPECT_EQ(delivered_[0].size(), 3u);
}

TEST_F(SenderTest, SaysWhatWasDropped) {
  status_ = absl::UnavailableError("refused");
  Push(3);
  Step();
  Push(20);  // 10 fit
  status_ = absl::OkStatus();
  Step(Sender::kLastRetry);
  Step();
  ASSERT_EQ(delivered_.size(), 2u);
  EXPECT_EQ(delivered_[1][0].source, "logs");
  EXPECT_THAT(delivered_[1][0].text, HasSubstr("10 lines before this one were dropped"));
  EXPECT_EQ(sender_.state().dropped, 10);
}

TEST_F(SenderTest, WhatASinkRefusesForEverDoesNotStandInTheWay) {
  status_ = absl::InvalidArgumentError("the sink answered 400");
  Push(3);
  Step();
  EXPECT_EQ(sender_.state().refused, 3);
  status_ = absl::OkStatus();
  Push(3);
  Step();
  EXPECT_EQ(sender_.state().sent, 3);
}

}  // namespace
}  // namespace basalt::logs
