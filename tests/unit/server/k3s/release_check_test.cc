// What the program says of itself decides. The test is the program.
#include "server/k3s/release_check.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <optional>

#include "absl/strings/match.h"
#include "api/coded_status.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/supervisor/fake_supervisor.h"

namespace basalt::k3s {
namespace {

using testing::FakeClock;
using testing::FakeSupervisor;
using testing::ManualExecutor;

constexpr char kService[] = "k3s-version";

class OneFile : public artifacts::ArtifactStore {
 public:
  void Ensure(const std::string&, const v1::Artifact&, const std::vector<std::string>&,
              engine::OnProgress, engine::Done) override {}
  void Cancel() override {}
  void Open(const std::string&, OpenDone done) override {
    if (!status.ok()) return done(status);
    done(std::make_shared<host::UniqueFd>(open("/dev/null", O_RDONLY | O_CLOEXEC)));
  }
  std::string Path(const std::string&) const override { return ""; }
  void OnServiceEvent(const host::ServiceEvent&) override {}
  void KeepOnly(std::set<std::string>) override {}

  absl::Status status;
};

class ReleaseCheckTest : public ::testing::Test {
 protected:
  ReleaseCheckTest() {
    supervisor_.on_event = [this] { executor_.Post([this] { Pump(); }); };
  }
  void Pump() {
    for (const host::ServiceEvent& event :
         supervisor_.Events(seq_).value_or(std::vector<host::ServiceEvent>{})) {
      seq_ = event.seq;
      check_->OnServiceEvent(event);
    }
  }
  void Begin() {
    result_.reset();
    check_->Check("abc", "v1.30.4+k3s1", [this](absl::Status status) { result_ = status; });
    executor_.RunUntilIdle();
  }
  // The program says this and ends.
  absl::Status Ends(const std::string& output, int code = 0) {
    Begin();
    supervisor_.Write(kService, output);
    supervisor_.Exit(kService, code);
    executor_.RunUntilIdle();
    return result_.value_or(absl::UnknownError("not done"));
  }

  FakeClock clock_;
  ManualExecutor executor_{clock_};
  FakeSupervisor supervisor_{clock_};
  OneFile store_;
  std::unique_ptr<ReleaseCheck> check_ = MakeReleaseCheck(executor_, supervisor_, store_);
  std::optional<absl::Status> result_;
  uint64_t seq_ = 0;
};

TEST_F(ReleaseCheckTest, S5_TheReleaseThatTheConfigSaysPassesAndIsAskedOnce) {
  EXPECT_TRUE(Ends("k3s version v1.30.4+k3s1 (98262b5d)\ngo version go1.22.5\n").ok());
  EXPECT_EQ(supervisor_.Spec(kService)->argv, (std::vector<std::string>{"k3s", "--version"}));
  Begin();
  EXPECT_TRUE(result_.has_value() && result_->ok());
  EXPECT_EQ(supervisor_.started().size(), 1u);
}

TEST_F(ReleaseCheckTest, S5_AnotherReleaseIsNamedBesideTheOneOfTheConfig) {
  absl::Status status = Ends("k3s-next version v1.29.0+k3s1 (3190a5fa)\ngo version go1.21\n");
  EXPECT_EQ(api::Reason(status), "wrong-k3s-release");
  EXPECT_TRUE(absl::StrContains(status.message(), "v1.29.0+k3s1")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "v1.30.4+k3s1")) << status;
  EXPECT_TRUE(Ends("k3s version v1.30.4+k3s1 (98262b5d)\n").ok()) << "a refusal is not remembered";
}

TEST_F(ReleaseCheckTest, WhatIsNoK3sSaysWhatItSaid) {
  for (const char* output : {"", "hello\n", "k3s version\n", "\n\n"}) {
    EXPECT_EQ(api::Reason(Ends(output)), "k3s-not-runnable") << output;
  }
  absl::Status status = Ends("cannot open shared object file\n", 127);
  EXPECT_EQ(api::Reason(status), "k3s-not-runnable");
  EXPECT_TRUE(absl::StrContains(status.message(), "status 127")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "shared object")) << status;
}

TEST_F(ReleaseCheckTest, OneThatDoesNotEndIsEnded) {
  Begin();
  executor_.Advance(absl::Seconds(61));
  ASSERT_TRUE(result_.has_value());
  EXPECT_EQ(api::Reason(*result_), "k3s-not-runnable");
  EXPECT_EQ(supervisor_.stopped().size(), 1u);
}

TEST_F(ReleaseCheckTest, OneThatAnEarlierNodedStartedIsEndedFirst) {
  Begin();
  check_ = MakeReleaseCheck(executor_, supervisor_, store_);
  Begin();
  EXPECT_EQ(supervisor_.stopped().size(), 1u);
  supervisor_.Write(kService, "k3s version v1.30.4+k3s1 (98262b5d)\n");
  supervisor_.Exit(kService, 0);
  executor_.RunUntilIdle();
  ASSERT_TRUE(result_.has_value());
  EXPECT_TRUE(result_->ok()) << *result_;
}

TEST_F(ReleaseCheckTest, DamagedBytesAreNeverRun) {
  store_.status = api::Coded(absl::StatusCode::kDataLoss, "artifact-damaged", "other bytes");
  Begin();
  EXPECT_EQ(api::Reason(result_.value_or(absl::OkStatus())), "artifact-damaged");
  EXPECT_TRUE(supervisor_.started().empty());
}

}  // namespace
}  // namespace basalt::k3s
