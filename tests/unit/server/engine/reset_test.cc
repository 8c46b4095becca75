// Orders that take partitions and disks away: what is promised, what a power cut leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/engine/floor_text.h"
#include "server/engine/reset_spec.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using basalt::testing::CutMode;
using basalt::testing::EngineHarness;
using ::testing::HasSubstr;

// The partitions of a machine, and what boots make of their marks.
struct FakePartitions {
  bool data_marked = false, state_marked = false;
  int data_made = 0, state_made = 0;
  Carried carried;
  ResetSpec spec;
  bool boot_fails = false;
  bool data_is_new = false;
  void Boot() {
    data_is_new = data_marked && !boot_fails;
    if (boot_fails) return;
    data_made += data_marked;
    state_made += state_marked;
    data_marked = state_marked = false;
  }
};

class FakeOrders : public MachineOrders {
 public:
  explicit FakeOrders(FakePartitions& partitions) : p_(partitions) {}
  void CheckReset(const ResetSpec&, Done done) override { done(check); }
  void MarkReset(const ResetSpec& spec, const Carried& carried, Done done) override {
    if (mark.ok()) {
      p_.spec = spec;
      p_.carried = carried;
      p_.data_marked = p_.data_marked || spec.data;
      p_.state_marked = p_.state_marked || spec.state;
    }
    done(mark);
  }
  bool DataIsNew() const override { return p_.data_is_new; }
  std::string BootFailure() const override { return "mke2fs: exit code 1"; }
  void Wipe(const WipeSpec& spec, std::function<absl::Status(const std::string&)> begun,
            std::function<void(int)> progress,
            std::function<void(absl::StatusOr<std::string>)> done) override {
    if (!check.ok()) return done(check);
    if (absl::Status status = begun("/dev/sdb, which holds DATA"); !status.ok()) {
      return done(status);
    }
    wiped.push_back(spec.disk.serial() + spec.volume);
    progress(40);
    finish = std::move(done);
  }
  absl::Status PowerOff() override {
    ++power_offs;
    return absl::OkStatus();
  }
  absl::Status check, mark;
  int power_offs = 0;
  std::vector<std::string> wiped;
  std::function<void(absl::StatusOr<std::string>)> finish;

 private:
  FakePartitions& p_;
};

class MetalPlatform : public host::Platform {
 public:
  std::string name() const override { return "metal"; }
  const host::NodePaths& paths() const override { return paths_; }
  const host::Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return "127.0.0.1"; }
  bool k3s_confined() const override { return false; }
  bool owns_namespaces() const override { return true; }
  std::string Unimplemented(const std::string&) const override { return ""; }
  absl::Status Reboot() override {
    ++reboots;
    return absl::OkStatus();
  }
  int reboots = 0;

 private:
  host::NodePaths paths_{.root = "", .state = "state", .data = "data", .run = "run", .etc = "etc"};
  host::Hardware hardware_{.architecture = "amd64", .memory_total = int64_t{4} << 30, .cpus = 4};
};

class ResetTest : public ::testing::Test {
 protected:
  void SetUp() override { SetUp(h); }
  void SetUp(EngineHarness& h) {
    auto platform = std::make_unique<MetalPlatform>();
    machine = platform.get();
    h.platform = std::move(platform);
    h.adjust = [this](NodeDeps& deps) { deps.machine_orders = &orders; };
    ASSERT_TRUE(h.Start().ok());
    ASSERT_EQ(h.Apply({.generation = 7})->last().state(), v1::APPLY_STATE_COMMITTED);
  }
  v1::ApplyActionRequest Order(EngineHarness& h, const std::string& verb,
                               const std::string& arguments) {
    auto time = [](absl::Time t) {
      return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", t, absl::UTCTimeZone());
    };
    v1::ApplyActionRequest request;
    *request.mutable_document() = h.SignText(
        v1::DOCUMENT_TYPE_ACTION,
        absl::StrCat("apiVersion: basalt/v1\nkind: Action\ncluster: home\nepoch: 1\ntarget:\n"
                     "  machineId: ",
                     h.node->Hello({}).machine_id(), "\nverb: ", verb, "\narguments: {", arguments,
                     "}\nsignedAt: ", time(h.clock.Now()),
                     "\nnotAfter: ", time(h.clock.Now() + absl::Hours(1)), "\n"),
        h.config_key);
    return request;
  }
  void Send(EngineHarness& h, const v1::ApplyActionRequest& request) {
    result = absl::UnknownError("no reply");
    h.node->ApplyAction(h.operator_caller, request, [this](absl::StatusOr<v1::ApplyActionReply> r) {
      result = r.status();
      if (r.ok()) message = r->message();
    });
    h.executor->RunUntilIdle();
  }
  void Send(const std::string& verb, const std::string& arguments) {
    Send(h, Order(h, verb, arguments));
  }
  // What the machine does when it restarts.
  void Boot(EngineHarness& h) {
    h.Reboot();
    partitions.Boot();
    if (partitions.state_made > 0) return;
    ASSERT_TRUE(h.Start().ok());
    h.executor->Advance(absl::Minutes(2));
  }

