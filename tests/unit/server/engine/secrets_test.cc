// Secrets that only this node opens: when they are opened, what is kept, what is compared, and what
// becomes of a node that lost its key.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/rand.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "machineconfig/seal/field.h"
#include "machineconfig/sign/vouching.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using testing::ConfigOptions;
using testing::EngineHarness;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "a-token-that-nobody-may-see";
constexpr char kOther[] = "another-token-to-hide";

bool FromOpenSsl(uint8_t* out, size_t size) { return RAND_bytes(out, static_cast<int>(size)) == 1; }

class NodeSecrets : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(h.Start().ok()); }

  // As it stands behind `token: `.
  static std::string SealedTo(const seal::Recipient& recipient, const std::string& value,
                              const seal::FieldContext& field = {"home", "n1", "k3s.token"}) {
    std::string armored = seal::SealField(field, value, {recipient}, FromOpenSsl).value();
    armored.pop_back();
    return absl::StrCat("!sealed |\n    ", absl::StrReplaceAll(armored, {{"\n", "\n    "}}));
  }
  std::string Sealed(const std::string& value,
                     const seal::FieldContext& field = {"home", "n1", "k3s.token"}) {
    return SealedTo(seal::Recipient::Parse(h.sealing().recipient()).value(), value, field);
  }
  std::vector<api::Violation> Refused(const ConfigOptions& options) {
    auto watcher = h.Apply(options);
    EXPECT_FALSE(watcher->error.ok());
    return api::Violations(watcher->error);
  }
  // All that is on the disk.
  std::string Disk() {
    std::string all;
    for (const std::string& file : h.vfs.AllFiles()) {
      absl::StatusOr<std::string> text = h.vfs.Read(file);
      if (text.ok()) absl::StrAppend(&all, file, ": ", *text, "\n");
    }
    return all;
  }

  EngineHarness h;
};

TEST_F(NodeSecrets, HelloSaysWhomTheyAreSealedToAndTheIdentityVouchesForIt) {
  const v1::HelloReply hello = h.node->Hello({});
  absl::StatusOr<std::string> recipient =
      sign::CheckVouching(hello.recipient(), hello.machine_id());
  ASSERT_TRUE(recipient.ok()) << recipient.status();
  EXPECT_EQ(*recipient, h.sealing().recipient());
  EXPECT_EQ(h.MachineStatus().recipient(), *recipient);
}

TEST_F(NodeSecrets, TheControllerGetsThemOpenedAndTheDiskKeepsThemSealed) {
  auto watcher = h.Apply({.token = Sealed(kToken)});
  ASSERT_TRUE(watcher->error.ok()) << watcher->error;
  EXPECT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(h.world.token, kToken);
  EXPECT_THAT(Disk(), HasSubstr("BEGIN AGE ENCRYPTED FILE"));
  EXPECT_THAT(Disk(), Not(HasSubstr(kToken)));
  v1::GetConfigReply config = *h.node->GetConfig({});
  EXPECT_THAT(config.yaml(), HasSubstr("token: \"(redacted)\""));
}

TEST_F(NodeSecrets, ARestartAndABootOpenThemAgain) {
  h.Apply({.token = Sealed(kToken)});
  h.world.token = "";
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.world.token, kToken);
  EXPECT_FALSE(h.HasCondition("SecretsNotOpened"));
}

TEST_F(NodeSecrets, OpenedValuesAreCompared) {
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  const int changes = h.world.changes;
  auto same = h.Apply({.generation = 2, .token = Sealed(kToken)});
  EXPECT_TRUE(same->last().unchanged());
  EXPECT_EQ(h.world.changes, changes);
  // Also with what stood in the clear.
  auto plain = h.Apply({.generation = 3, .token = kToken});
  EXPECT_TRUE(plain->last().unchanged());
  auto other = h.Apply({.generation = 4, .token = Sealed(kOther)});
  EXPECT_EQ(other->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_FALSE(other->last().unchanged());
  EXPECT_EQ(h.world.token, kOther);
  for (const v1::ApplyEvent& event : other->events) {
    EXPECT_THAT(event.DebugString(), Not(HasSubstr(kOther)));
    EXPECT_THAT(event.DebugString(), Not(HasSubstr(kToken)));
  }
}

TEST_F(NodeSecrets, AWayBackUsesTheOpenedValuesOfWhatRanBefore) {
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  h.world.unhealthy.insert("v1.31.0+k3s1");
  auto watcher = h.Apply({.generation = 2, .version = "v1.31.0+k3s1", .token = Sealed(kOther)});
  h.executor->Advance(absl::Minutes(3));
  ASSERT_EQ(watcher->last().state(), v1::APPLY_STATE_REVERTED);
  EXPECT_EQ(h.world.token, kToken);
}

TEST_F(NodeSecrets, AStagedDocumentIsOpenedAtTheBootThatAppliesIt) {
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  h.Apply(
      {.generation = 2, .extra_metadata = "  apply: {mode: staged}\n", .token = Sealed(kOther)});
  EXPECT_EQ(h.world.token, kToken);
  EXPECT_THAT(Disk(), Not(HasSubstr(kOther)));
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.world.token, kOther);
  EXPECT_EQ(h.ActiveGeneration(), 2);
}

