// Upgrades from the signed config to the boot after it, and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/unit/server/fetch/scripted_server.h"
#include "tests/unit/server/update/upgrade_world.h"

namespace basalt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class UpgradeTest : public ::testing::Test {
 protected:
  KitImage next_ = MakeKitImage({.version = "1.1.0"});
  UpgradeWorld w_;

  void UpgradeAndBless() {
    std::shared_ptr<RecordingWatcher> apply = w_.Apply(2, w_.Publish(next_));
    ASSERT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING)
        << apply->error << apply->last().message();
    ASSERT_TRUE(w_.Reboot());
    ASSERT_EQ(w_.h.ActiveGeneration(), 2);
    w_.disk.Bless();
    w_.Advance(absl::Minutes(1));
  }
};

TEST_F(UpgradeTest, AnImageIsWrittenTriedAndCommitted) {
  const std::string section = w_.Publish(next_);
  v1::PlanReply plan = w_.Plan(2, section);
  ASSERT_EQ(plan.steps_size(), 1);
  EXPECT_THAT(plan.steps(0).description(), HasSubstr("write image (sha256:"));
  EXPECT_THAT(plan.steps(0).description(), HasSubstr("into slot b, restart the machine"));
  EXPECT_EQ(plan.effect(), v1::EFFECT_REBOOT);
  EXPECT_EQ(w_.disk.changes(), 0) << "a plan writes nothing";

  std::shared_ptr<RecordingWatcher> apply = w_.Apply(2, section);
  EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING)
      << apply->error << apply->last().message();
  EXPECT_EQ(w_.machine->reboots, 1);
  EXPECT_TRUE(w_.disk.slot(host::BootSlot::kB).substr(0, next_.slot.size()) == next_.slot);
  EXPECT_THAT(w_.disk.names(), ElementsAre("noded_1.0.0.efi", "noded_1.1.0+3.efi"));
  EXPECT_TRUE(w_.disk.files()["noded_1.1.0+3.efi"] == next_.kernel);

  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.1.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 2) << w_.LastErrorCode();
  EXPECT_EQ(w_.Image().state(), "as-wanted");
  EXPECT_EQ(w_.Image().slot(), "b");
  EXPECT_EQ(w_.Slot("b").state(), "trial");
  EXPECT_EQ(w_.Slot("b").tries_left(), 2);
  EXPECT_TRUE(w_.Slot("b").running());
  EXPECT_EQ(w_.Slot("a").state(), "good");
  EXPECT_EQ(w_.Slot("a").version(), "1.0.0");

  w_.disk.Bless();
  w_.Advance(absl::Minutes(1));
  EXPECT_EQ(w_.Slot("b").state(), "good");
  const int mounts = w_.disk.mounts;
  w_.Advance(absl::Hours(1));
  EXPECT_EQ(w_.disk.mounts, mounts) << "at rest the boot partition is left alone";
}

TEST_F(UpgradeTest, AVersionInTheConfigIsShownAndChecked) {
  std::string section = w_.Publish(next_);
  section += "    version: 1.1.0\n";
  EXPECT_THAT(w_.Plan(2, section).steps(0).description(), HasSubstr("write image 1.1.0 (sha256:"));
  section.replace(section.find("1.1.0\n"), 5, "1.2.0");
  std::shared_ptr<RecordingWatcher> apply = w_.Apply(2, section);
  EXPECT_EQ(apply->last().error_code(), "image-version-mismatch");
}

TEST_F(UpgradeTest, ATrialIsNotGoodBeforeItsConfigIsCommitted) {
  w_.h.world.unhealthy.insert("v1.31.0+k3s1");
  w_.Apply(2, w_.Publish(next_), "", "v1.31.0+k3s1");
  ASSERT_TRUE(w_.Reboot());
  ASSERT_EQ(w_.image->TrialConditions({}).size(), 1u);
  EXPECT_FALSE(w_.image->TrialConditions({})[0].holds);
}

TEST_F(UpgradeTest, AfterItsCommitATrialWaitsForNothingMore) {
  const std::vector<engine::Condition> broken = {{.type = "K3sReady"}};
  EXPECT_EQ(w_.image->TrialConditions(broken), broken) << "a first boot, without an attempt";
  w_.Apply(2, w_.Publish(next_));
  ASSERT_TRUE(w_.Reboot());
  EXPECT_TRUE(w_.image->TrialConditions(broken).empty());
  w_.Start();
  EXPECT_TRUE(w_.image->TrialConditions(broken).empty()) << "also for the next noded";
}

