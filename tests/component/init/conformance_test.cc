// What host::Supervisor promises, against the fake and against the real noded-init: a fake that
// behaves otherwise would make every controller test a lie.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <utility>

#include "api/coded_status.h"
#include "tests/component/init/real_init.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/supervisor/fake_supervisor.h"

namespace basalt::testing {
namespace {

using Kind = host::ServiceEvent::Kind;
using host::ServiceState;

// One world: a supervisor, and hands that make its services do something.
class World {
 public:
  virtual ~World() = default;
  virtual host::Supervisor& supervisor() = 0;
  virtual host::ServiceSpec Spec(const std::string& name) = 0;
  virtual void Exit(const std::string& name, int code, int signal) = 0;
  virtual void Ready(const std::string& name) = 0;
  virtual void Write(const std::string& name, const std::string& text) = 0;
  virtual void PassBackoff(const std::string& name) = 0;
};

class FakeWorld : public World {
 public:
  host::Supervisor& supervisor() override { return fake_; }
  host::ServiceSpec Spec(const std::string& name) override {
    host::ServiceSpec spec;
    spec.name = name;
    spec.tag = "tag-" + name;
    spec.argv = {"remote"};
    spec.exec_fd.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    return spec;
  }
  void Exit(const std::string& name, int code, int signal) override {
    fake_.Exit(name, code, signal);
  }
  void Ready(const std::string& name) override { fake_.Ready(name); }
  void Write(const std::string& name, const std::string& text) override { fake_.Write(name, text); }
  void PassBackoff(const std::string& name) override { fake_.PassBackoff(name); }

 private:
  FakeClock clock_;
  FakeSupervisor fake_{clock_};
};

class RealWorld : public World {
 public:
  RealWorld() : noded_(init_.AwaitNoded()) {
    auto connected = host::ConnectSupervisor(std::move(noded_.channel));
    EXPECT_TRUE(connected.ok()) << connected.status().ToString();
    supervisor_ = *std::move(connected);
  }
  host::Supervisor& supervisor() override { return *supervisor_; }
  host::ServiceSpec Spec(const std::string& name) override { return init_.Remote(name); }
  void Exit(const std::string& name, int code, int signal) override {
    init_.Say(name,
              signal != 0 ? "signal " + std::to_string(signal) : "exit " + std::to_string(code),
              false);
  }
  void Ready(const std::string& name) override { init_.Say(name, "ready"); }
  void Write(const std::string& name, const std::string& text) override {
    init_.Say(name, "say " + text);
  }
  void PassBackoff(const std::string&) override {}  // 10 ms, and the event of the start is awaited

 private:
  RealInit init_;
  RelayedNoded noded_;
  std::unique_ptr<host::Supervisor> supervisor_;
};

class SupervisorConformance : public ::testing::TestWithParam<bool> {
 protected:
  SupervisorConformance() {
    if (GetParam()) {
      world_ = std::make_unique<RealWorld>();
    } else {
      world_ = std::make_unique<FakeWorld>();
    }
  }
  host::Supervisor& supervisor() { return world_->supervisor(); }
  host::ServiceStatus Get(const std::string& name) {
    auto list = supervisor().List();
    EXPECT_TRUE(list.ok());
    for (const host::ServiceStatus& status : *list) {
      if (status.name == name) return status;
    }
    ADD_FAILURE() << name << " is not listed";
    return {};
  }
  host::ServiceEvent Await(Kind kind, const std::string& name) {
    return AwaitEvent(supervisor(), &seq_, kind, name);
  }