  EngineHarness h;
  FakePartitions partitions;
  FakeOrders orders{partitions};
  MetalPlatform* machine = nullptr;
  absl::Status result;
  std::string message;
};

TEST_F(ResetTest, DataIsMadeAnewAtTheNextBootAndTheConfigStays) {
  Send("reset", "data: \"true\", wipe: zero");
  ASSERT_TRUE(result.ok()) << result;
  EXPECT_THAT(message, HasSubstr("DATA is made anew at the next boot (zero); identity, trust and "
                                 "config stay; the machine restarts"));
  EXPECT_TRUE(h.HasCondition("Resetting"));
  h.executor->Advance(absl::Seconds(2));
  EXPECT_EQ(h.world.running, "");  // gracefully
  EXPECT_TRUE(partitions.data_marked);
  EXPECT_FALSE(partitions.state_marked);
  EXPECT_EQ(partitions.spec.method, WipeMethod::kZero);
  EXPECT_EQ(partitions.carried.trust, "");
  EXPECT_EQ(machine->reboots, 1);
  Boot(h);
  EXPECT_EQ(partitions.data_made, 1);
  EXPECT_EQ(h.ActiveGeneration(), 7);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  EXPECT_FALSE(h.HasCondition("Resetting"));
  EXPECT_EQ(machine->reboots, 1);
  Boot(h);
  EXPECT_EQ(partitions.data_made, 1);
  EXPECT_EQ(h.ActiveGeneration(), 7);
}

TEST_F(ResetTest, WhatOutlivesStateIsLaidDownAndReadByTheNodeThatComes) {
  Send("reset", "all: \"true\"");
  ASSERT_TRUE(result.ok()) << result;
  EXPECT_THAT(message, HasSubstr("trust, epoch and floor stay"));
  h.executor->Advance(absl::Seconds(2));
  EXPECT_TRUE(partitions.data_marked && partitions.state_marked);
  EXPECT_THAT(partitions.carried.trust, HasSubstr("payload"));
  EngineHarness next;
  ASSERT_TRUE(next.vfs.MakeDirs("state").ok());
  ASSERT_TRUE(next.vfs.Replace("state/carried-floor", partitions.carried.floor).ok());
  ASSERT_TRUE(next.Start().ok());
  EXPECT_EQ(next.node->Hello({}).floor_generation(), 7);
  EXPECT_EQ(api::Reason(next.Apply({.generation = 6})->error), "below-floor");
  EXPECT_EQ(next.Apply({.generation = 8})->last().state(), v1::APPLY_STATE_COMMITTED);
}

TEST_F(ResetTest, PowerOffAndUngraceful) {
  Send("reset", "state: \"true\", graceful: \"false\", then: power-off");
  ASSERT_TRUE(result.ok()) << result;
  h.executor->Advance(absl::Seconds(2));
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");  // it ends with its machine
  EXPECT_EQ(orders.power_offs, 1);
  EXPECT_EQ(machine->reboots, 0);
}

TEST_F(ResetTest, AResetOfFilesMayRestartTheMachine) {
  Send("reset", "then: reboot");
  ASSERT_TRUE(result.ok()) << result;
  EXPECT_THAT(message, HasSubstr("the machine restarts"));
  EXPECT_EQ(machine->reboots, 0);
  h.executor->Advance(absl::Seconds(2));
  EXPECT_EQ(machine->reboots, 1);
  EXPECT_FALSE(partitions.data_marked);
  EXPECT_EQ(h.ActiveGeneration(), 0);
}

