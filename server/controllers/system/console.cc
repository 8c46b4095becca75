#include "server/controllers/system/console.h"

#include <utility>

#include "machineconfig/format/time.h"

namespace basalt::system {

ConsoleKeeper::~ConsoleKeeper() {
  if (timer_ != 0) executor_.CancelTimer(timer_);
}

void ConsoleKeeper::Start(std::function<ConsoleFacts()> facts) {
  facts_ = std::move(facts);
  Look();
}

void ConsoleKeeper::Apply(const v1::Console* console) {
  const bool was =
      std::exchange(on_, console == nullptr || !console->has_status() || console->status());
  const absl::Duration blank =
      console == nullptr || !console->has_blank_after()
          ? absl::ZeroDuration()
          : format::ParseDuration(console->blank_after()).value_or(absl::ZeroDuration());
  // Ignoring failures, here and below: a machine without a screen is as good as one with it.
  screen_.BlankAfter(blank).IgnoreError();
  if (was && !on_) screen_.Show("", "").IgnoreError();
  if (!on_) shown_.clear();
}

void ConsoleKeeper::Look() {
  if (on_) {
    const ConsoleFacts facts = facts_();
    std::string page = RenderPage(facts);
    // What is in the picture stands on the page too, so it changes with that alone.
    if (page != shown_) {
      screen_.Show(page, RenderPicture(facts)).IgnoreError();
      shown_ = std::move(page);
    }
  }
  timer_ = executor_.After(kLookEvery, [this] { Look(); });
}

}  // namespace basalt::system