TEST_F(UpgradeTest, U2_AnImageThatNeverStartsComesBackByItself) {
  const v1::SignedDocument sent = w_.h.Sign({.generation = 2, .sections = w_.Publish(next_)});
  w_.h.Apply(sent);
  w_.Pump();
  ASSERT_TRUE(w_.Reboot({"1.1.0"}));
  EXPECT_EQ(w_.running(), "1.0.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 1);
  EXPECT_EQ(w_.LastErrorCode(), "image-fell-back");
  EXPECT_THAT(w_.h.ConfigStatus().last_error(), HasSubstr("1.1.0"));
  EXPECT_EQ(w_.Slot("b").state(), "failed");
  EXPECT_EQ(w_.machine->reboots, 1) << "nothing more has to restart";
  // Who waited over the reboot asks again and hears why; another generation is another try.
  std::shared_ptr<RecordingWatcher> joined = w_.h.Apply(sent);
  EXPECT_EQ(api::Reason(joined->error), "barred-digest");
  EXPECT_THAT(std::string(joined->error.message()), HasSubstr("[image-fell-back]"));
  std::shared_ptr<RecordingWatcher> again = w_.Apply(3, w_.Publish(next_));
  EXPECT_EQ(again->last().state(), v1::APPLY_STATE_REBOOTING) << again->error;
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.1.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 3);
}

TEST_F(UpgradeTest, U2_AnImageOnWhichK3sIsNeverReadyIsLeft) {
  w_.h.world.unhealthy.insert("v1.31.0+k3s1");
  w_.Apply(2, w_.Publish(next_), "", "v1.31.0+k3s1");
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.1.0");
  w_.Advance(absl::Minutes(3));
  EXPECT_EQ(w_.machine->reboots, 2) << "to go back";
  EXPECT_EQ(w_.h.ConfigStatus().pending_state(), v1::APPLY_STATE_REVERTING);
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.0.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 1);
  EXPECT_EQ(w_.h.ConfigStatus().pending_generation(), 0);
  EXPECT_EQ(w_.h.world.running, "v1.30.4+k3s1");
  EXPECT_EQ(w_.Slot("b").state(), "failed");
  w_.Advance(absl::Hours(1));
  EXPECT_EQ(w_.machine->reboots, 2);
}

TEST_F(UpgradeTest, U2_AMachineThatDoesNotLeaveTheImageIsNotRestartedForEver) {
  w_.h.world.unhealthy.insert("v1.31.0+k3s1");
  w_.Apply(2, w_.Publish(next_), "", "v1.31.0+k3s1");
  ASSERT_TRUE(w_.Reboot());
  w_.Advance(absl::Minutes(3));
  for (int i = 0; i < 6; ++i) {
    w_.Kill();
    w_.h.Reboot();
    w_.disk.Run(host::BootSlot::kB, next_.root);  // whatever the loader was told
    w_.Start();
    w_.Advance(absl::Minutes(10));
  }
  EXPECT_LE(w_.machine->reboots, 5);
  EXPECT_EQ(w_.h.ActiveGeneration(), 1);
  EXPECT_EQ(w_.Image().version(), "1.1.0") << "and it says what runs";
}

TEST_F(UpgradeTest, AnOlderImageIsABootWithoutAWrite) {
  const std::string old = w_.Publish(w_.first);
  UpgradeAndBless();
  const std::string slot_a = w_.disk.slot(host::BootSlot::kA);
  const int downloads = w_.downloads;
  std::shared_ptr<RecordingWatcher> apply = w_.Apply(3, old);
  EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING)
      << apply->error << apply->last().message();
  EXPECT_TRUE(w_.disk.slot(host::BootSlot::kA) == slot_a);
  EXPECT_EQ(w_.downloads, downloads + 1) << "the manifest alone";
  EXPECT_THAT(w_.disk.names(), ElementsAre("noded_1.0.0+3.efi", "noded_1.1.0+0-1.efi"));
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.0.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 3);
  EXPECT_THAT(w_.Plan(4, w_.Publish(next_)).steps(0).description(), HasSubstr("boot image 1.1.0"));
}

