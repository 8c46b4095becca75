#include "client/commands/follow.h"

#include <time.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/output/errors.h"
#include "client/output/messages.h"

namespace basalt::client {
namespace {

constexpr absl::Duration kEvery = absl::Seconds(2);
constexpr absl::Duration kHello = absl::Seconds(5);
constexpr int kGoneAfter = 5;  // questions in a row without an answer

void Pause() {
  timespec left = absl::ToTimespec(kEvery);
  while (nanosleep(&left, &left) != 0) {
  }
}

std::string Argument(const v1::Action& action, const char* name) {
  auto found = action.arguments().find(name);
  return found == action.arguments().end() ? "" : found->second;
}

// A condition of the node, if it has it.
const v1::Condition* Find(const v1::Resource& machine, const char* type) {
  for (const v1::Condition& condition : machine.machine_status().conditions()) {
    if (condition.type() == type && condition.holds()) return &condition;
  }
  return nullptr;
}

absl::Status WaitEnded(const std::string& node, absl::Duration timeout) {
  return AtNode(api::Coded(absl::StatusCode::kDeadlineExceeded, "wait-ended",
                           absl::StrCat("not done within ", absl::FormatDuration(timeout)),
                           "the node goes on; a long wipe is told on its console, and nodectl "
                           "status shows it when it answers"),
                node);
}

// Lines that are the same are said once.
class Progress {
 public:
  Progress(Io& io, std::string node) : io_(io), node_(std::move(node)) {}
  void Say(const std::string& text) {
    if (text == last_) return;
    last_ = text;
    io_.err << node_ << ": " << Escape(text) << "\n" << std::flush;
  }

 private:
  Io& io_;
  const std::string node_;
  std::string last_;
};

}  // namespace

absl::StatusOr<int> FollowReset(Session& session, const SentOrder& sent, absl::Duration timeout) {
  auto is = [&](const char* name) { return Argument(sent.action, name) == "true"; };
  const bool partitions = is("state") || is("data") || is("all");
  const std::string then = Argument(sent.action, "then");
  if (!partitions && then.empty()) return 0;
  Progress progress(session.io(), sent.node.name);
  const absl::Time until = absl::Now() + timeout;
  int silent = 0;
  bool was_gone = false;
  for (; absl::Now() < until; Pause()) {
    // Each time anew: the machine goes away under the connection.
    absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(sent.node);
    if (!client.ok()) return client.status();
    absl::StatusOr<v1::HelloReply> hello = (*client)->Hello(kHello);
    const std::string seen = (*client)->seen_fingerprint();
    if (!hello.ok() && !seen.empty() && seen != sent.node.fingerprint) {
      progress.Say(absl::StrCat("answers again, as a new machine: compare ", seen,
                                " with its console, then nodectl pin ", sent.node.name,
                                " --fingerprint ", seen));
      return 0;
    }
    if (!hello.ok()) {
      ++silent;
      was_gone = was_gone || silent >= 2;
      if (then == "power-off" && silent >= kGoneAfter) {
        progress.Say("is gone: it answers no more");
        return 0;
      }
      progress.Say("does not answer: it restarts");
      continue;
    }
    silent = 0;
    if (then == "power-off") {
      progress.Say("ends");
      continue;
    }
    absl::StatusOr<v1::Resource> machine = (*client)->Get("MachineStatus", "machine");
    if (!machine.ok()) {  // who may only deliver sees it go and come
      if (!was_gone) continue;
      progress.Say("answers again");
      return 0;
    }
    if (const v1::Condition* failed = Find(*machine, "ResetFailed"); failed != nullptr) {
      return AtNode(api::Coded(absl::StatusCode::kUnavailable, "reset-failed", failed->message(),
                               "its console has more"),
                    sent.node.name);
    }
    const bool under_way = Find(*machine, "Resetting") != nullptr || (!partitions && !was_gone);
    if (!under_way) {
      progress.Say("answers again: the reset is done");
      return 0;
    }
    progress.Say("is being reset");
  }
  return WaitEnded(sent.node.name, timeout);
}

absl::StatusOr<int> FollowWipe(Session& session, const SentOrder& sent, absl::Duration timeout) {
  Progress progress(session.io(), sent.node.name);
  const absl::Time until = absl::Now() + timeout;
  for (; absl::Now() < until; Pause()) {
    absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(sent.node);
    if (!client.ok()) return client.status();
    absl::StatusOr<v1::Resource> machine = (*client)->Get("MachineStatus", "machine");
    if (!machine.ok()) {
      if (machine.status().code() == absl::StatusCode::kPermissionDenied) {
        progress.Say("the wipe is under way; whoever may read the node sees its end");
        return 0;
      }
      progress.Say("does not answer");
      continue;
    }
    if (const v1::Condition* failed = Find(*machine, "WipeFailed"); failed != nullptr) {
      return AtNode(
          api::Coded(absl::StatusCode::kUnavailable, "wipe-failed", failed->message(),
                     "nodectl get disk shows what it holds now; a wipe wants a new order"),
          sent.node.name);
    }
    const v1::Condition* wiping = Find(*machine, "Wiping");
    if (wiping == nullptr) {
      progress.Say("wiped");
      return 0;
    }
    progress.Say(absl::StrCat("wiping, ", wiping->reason()));
  }
  return WaitEnded(sent.node.name, timeout);
}

}  // namespace basalt::client