TEST_F(NodeSecrets, SealedToAnotherKeySaysWhichOneIsWanted) {
  const seal::Identity stranger = seal::Identity::Generate(FromOpenSsl).value();
  std::vector<api::Violation> wrong = Refused({.token = SealedTo(stranger.recipient(), kToken)});
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_EQ(wrong[0].reason, "wrong-recipient");
  EXPECT_EQ(wrong[0].path, "k3s.token");
  EXPECT_THAT(wrong[0].message, HasSubstr(h.sealing().recipient()));
  EXPECT_THAT(wrong[0].hint, HasSubstr("nodectl pin"));
  EXPECT_EQ(h.ActiveGeneration(), 0);
}

TEST_F(NodeSecrets, AValueOfAnotherFieldNodeOrClusterIsRefusedByItsField) {
  for (const seal::FieldContext& field : {seal::FieldContext{"home", "n1", "k3s.agentToken"},
                                          {"home", "n2", "k3s.token"},
                                          {"work", "n1", "k3s.token"}}) {
    std::vector<api::Violation> wrong = Refused({.token = Sealed(kToken, field)});
    ASSERT_EQ(wrong.size(), 1u);
    EXPECT_EQ(wrong[0].reason, "wrong-seal-context");
    EXPECT_EQ(wrong[0].path, "k3s.token");
    EXPECT_THAT(wrong[0].message, Not(HasSubstr(kToken)));
  }
}

TEST_F(NodeSecrets, AnOpenedValueIsJudgedLikeOneInTheClear) {
  std::vector<api::Violation> weak = Refused({.token = Sealed("changeme")});
  ASSERT_FALSE(weak.empty());
  EXPECT_EQ(weak[0].path, "k3s.token");
  const std::vector<api::Violation> clear = Refused({.token = "changeme"});
  ASSERT_FALSE(clear.empty());
  EXPECT_EQ(weak[0].reason, clear[0].reason);
  std::vector<api::Violation> bell = Refused({.token = Sealed("0123456789abcdef\a")});
  ASSERT_EQ(bell.size(), 1u);
  EXPECT_EQ(bell[0].reason, "bad-value");
}

// A document for another machine, or one from long ago, learns nothing of what this node can open.
TEST_F(NodeSecrets, NothingIsOpenedBeforeTargetAndFloorHavePassed) {
  const seal::Identity stranger = seal::Identity::Generate(FromOpenSsl).value();
  const std::string closed = SealedTo(stranger.recipient(), kToken);
  EXPECT_EQ(api::Reason(h.Apply({.machine_id = std::string(64, 'b'), .token = closed})->error),
            "wrong-target");
  h.Apply({.generation = 5, .token = Sealed(kToken)});
  EXPECT_EQ(api::Reason(h.Apply({.generation = 4, .token = closed})->error), "below-floor");
}

TEST_F(NodeSecrets, AnUnsignedPlanDoesNotCompareThem) {
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  const seal::Identity owner = seal::Identity::Generate(FromOpenSsl).value();
  v1::PlanRequest request;
  request.set_unsigned_yaml(
      h.Yaml({.generation = 1, .token = SealedTo(owner.recipient(), kOther)}));
  absl::StatusOr<v1::PlanReply> plan = absl::UnknownError("no answer");
  h.node->Plan(h.operator_caller, request, [&](auto reply) { plan = std::move(reply); });
  h.executor->RunUntilIdle();
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->changes_size(), 1) << plan->DebugString();
  EXPECT_EQ(plan->changes(0).path(), "k3s.token");
  EXPECT_EQ(plan->changes(0).kind(), v1::CHANGE_KIND_NOT_COMPARED);
  EXPECT_EQ(plan->steps_size(), 0);
}

// Whoever may only read could guess: by the steps that a wrong guess would cost.
TEST_F(NodeSecrets, S15_AnUnsignedPlanTellsNotWhetherAGuessIsRight) {
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  std::vector<std::string> replies;
  for (const char* guess : {kToken, kOther}) {
    v1::PlanRequest request;
    request.set_unsigned_yaml(h.Yaml({.generation = 1, .token = guess}));
    absl::StatusOr<v1::PlanReply> plan = absl::UnknownError("no answer");
    h.node->Plan(h.operator_caller, request, [&](auto reply) { plan = std::move(reply); });
    h.executor->RunUntilIdle();
    ASSERT_TRUE(plan.ok()) << plan.status();
    replies.push_back(plan->DebugString());
  }
  EXPECT_EQ(replies[0], replies[1]);
}