TEST_F(UpgradeTest, U2_AnOlderImageThatDoesNotStartLeadsBackToTheNewerOne) {
  const std::string old = w_.Publish(w_.first);
  UpgradeAndBless();
  w_.Apply(3, old);
  ASSERT_TRUE(w_.Reboot({"1.0.0"}));
  EXPECT_EQ(w_.running(), "1.1.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 2);
  EXPECT_EQ(w_.LastErrorCode(), "image-fell-back");
  EXPECT_EQ(w_.Slot("b").state(), "good");
}

TEST_F(UpgradeTest, AnOrderGoesBackToTheOtherSlotAndStaysThere) {
  UpgradeAndBless();
  absl::StatusOr<v1::ApplyActionReply> reply = w_.RollBack();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(w_.machine->reboots, 1) << "the answer goes out first";
  w_.Advance(absl::Seconds(2));
  EXPECT_EQ(w_.machine->reboots, 2);
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.0.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 2) << "the config still names 1.1.0";
  EXPECT_EQ(w_.Image().state(), "rolled-back");
  w_.Start();
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.0.0");
  // Until somebody signs for it anew.
  std::shared_ptr<RecordingWatcher> apply =
      w_.Apply(3, w_.Publish(next_), "  labels: {site: lab}\n");
  EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING)
      << apply->error << apply->last().message();
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.1.0");
}

TEST_F(UpgradeTest, AnOrderIsObeyedOnceAndSaysWhenItCannotBe) {
  EXPECT_EQ(api::Reason(w_.RollBack().status()), "no-image-to-return-to");
  UpgradeAndBless();
  EXPECT_EQ(api::Reason(w_.RollBack("arguments: {version: 0.9.0}\n").status()), "wrong-version");
  EXPECT_TRUE(w_.RollBack("arguments: {version: 1.0.0}\n").ok());
  EXPECT_EQ(api::Reason(w_.RollBack("arguments: {version: 1.0.0}\n").status()), "action-used");
}

TEST_F(UpgradeTest, U6_ANodeDoesNotGoBelowAnEpochThatItRan) {
  next_ = MakeKitImage({.version = "1.1.0", .epoch = 2});
  const std::string old = w_.Publish(w_.first);
  UpgradeAndBless();
  EXPECT_EQ(w_.Image().epoch_floor(), 2);
  EXPECT_EQ(w_.Apply(3, old)->last().error_code(), "image-below-epoch");
  EXPECT_EQ(api::Reason(w_.RollBack().status()), "image-below-epoch");
  // An order with consent, and a config with consent.
  EXPECT_EQ(w_.Apply(4, old, "  allow: [downgrade]\n")->last().state(), v1::APPLY_STATE_REBOOTING);
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.0.0");
  EXPECT_EQ(w_.Image().epoch_floor(), 2) << "the floor never falls";
}

TEST_F(UpgradeTest, U6_AnImageForAnotherMachineWritesNothing) {
  for (const KitOptions& options :
       {KitOptions{.version = "1.1.0", .architecture = "arm64"},
        KitOptions{.version = "1.1.0", .profile = "metal-amd64"}, KitOptions{.version = "1.0.0"}}) {
    static int64_t generation = 1;
    std::shared_ptr<RecordingWatcher> apply =
        w_.Apply(++generation, w_.Publish(MakeKitImage(options, 1)));
    EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REVERTED);
    EXPECT_THAT(apply->last().error_code(), ::testing::StartsWith("image-"));
  }
  EXPECT_EQ(w_.disk.changes(), 0);
  EXPECT_EQ(w_.machine->reboots, 0);
}

TEST_F(UpgradeTest, U8_AFullBootPartitionIsRefusedBeforeAnyWrite) {
  next_ = MakeKitImage({.version = "1.1.0", .kernel_size = 2 << 20});
  std::shared_ptr<RecordingWatcher> apply = w_.Apply(2, w_.Publish(next_));
  EXPECT_EQ(apply->last().error_code(), "esp-full") << apply->error << apply->last().message();
  EXPECT_EQ(w_.disk.changes(), 0);
  EXPECT_EQ(w_.downloads, 1) << "the manifest alone";
}

TEST_F(UpgradeTest, U8_AFullDataDiskIsRefusedBeforeAnyWrite) {
  w_.h.vfs.SetFreeBytes(1 << 20);
  std::shared_ptr<RecordingWatcher> apply = w_.Apply(2, w_.Publish(next_));
  EXPECT_EQ(apply->last().error_code(), "disk-full") << apply->error << apply->last().message();
  EXPECT_EQ(w_.disk.changes(), 0);
}