TEST_F(ResetTest, WhatCannotBeDoneIsRefusedBeforeAnythingIsTouched) {
  orders.check = api::Coded(absl::StatusCode::kFailedPrecondition, "wipe-unsupported", "no", "");
  v1::ApplyActionRequest order = Order(h, "reset", "data: \"true\", wipe: discard");
  Send(h, order);
  EXPECT_EQ(api::Reason(result), "wipe-unsupported");
  EXPECT_EQ(h.ActiveGeneration(), 7);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");
  // It is not used up either.
  orders.check = absl::OkStatus();
  Send(h, order);
  EXPECT_TRUE(result.ok()) << result;
}

TEST_F(ResetTest, AnOrderIsObeyedOnce) {
  v1::ApplyActionRequest order = Order(h, "reset", "data: \"true\"");
  Send(h, order);
  h.executor->Advance(absl::Seconds(2));
  Boot(h);
  Send(h, order);
  EXPECT_EQ(api::Reason(result), "action-used");
}

TEST_F(ResetTest, ABootThatCannotMakeItAnewIsToldAndNotTriedInALoop) {
  partitions.boot_fails = true;
  Send("reset", "data: \"true\"");
  h.executor->Advance(absl::Seconds(2));
  EXPECT_EQ(machine->reboots, 1);
  Boot(h);
  EXPECT_EQ(machine->reboots, 1);
  EXPECT_TRUE(h.HasCondition("ResetFailed"));
  // The next boot, whoever orders it, tries again.
  partitions.boot_fails = false;
  Boot(h);
  EXPECT_EQ(partitions.data_made, 1);
  EXPECT_EQ(h.ActiveGeneration(), 7);
  EXPECT_FALSE(h.HasCondition("ResetFailed"));
}

TEST_F(ResetTest, ArgumentsThatSayNothingAreRefused) {
  for (const char* arguments :
       {"disk: a", "state: yes-please", "then: sleep", "forgetTrust: \"true\"", "wipe: zero",
        "state: \"true\", forgetTrust: \"true\""}) {
    Send("reset", arguments);
    EXPECT_EQ(api::Reason(result), "bad-action-argument") << arguments;
  }
  Send("reset", "data: \"true\", wipe: shred");
  EXPECT_EQ(api::Reason(result), "bad-wipe-method");
  for (const char* arguments :
       {"", "volume: a, disk.serial: b", "disk.colour: red", "disk.type: floppy", "count: \"2\""}) {
    Send("wipe", arguments);
    EXPECT_EQ(api::Reason(result), "bad-action-argument") << arguments;
  }
  EXPECT_EQ(h.ActiveGeneration(), 7);
  EXPECT_TRUE(orders.wiped.empty());
}

TEST_F(ResetTest, ForgettingTrustLeavesNothingToCarry) {
  Send("reset", "all: \"true\", forgetTrust: \"true\"");
  ASSERT_TRUE(result.ok()) << result;
  h.executor->Advance(absl::Seconds(2));
  EXPECT_EQ(partitions.carried.trust, "");
  EXPECT_EQ(partitions.carried.floor, "");
  EXPECT_TRUE(partitions.state_marked);
}

// Cut at each operation on STATE: afterwards either nothing has happened, or the order is followed
// to its end. Never a K3s that is gone for good with a node that knows nothing of it.
TEST_F(ResetTest, D1_APowerCutInAResetIsFollowedByTheRestOfIt) {
  int cases = 0, done_cases = 0;
  for (CutMode mode : {CutMode::kDropAll, CutMode::kKeepAll}) {
    for (int64_t n = 0;; ++n) {
      EngineHarness one;
      partitions = {};
      SetUp(one);
      const v1::ApplyActionRequest order = Order(one, "reset", "data: \"true\"");
      one.vfs.CutAfter(n);
      Send(one, order);
      const bool promised = result.ok();
      one.executor->Advance(absl::Seconds(2));
      const bool was_cut = one.vfs.cut();
      one.PowerCut(mode, 1);
      partitions.Boot();
      ASSERT_TRUE(one.Start().ok());
      one.executor->Advance(absl::Minutes(2));
      // It went on by itself, and may have asked for one more boot.
      Boot(one);
      ++cases;
      const bool made = partitions.data_made > 0;
      done_cases += made;
      EXPECT_TRUE(made || !promised) << n;
      EXPECT_EQ(one.ActiveGeneration(), 7) << n;
      EXPECT_EQ(one.world.running, "v1.30.4+k3s1") << n;
      EXPECT_FALSE(one.HasCondition("Resetting")) << n;
      if (!was_cut) break;
    }
  }
  EXPECT_GT(cases, 4);
  EXPECT_GT(done_cases, 2);
  std::cout << "D1 reset: cases " << cases << ", carried out " << done_cases << ", skips 0\n";
}