// The output of a service is older than the config that is in force.
TEST_F(NodeSecrets, S21_ALogShowsNoSecretOfAConfigThatIsNoMoreInForce) {
  host::ServiceSpec spec;
  spec.name = "k3s";
  spec.argv = {"k3s"};
  spec.exec_fd.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(h.supervisor->Start(std::move(spec)).ok());
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  h.supervisor->Write("k3s", absl::StrCat("joined with ", kToken, "\n"));
  h.Apply({.generation = 2, .token = Sealed(kOther)});
  h.supervisor->Write("k3s", absl::StrCat("joined with ", kOther, "\n"));
  std::string shown;
  h.node->Logs({.service = "k3s", .max_bytes = 1 << 20},
               [&](absl::StatusOr<NodeApi::LogChunk> chunk) {
                 ASSERT_TRUE(chunk.ok()) << chunk.status();
                 shown = chunk->data;
               });
  h.executor->RunUntilIdle();
  EXPECT_THAT(shown, HasSubstr("joined with ***"));
  EXPECT_THAT(shown, Not(HasSubstr(kToken)));
  EXPECT_THAT(shown, Not(HasSubstr(kOther)));
}

TEST_F(NodeSecrets, ALostKeyIsSaidLoudlyAndTheConfigStaysInForce) {
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  ASSERT_EQ(h.world.token, kToken);
  h.Kill();
  ASSERT_TRUE(h.vfs.Remove("state/sealing.key").ok());
  ASSERT_TRUE(h.Start().ok());
  EXPECT_TRUE(h.HasCondition("SecretsNotOpened"));
  EXPECT_EQ(h.MachineStatus().stage(), "degraded");
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_TRUE(h.node->api_policy().configured);
  EXPECT_EQ(h.world.running, "v1.30.4+k3s1");  // as it was
  EXPECT_EQ(h.world.token, kToken);
  // What cannot be opened cannot be masked.
  absl::Status logs;
  h.node->Logs({.service = "k3s", .max_bytes = 1 << 20},
               [&](auto reply) { logs = reply.status(); });
  h.executor->RunUntilIdle();
  EXPECT_EQ(api::Reason(logs), "logs-not-maskable");

  auto again = h.Apply({.generation = 2, .token = Sealed(kToken)});
  ASSERT_TRUE(again->error.ok()) << again->error;
  EXPECT_EQ(again->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_FALSE(h.HasCondition("SecretsNotOpened"));
  EXPECT_EQ(h.MachineStatus().stage(), "running");
}

TEST_F(NodeSecrets, ADamagedKeyIsReplacedAndThatIsSaid) {
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  const std::string before = h.sealing().recipient();
  h.Kill();
  h.vfs.Corrupt("state/sealing.key", "AGE-SECRET-KEY-1garbage\n");
  ASSERT_TRUE(h.Start().ok());
  EXPECT_TRUE(h.HasCondition("SealingKeyReplaced"));
  EXPECT_TRUE(h.HasCondition("SecretsNotOpened"));
  EXPECT_NE(h.sealing().recipient(), before);
  EXPECT_TRUE(h.vfs.Exists("state/sealing.key.damaged"));
}

TEST_F(NodeSecrets, AResetKeepsTheKey) {
  const std::string before = h.sealing().recipient();
  h.Apply({.generation = 1, .token = Sealed(kToken)});
  const std::string action = absl::StrCat(
      "apiVersion: basalt/v1\nkind: Action\ncluster: home\nepoch: 1\ntarget:\n  machineId: ",
      h.node->Hello({}).machine_id(), "\nverb: reset\nsignedAt: ",
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now(), absl::UTCTimeZone()), "\nnotAfter: ",
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", h.clock.Now() + absl::Hours(1), absl::UTCTimeZone()),
      "\n");
  v1::ApplyActionRequest request;
  *request.mutable_document() = h.SignText(v1::DOCUMENT_TYPE_ACTION, action, h.config_key);
  absl::Status done = absl::UnknownError("no answer");
  h.node->ApplyAction(h.operator_caller, request, [&](auto reply) { done = reply.status(); });
  h.executor->RunUntilIdle();
  ASSERT_TRUE(done.ok()) << done;
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.sealing().recipient(), before);
}

TEST(NodePlaintext, APolicyThatForbidsItIsEnforcedByName) {
  EngineHarness h("allowPlaintextSecrets: false\n");
  ASSERT_TRUE(h.Start().ok());
  auto refused = h.Apply({.generation = 1});
  EXPECT_EQ(api::Reason(refused->error), "plaintext-forbidden");
  EXPECT_THAT(refused->error.message(), HasSubstr("k3s.token"));
  const std::string armored =
      seal::SealField({"home", "n1", "k3s.token"}, kToken,
                      {seal::Recipient::Parse(h.sealing().recipient()).value()}, FromOpenSsl)
          .value();
  auto taken =
      h.Apply({.generation = 2,
               .token = absl::StrCat("!sealed |\n    ",
                                     absl::StrReplaceAll(armored.substr(0, armored.size() - 1),
                                                         {{"\n", "\n    "}}))});
  EXPECT_EQ(taken->last().state(), v1::APPLY_STATE_COMMITTED) << taken->error;
}

}  // namespace
}  // namespace basalt::engine