TEST_F(UpgradeTest, S5_FilesOfAnotherImageUnderThisManifestAreNotWritten) {
  const std::string section = w_.Publish(next_);
  const KitImage other = MakeKitImage({.version = "1.1.0"}, 1);
  std::ofstream(w_.web() + "/basalt-1.1.0.slot", std::ios::binary) << other.slot;
  std::shared_ptr<RecordingWatcher> apply = w_.Apply(2, section);
  EXPECT_EQ(apply->last().error_code(), "artifact-digest-mismatch");
  EXPECT_EQ(w_.disk.changes(), 0);
}

TEST_F(UpgradeTest, S5_ASignedManifestOfTwoBuildsIsRefused) {
  const KitImage other = MakeKitImage({.version = "1.1.0"}, 1);
  // The slot of one, the kernel image of the other: signed so, and still no image.
  KitImage mixed = next_;
  mixed.kernel = other.kernel;
  const std::string section =
      w_.Publish(mixed, KitManifest({.version = "1.1.0"}, next_.root, next_.slot, other.kernel));
  EXPECT_EQ(w_.Apply(2, section)->last().error_code(), "image-mismatch");
  EXPECT_EQ(w_.disk.changes(), 0);
  // The other way round: found when the slot is read back, and never armed.
  mixed = next_;
  mixed.slot = other.slot;
  const std::string second =
      w_.Publish(mixed, KitManifest({.version = "1.1.0"}, next_.root, other.slot, next_.kernel));
  EXPECT_EQ(w_.Apply(3, second)->last().error_code(), "image-mismatch");
  EXPECT_THAT(w_.disk.names(), ElementsAre("noded_1.0.0.efi"));
}

TEST_F(UpgradeTest, AnImageThatNobodyMaySignForIsRefused) {
  const sign::PrivateKey stranger = sign::PrivateKey::GenerateEd25519();
  EXPECT_EQ(w_.Apply(2, w_.Publish(next_, "", &stranger))->last().error_code(), "bad-signature");
  // Root implies no other grant.
  EXPECT_EQ(w_.Apply(3, w_.Publish(next_, "", &w_.h.root_key))->last().error_code(),
            "bad-signature");
  EXPECT_EQ(w_.disk.changes(), 0);
}

TEST_F(UpgradeTest, U3_AManifestThatIsNotTheOneNamedIsRefused) {
  const std::string section = w_.Publish(next_);
  w_.Publish(MakeKitImage({.version = "1.1.0"}, 3));  // over it
  EXPECT_EQ(w_.Apply(2, section)->last().error_code(), "artifact-digest-mismatch");
  std::ofstream(w_.web() + "/basalt-1.1.0.image.json") << "not a document";
  EXPECT_EQ(w_.Apply(3, section)->last().error_code(), "artifact-digest-mismatch");
}

TEST_F(UpgradeTest, U3_AMirrorWithOtherBytesIsPassedBy) {
  const std::string good = w_.Publish(next_);
  const std::string digest = good.substr(good.find("sha256:"), 71);
  std::filesystem::create_directories(w_.web() + "/bad");
  for (const char* file : {"basalt-1.1.0.image.json", "basalt-1.1.0.slot", "basalt-1.1.0.efi"}) {
    std::ofstream(absl::StrCat(w_.web(), "/bad/", file)) << "other bytes";
  }
  std::shared_ptr<RecordingWatcher> apply =
      w_.Apply(2, w_.Section(digest, {w_.UrlOf("bad/basalt-1.1.0.image.json"),
                                      w_.UrlOf("basalt-1.1.0.image.json")}));
  EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING) << apply->last().message();
}

TEST_F(UpgradeTest, U3_ATruncatedAndAnOversizedSlotAreRefusedAndBounded) {
  const std::string section = w_.Publish(next_);
  std::filesystem::resize_file(w_.web() + "/basalt-1.1.0.slot", next_.slot.size() - 1);
  EXPECT_THAT(w_.Apply(2, section)->last().error_code(), ::testing::StartsWith("artifact-"));
  std::filesystem::resize_file(w_.web() + "/basalt-1.1.0.slot", next_.slot.size() + 1);
  EXPECT_EQ(w_.Apply(3, section)->last().error_code(), "artifact-too-large");
  EXPECT_EQ(w_.disk.changes(), 0);
}

// The files of the world over HTTP; what is asked of the slot is the test's to answer.
class SlotServer {
 public:
  using Slot = std::function<void(const ScriptedServer::Connection&, const std::string& bytes)>;
  SlotServer(const std::string& web, Slot slot)
      : server_([web, slot = std::move(slot)](const ScriptedServer::Connection& connection) {
          const size_t from = connection.request.find('/');
          const std::string name =
              connection.request.substr(from, connection.request.find(' ', from) - from);
          std::ifstream in(web + name, std::ios::binary);
          const std::string bytes(std::istreambuf_iterator<char>(in), {});
          if (name.ends_with(".slot")) return slot(connection, bytes);
          connection.Send(Answer("200 OK", bytes));
        }) {}
  std::string Url() const { return server_.Url("/basalt-1.1.0.image.json"); }