TEST_F(ResetTest, AWipeIsFollowedFromOutsideAndItsEndIsTold) {
  Send("wipe", "disk.serial: S64, method: zero");
  ASSERT_TRUE(result.ok()) << result;
  EXPECT_EQ(message, "wiping /dev/sdb, which holds DATA");
  EXPECT_EQ(orders.wiped, std::vector<std::string>{"S64"});
  h.executor->RunUntilIdle();
  EXPECT_TRUE(h.HasCondition("Wiping"));
  Send("wipe", "disk.serial: S65");
  EXPECT_EQ(api::Reason(result), "wiping");
  orders.finish(std::string("zeros over 1 GiB"));
  h.executor->RunUntilIdle();
  EXPECT_FALSE(h.HasCondition("Wiping"));
  EXPECT_FALSE(h.HasCondition("WipeFailed"));
  EXPECT_EQ(h.ActiveGeneration(), 7);
}

TEST_F(ResetTest, AWipeThatIsRefusedIsNotUsedUpAndOneThatFailsIsTold) {
  orders.check = api::Coded(absl::StatusCode::kFailedPrecondition, "disk-in-use", "no", "");
  v1::ApplyActionRequest order = Order(h, "wipe", "volume: longhorn");
  Send(h, order);
  EXPECT_EQ(api::Reason(result), "disk-in-use");
  orders.check = absl::OkStatus();
  Send(h, order);
  ASSERT_TRUE(result.ok()) << result;
  orders.finish(absl::UnavailableError("write: Input/output error"));
  h.executor->RunUntilIdle();
  EXPECT_TRUE(h.HasCondition("WipeFailed"));
  Send(h, order);
  EXPECT_EQ(api::Reason(result), "action-used");
}

TEST_F(ResetTest, AWipeThatAPowerCutEndedIsDoneAtTheNextStart) {
  Send("wipe", "disk.serial: S64");
  ASSERT_TRUE(result.ok()) << result;
  Boot(h);
  EXPECT_EQ(orders.wiped, (std::vector<std::string>{"S64", "S64"}));
  orders.finish(std::string("done"));
  h.executor->RunUntilIdle();
  Boot(h);
  EXPECT_EQ(orders.wiped.size(), 2u);
}

TEST(FloorText, IsReadBackAndNothingElseIs) {
  stored::Floor floor, read;
  absl::Time time;
  floor.set_epoch(3);
  floor.set_generation(20261125211000);
  floor.set_digest(std::string(64, 'a'));
  const std::string text = FloorToText(floor, absl::FromUnixSeconds(1800000000));
  ASSERT_TRUE(FloorFromText(text, &read, &time));
  EXPECT_EQ(read.SerializeAsString(), floor.SerializeAsString());
  EXPECT_EQ(time, absl::FromUnixSeconds(1800000000));
  for (const std::string& bad :
       {std::string(""), std::string("1 2 - 3"), std::string("1 2 - 3 4\n"),
        std::string("x 2 - 3\n"), std::string("-1 2 - 3\n"), std::string("1 2 abc 3\n"),
        text + text, std::string("1 2 - 99999999999999\n"), text.substr(0, text.size() - 1)}) {
    EXPECT_FALSE(FloorFromText(bad, &read, &time)) << bad;
  }
  ASSERT_TRUE(FloorFromText("1 2 - 3\n", &read, &time));
  EXPECT_EQ(read.digest(), "");
}

}  // namespace
}  // namespace basalt::engine
