#include "server/logs/collector.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/server/logs/fake_kernel_log.h"

namespace basalt::logs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest() {
    EXPECT_TRUE(vfs_.MakeDirs("run").ok());
    Restart();
  }
  // A new noded.
  void Restart() { collector_ = std::make_unique<Collector>(supervisor_, kernel_, clock_, vfs_); }
  void StartService(const std::string& name) {
    host::ServiceSpec spec;
    spec.name = name;
    spec.argv = {name};
    spec.exec_fd = host::UniqueFd(open("/dev/null", O_RDONLY));
    ASSERT_TRUE(supervisor_.Start(std::move(spec)).ok());
  }
  // What the engine gives out: whole lines of the ring, from an offset.
  absl::StatusOr<engine::NodeApi::LogChunk> Read(const engine::NodeApi::LogQuery& query) {
    uint64_t end = 0;
    absl::StatusOr<std::string> ring = supervisor_.Output(query.service, 256 << 10, &end);
    if (!ring.ok()) return ring.status();
    std::string text = ring->substr(0, ring->rfind('\n') + 1);
    const uint64_t start = end - ring->size();
    const uint64_t begin = std::clamp<uint64_t>(query.from_offset, start, start + text.size());
    return engine::NodeApi::LogChunk{.data = text.substr(begin - start),
                                     .next_offset = start + text.size()};
  }
  // One turn; the texts that came, "SOURCE: TEXT".
  std::vector<std::string> Collect(size_t room = 1000) {
    std::vector<std::string> out;
    collector_->Look();
    collector_->Collect([this](const auto& query) { return Read(query); },
                        [this](std::string&) { return maskable_; },
                        [&](const Record& record) {
                          if (out.size() == room) return false;
                          out.push_back(absl::StrCat(record.source, ": ", record.text));
                          return true;
                        });
    return out;
  }

  testing::FakeClock clock_;
  testing::FakeSupervisor supervisor_{clock_};
  testing::FakeVfs vfs_;
  testing::FakeKernelLog kernel_;
  absl::Status maskable_;
  std::unique_ptr<Collector> collector_;
};

TEST_F(CollectorTest, FindsEachLineOnceAndWaitsForTheRestOfALine) {
  StartService("k3s");
  supervisor_.Write("k3s", "one\ntwo\nthr");
  kernel_.Say("booted", absl::Seconds(1));
  EXPECT_THAT(Collect(), ElementsAre("kernel: booted", "k3s: one", "k3s: two"));
  EXPECT_THAT(Collect(), IsEmpty());
  supervisor_.Write("k3s", "ee\n\n");
  kernel_.Say("more", absl::Seconds(2));
  EXPECT_THAT(Collect(), ElementsAre("kernel: more", "k3s: three"));
}

TEST_F(CollectorTest, ANewNodedGoesOnWhereTheLastOneWas) {
  StartService("k3s");
  supervisor_.Write("k3s", "one\n");
  kernel_.Say("booted", absl::Seconds(1));
  EXPECT_THAT(Collect(), ElementsAre("kernel: booted", "k3s: one"));
  supervisor_.Write("k3s", "two\n");
  Restart();
  EXPECT_THAT(Collect(), ElementsAre("k3s: two"));
}

TEST_F(CollectorTest, WhatHasNoRoomComesAgain) {
  StartService("k3s");
  supervisor_.Write("k3s", "one\ntwo\nthree\n");
  kernel_.Say("booted", absl::Seconds(1));
  EXPECT_THAT(Collect(2), ElementsAre("kernel: booted", "k3s: one"));
  EXPECT_THAT(Collect(0), IsEmpty());
  Restart();
  EXPECT_THAT(Collect(), ElementsAre("k3s: two", "k3s: three"));
}

TEST_F(CollectorTest, WhatTheRingsHaveLostIsSaid) {
  StartService("k3s");
  supervisor_.Write("k3s", "one\n");
  kernel_.Say("booted", absl::Seconds(1));
  Collect();
  supervisor_.Write("k3s", std::string(300 << 10, 'x') + "\nlast\n");
  kernel_.next += 5;
  kernel_.Say("later", absl::Seconds(9));
  const std::vector<std::string> lines = Collect();
  ASSERT_GE(lines.size(), 4u);
  EXPECT_EQ(lines[0], "kernel: 5 lines of the kernel before this one were overwritten");
  EXPECT_EQ(lines[1], "kernel: later");
  EXPECT_THAT(lines[2], HasSubstr("bytes of k3s before this line were overwritten"));
  EXPECT_EQ(lines.back(), "k3s: last");
}

TEST_F(CollectorTest, ItsOwnSenderAndDownloadsAreNotCollected) {
  StartService(kSenderService);
  supervisor_.Write(kSenderService, "to nobody\n");
  StartService("fetch-1");
  supervisor_.Write("fetch-1", "progress 1 2\n");
  EXPECT_THAT(Collect(), IsEmpty());
}

TEST_F(CollectorTest, S21_WhatCannotBeMaskedGoesNowhere) {
  StartService("k3s");
  supervisor_.Write("k3s", "secret\n");
  kernel_.Say("secret", absl::Seconds(1));
  maskable_ = absl::FailedPreconditionError("sealed");
  EXPECT_THAT(Collect(), IsEmpty());
  maskable_ = absl::OkStatus();
  EXPECT_THAT(Collect(), ElementsAre("kernel: secret", "k3s: secret"));
}

TEST_F(CollectorTest, AnotherSupervisorBeginsAnew) {
  StartService("k3s");
  ASSERT_TRUE(vfs_.ReplaceVolatile(kCursorFile, "k3s 999999\nkernel 0\n").ok());
  supervisor_.Write("k3s", "one\n");
  Collect();
  supervisor_.Write("k3s", "two\n");
  EXPECT_THAT(Collect(), ElementsAre("k3s: two"));
}

TEST_F(CollectorTest, KnowsHowMuchHadBeenSaidWhen) {
  supervisor_.FailNext(testing::FakeSupervisor::Op::kList, absl::UnavailableError("busy"));
  collector_->Look();
  clock_.Advance(absl::Minutes(1));
  StartService("k3s");
  supervisor_.Write("k3s", "one\n");
  collector_->Look();
  clock_.Advance(absl::Minutes(10));
  supervisor_.Write("k3s", "two\n");
  collector_->Look();
  clock_.Advance(absl::Minutes(10));
  EXPECT_EQ(collector_->OffsetAt("k3s", absl::Minutes(5)), 8u);
  EXPECT_EQ(collector_->OffsetAt("k3s", absl::Minutes(11)), 4u);
  EXPECT_EQ(collector_->OffsetAt("k3s", absl::Hours(9)), 0u);  // it had said nothing then
  EXPECT_EQ(collector_->OffsetAt("time", absl::Minutes(5)), std::nullopt);
}

TEST_F(CollectorTest, DoesNotKnowWhatWasSaidBeforeAnybodyLooked) {
  StartService("k3s");
  supervisor_.Write("k3s", "one\n");
  collector_->Look();
  clock_.Advance(absl::Minutes(10));
  EXPECT_EQ(collector_->OffsetAt("k3s", absl::Hours(1)), std::nullopt);
  EXPECT_EQ(collector_->OffsetAt("k3s", absl::Minutes(5)), 4u);
}

}  // namespace
}  // namespace basalt::logs