 private:
  ScriptedServer server_;
};

TEST_F(UpgradeTest, U3_ASlotThatIsCutOffIsContinued) {
  const std::string section = w_.Publish(next_);
  std::atomic<int64_t> continued_at = -1;
  SlotServer server(w_.web(), [&](const ScriptedServer::Connection& c, const std::string& bytes) {
    const int64_t start = c.RangeStart();
    if (start < 0) {
      c.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", bytes.size(), "\r\n\r\n",
                          bytes.substr(0, bytes.size() / 2)));
      return;
    }
    continued_at = start;
    c.Send(Answer("206 Partial Content", bytes.substr(static_cast<size_t>(start)),
                  absl::StrCat("Content-Range: bytes ", start, "-", bytes.size() - 1, "/",
                               bytes.size(), "\r\n")));
  });
  std::shared_ptr<RecordingWatcher> apply =
      w_.Apply(2, w_.Section(section.substr(section.find("sha256:"), 71), {server.Url()}));
  EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING) << apply->last().message();
  EXPECT_EQ(continued_at, static_cast<int64_t>(next_.slot.size() / 2));
}

TEST_F(UpgradeTest, U3_AStreamWithoutAnEndIsCutAtTheSizeOfTheSlot) {
  const std::string section = w_.Publish(next_);
  std::atomic<int64_t> sent = 0;
  SlotServer server(w_.web(), [&](const ScriptedServer::Connection& c, const std::string&) {
    c.Send("HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 64; ++i, sent += 4096) c.Send(std::string(4096, 'x'));
  });
  std::shared_ptr<RecordingWatcher> apply =
      w_.Apply(2, w_.Section(section.substr(section.find("sha256:"), 71), {server.Url()}));
  EXPECT_EQ(apply->last().error_code(), "artifact-too-large") << apply->last().message();
  EXPECT_EQ(w_.disk.changes(), 0);
}

TEST_F(UpgradeTest, ADiskThatGivesBackOtherBytesArmsNothing) {
  w_.disk.bad_medium = true;
  EXPECT_EQ(w_.Apply(2, w_.Publish(next_))->last().error_code(), "slot-damaged");
  EXPECT_THAT(w_.disk.names(), ElementsAre("noded_1.0.0.efi"));
}

TEST_F(UpgradeTest, AnInterruptedNodedTakesBackWhatItArmed) {
  w_.Apply(2, w_.Publish(next_));
  w_.Start();  // it died between the order to restart and the restart
  EXPECT_EQ(w_.h.ActiveGeneration(), 1);
  EXPECT_EQ(w_.Slot("b").state(), "failed");
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.0.0");
}

TEST_F(UpgradeTest, TheImageThatRunsIsNamedWithoutAWrite) {
  std::shared_ptr<RecordingWatcher> apply = w_.Apply(2, w_.Publish(w_.first));
  EXPECT_EQ(w_.disk.changes(), 0);
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.h.ActiveGeneration(), 2);
  EXPECT_EQ(w_.Image().state(), "as-wanted");
}

TEST_F(UpgradeTest, AConfirmationMustComeBeforeTheMachineGivesUp) {
  const std::string section = w_.Publish(next_);
  const std::string late = "  apply: {mode: try, confirmWithin: 30m}\n";
  EXPECT_EQ(api::Reason(w_.Apply(2, section, late)->error), "confirm-too-late");
  const std::string soon = "  apply: {mode: try, confirmWithin: 5m}\n";
  EXPECT_TRUE(w_.Apply(3, section, soon)->error.ok());
}

TEST_F(UpgradeTest, AResetKeepsTheEpochAndForgetsTheAttempt) {
  next_ = MakeKitImage({.version = "1.1.0", .epoch = 2});
  UpgradeAndBless();
  bool erased = false;
  w_.image->Execute(nullptr, [](absl::Status) {});
  w_.image->Erase([&](absl::Status status) { erased = status.ok(); });
  w_.Pump();
  EXPECT_TRUE(erased);
  EXPECT_EQ(w_.Image().epoch_floor(), 2);
}

}  // namespace
}  // namespace basalt::testing