  std::unique_ptr<World> world_;
  uint64_t seq_ = 0;
};

TEST_P(SupervisorConformance, AOneRunServiceRunsAndKeepsItsExit) {
  ASSERT_TRUE(supervisor().Start(world_->Spec("fetch")).ok());
  host::ServiceStatus status = Get("fetch");
  EXPECT_EQ(status.state, ServiceState::kRunning);
  EXPECT_EQ(status.tag, "tag-fetch");
  EXPECT_GT(status.pid, 0);
  EXPECT_EQ(status.starts, 1);
  EXPECT_FALSE(status.exited);
  EXPECT_EQ(Await(Kind::kStarted, "fetch").pid, status.pid);
  world_->Exit("fetch", 3, 0);
  host::ServiceEvent exit = Await(Kind::kExit, "fetch");
  EXPECT_EQ(exit.exit_code, 3);
  EXPECT_EQ(exit.signal, 0);
  EXPECT_EQ(exit.pid, status.pid);
  status = Get("fetch");
  EXPECT_EQ(status.state, ServiceState::kFailed);
  EXPECT_TRUE(status.exited);
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_EQ(status.pid, 0);
  EXPECT_GE(status.exited_at, status.started_at);
}

TEST_P(SupervisorConformance, ExitZeroIsStoppedAndASignalIsFailed) {
  ASSERT_TRUE(supervisor().Start(world_->Spec("a")).ok());
  world_->Exit("a", 0, 0);
  Await(Kind::kExit, "a");
  EXPECT_EQ(Get("a").state, ServiceState::kStopped);
  ASSERT_TRUE(supervisor().Start(world_->Spec("a")).ok());
  EXPECT_FALSE(Get("a").exited);
  world_->Exit("a", 0, SIGKILL);
  EXPECT_EQ(Await(Kind::kExit, "a").signal, SIGKILL);
  EXPECT_EQ(Get("a").state, ServiceState::kFailed);
  EXPECT_EQ(Get("a").signal, SIGKILL);
}

TEST_P(SupervisorConformance, ReadinessIsSeenOncePerStart) {
  host::ServiceSpec spec = world_->Spec("k3s");
  spec.notify = true;
  ASSERT_TRUE(supervisor().Start(std::move(spec)).ok());
  EXPECT_EQ(Get("k3s").state, ServiceState::kStarting);
  EXPECT_FALSE(Get("k3s").ready);
  world_->Ready("k3s");
  Await(Kind::kReady, "k3s");
  EXPECT_EQ(Get("k3s").state, ServiceState::kRunning);
  EXPECT_TRUE(Get("k3s").ready);
  world_->Ready("k3s");
  world_->Exit("k3s", 1, 0);
  auto before = seq_;
  EXPECT_EQ(Await(Kind::kExit, "k3s").seq, before + 1);
}

TEST_P(SupervisorConformance, AnAlwaysServiceComesBackWithANewPid) {
  host::ServiceSpec spec = world_->Spec("k3s");
  spec.restart.always = true;
  ASSERT_TRUE(supervisor().Start(std::move(spec)).ok());
  int first = Await(Kind::kStarted, "k3s").pid;
  world_->Exit("k3s", 1, 0);
  Await(Kind::kExit, "k3s");
  world_->PassBackoff("k3s");
  EXPECT_NE(Await(Kind::kStarted, "k3s").pid, first);
  EXPECT_EQ(Get("k3s").starts, 2);
  EXPECT_TRUE(Get("k3s").exited);  // of the last exit
  EXPECT_EQ(Get("k3s").exit_code, 1);
}

TEST_P(SupervisorConformance, StopEndsItForGood) {
  host::ServiceSpec spec = world_->Spec("k3s");
  spec.restart.always = true;
  ASSERT_TRUE(supervisor().Start(std::move(spec)).ok());
  ASSERT_TRUE(supervisor().Stop("k3s").ok());
  EXPECT_EQ(Await(Kind::kExit, "k3s").signal, SIGTERM);
  EXPECT_EQ(Get("k3s").state, ServiceState::kStopped);
  EXPECT_TRUE(supervisor().Stop("k3s").ok());
  auto rest = supervisor().Events(seq_);
  ASSERT_TRUE(rest.ok());
  EXPECT_TRUE(rest->empty());
}

TEST_P(SupervisorConformance, ARunningNameIsRefusedAndAStoppedOneReplaced) {
  ASSERT_TRUE(supervisor().Start(world_->Spec("k3s")).ok());
  host::ServiceSpec again = world_->Spec("other");
  again.name = "k3s";
  absl::Status refused = supervisor().Start(std::move(again));
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(api::Reason(refused), "service-runs");
  ASSERT_TRUE(supervisor().Stop("k3s").ok());
  Await(Kind::kExit, "k3s");
  ASSERT_TRUE(supervisor().Start(world_->Spec("k3s")).ok());
  EXPECT_EQ(Get("k3s").starts, 1);
  EXPECT_EQ(supervisor().List()->size(), 1u);
}

TEST_P(SupervisorConformance, UnknownNamesAreNotFound) {
  EXPECT_EQ(supervisor().Stop("nobody").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(supervisor().Output("nobody").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(supervisor().OutputOffset("").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(SupervisorConformance, ABadSpecIsRefusedAndNothingStarts) {
  host::ServiceSpec spec = world_->Spec("k3s");
  spec.name = "a/b";
  EXPECT_EQ(api::Reason(supervisor().Start(std::move(spec))), "bad-service-spec");
  EXPECT_TRUE(supervisor().List()->empty());
}

TEST_P(SupervisorConformance, OutputKeepsTheEndAndCountsAllAcrossReplacement) {
  ASSERT_TRUE(supervisor().Start(world_->Spec("k3s")).ok());
  world_->Write("k3s", "hello");
  EXPECT_EQ(*supervisor().Output("k3s"), "hello");
  EXPECT_EQ(*supervisor().Output("k3s", 2), "lo");
  EXPECT_EQ(*supervisor().OutputOffset("k3s"), 5u);
  world_->Write("k3s", "bye");
  world_->Exit("k3s", 1, 0);
  Await(Kind::kExit, "k3s");
  uint64_t end = 0;
  EXPECT_EQ(*supervisor().Output("k3s", 3, &end), "bye");
  EXPECT_EQ(end, 8u);
  EXPECT_EQ(*supervisor().Output("k3s"), "hellobye");
  ASSERT_TRUE(supervisor().Start(world_->Spec("k3s")).ok());
  EXPECT_EQ(*supervisor().OutputOffset("k3s"), 8u);
}

TEST_P(SupervisorConformance, EventsArePreciseAboutWhatWasLost) {
  for (int i = 0; i < 33; ++i) {
    ASSERT_TRUE(supervisor().Start(world_->Spec("f")).ok());
    world_->Exit("f", i, 0);
    Await(Kind::kExit, "f");
  }
  auto all = supervisor().Events(0);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 65u);
  EXPECT_EQ(all->front().kind, Kind::kLost);
  EXPECT_EQ(all->front().seq, 2u);
  EXPECT_EQ(all->back().seq, 66u);
  EXPECT_EQ(all->back().exit_code, 32);
}

TEST_P(SupervisorConformance, FeedIsTaken) { EXPECT_TRUE(supervisor().Feed().ok()); }

TEST_P(SupervisorConformance, WhatOnlyPid1CanDoIsUnimplementedElsewhere) {
  EXPECT_EQ(api::Reason(supervisor().Boot().status()), "not-pid1");
  EXPECT_EQ(api::Reason(supervisor().Healthy()), "not-pid1");
  EXPECT_EQ(api::Reason(supervisor().EndMachine(true)), "not-pid1");
  EXPECT_TRUE(supervisor().Feed().ok());
}

INSTANTIATE_TEST_SUITE_P(All, SupervisorConformance, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Real" : "Fake"; });

}  // namespace
}  // namespace basalt::testing
