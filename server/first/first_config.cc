#include "server/first/first_config.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "server/first/user_data.h"

namespace basalt::first {
namespace {

constexpr char kCondition[] = "FirstConfigRefused";
constexpr size_t kMostTold = 4;

bool IsMedium(SourceKind kind) {
  return kind == SourceKind::kBootPartition || kind == SourceKind::kMedium;
}

}  // namespace

// Of one document; its calls may come from any thread.
class FirstConfig::Watcher : public engine::ApplyWatcher {
 public:
  explicit Watcher(FirstConfig& owner) : owner_(owner) {}
  void OnEvent(const v1::ApplyEvent& event) override {
    if (!event.final()) return;
    const bool good =
        event.state() == v1::APPLY_STATE_COMMITTED || event.state() == v1::APPLY_STATE_STAGED;
    End(good ? absl::OkStatus()
             : api::Coded(absl::StatusCode::kFailedPrecondition,
                          event.error_code().empty() ? "reverted" : event.error_code(),
                          event.message()));
  }
  void OnError(const absl::Status& status) override { End(status); }

 private:
  void End(absl::Status status) {
    owner_.parts_.executor.Post(
        [&owner = owner_, status = std::move(status)] { owner.Ended(status); });
  }
  FirstConfig& owner_;
};

bool FirstConfig::Configured() const {
  return parts_.node.Hello({.found = true, .peer = "this machine"}).state() == "configured";
}

void FirstConfig::Start() { Round(); }

void FirstConfig::Round() {
  if (Configured()) return Finish();
  ++round_;
  source_ = 0;
  refused_.clear();
  NextSource();
}

void FirstConfig::NextSource() {
  if (Configured()) return Finish();
  if (source_ == parts_.sources.size()) return EndRound();
  const Source& source = parts_.sources[source_++];
  found_.clear();
  document_ = 0;
  if (!IsMedium(source.kind)) {
    conversation_.emplace(source, parts_.metadata);
    return Ask();
  }
  const bool azure = std::any_of(parts_.sources.begin(), parts_.sources.end(),
                                 [](const Source& s) { return s.kind == SourceKind::kAzure; });
  auto found = std::make_shared<std::vector<Found>>();
  const bool queued = parts_.executor.RunBlocking(
      [&media = parts_.media, found, azure, kind = source.kind] {
        *found =
            kind == SourceKind::kBootPartition ? media.OnBootPartition() : media.Elsewhere(azure);
      },
      [this, found] {
        found_ = std::move(*found);
        Submit();
      });
  if (!queued) NextSource();  // the pool is busy: the next round
}

void FirstConfig::Ask() {
  if (conversation_->question()) {
    parts_.asker.Ask(*conversation_->question(), [this](Answer answer) {
      conversation_->Take(answer);
      Ask();
    });
    return;
  }
  const std::string name = NameOf(parts_.sources[source_ - 1]);
  const absl::StatusOr<std::string>& result = conversation_->result();
  if (result.ok()) {
    found_.push_back({.where = name, .bytes = *result});
  } else if (!absl::IsNotFound(result.status()) &&
             (!absl::IsUnavailable(result.status()) || round_ >= kQuietRounds)) {
    Refused(name, result.status());
  }
  Submit();
}

void FirstConfig::Submit() {
  if (document_ == found_.size()) return NextSource();
  const Found& found = found_[document_];
  std::string bytes = found.bytes;
  if (absl::StartsWith(found.where, "ovf-env.xml ")) {
    absl::StatusOr<std::string> custom = CustomDataOf(bytes);
    if (!custom.ok()) {  // a disc without it is as good as none
      ++document_;
      return Submit();
    }
    bytes = *std::move(custom);
  }
  absl::StatusOr<v1::SignedDocument> document = ReadUserData(bytes);
  if (!document.ok()) return Ended(document.status());
  v1::ApplyRequest request;
  *request.mutable_document() = *std::move(document);
  parts_.node.Apply({.found = true,
                     .peer = found.where,
                     .source = IsMedium(parts_.sources[source_ - 1].kind) ? "medium" : "metadata"},
                    std::move(request), std::make_shared<Watcher>(*this));
}

void FirstConfig::Ended(absl::Status status) {
  if (over_) return;
  const std::string where = found_[document_].where;
  if (status.ok() && Configured()) {
    std::fprintf(stderr, "noded: the first config is that of %s\n", where.c_str());
    return Finish();
  }
  // Somebody's document is on its way: theirs decides.
  const std::string reason = api::Reason(status);
  if (!status.ok() && reason != "pending" && reason != "busy") Refused(where, status);
  ++document_;
  Submit();
}

void FirstConfig::Refused(const std::string& where, const absl::Status& why) {
  const std::vector<api::Violation> wrong = api::Violations(why);
  std::string message(why.message());
  std::string code = api::Reason(why);
  if (!wrong.empty()) {
    message = wrong.front().ToString();
    if (wrong.size() > 1) absl::StrAppend(&message, " (and ", wrong.size() - 1, " more)");
    code = wrong.front().reason;
  }
  refused_[where] = {code.empty() ? "refused" : code, std::move(message)};
}

void FirstConfig::EndRound() {
  std::vector<std::string> lines;
  for (const auto& [where, refusal] : refused_) {
    if (lines.size() == kMostTold) break;
    lines.push_back(absl::StrCat(where, ": ", refusal.message, " [", refusal.code, "]"));
  }
  const std::string text = absl::StrJoin(lines, "; ");
  if (text != told_) {
    parts_.node.Tell(kCondition, refused_.empty() ? "" : refused_.begin()->second.code, text);
    told_ = text;
  }
  waited_ = absl::ZeroDuration();
  Wait();
}

void FirstConfig::Wait() {
  parts_.executor.After(kLookEvery, [this] {
    if (Configured()) return Finish();
    waited_ += kLookEvery;
    if (waited_ < wait_) return Wait();
    wait_ = std::min(2 * wait_, kLongestWait);
    Round();
  });
}

void FirstConfig::Finish() {
  if (std::exchange(over_, true)) return;
  if (!told_.empty()) parts_.node.Tell(kCondition, "", "");
  Wipe();
}

// Again until it is gone: a key that stays on a medium opens what was sealed to it.
void FirstConfig::Wipe() {
  auto wiped = std::make_shared<absl::StatusOr<bool>>(false);
  const bool queued = parts_.executor.RunBlocking(
      [&media = parts_.media, wiped] { *wiped = media.WipeKey(); },
      [this, wiped] {
        if (wiped->ok()) {
          if (**wiped) std::fprintf(stderr, "noded: the key on the boot medium is wiped\n");
          return parts_.node.Tell("MediumKeyStays", "", "");
        }
        // Whoever else looks at the boot partition just now is done in a moment.
        if (++wipes_failed_ == 1) {
          parts_.executor.After(kLookEvery, [this] { Wipe(); });
          return;
        }
        parts_.node.Tell("MediumKeyStays", "NotWiped",
                         absl::StrCat("the one-time key on the boot medium could not be wiped: ",
                                      wiped->status().message()));
        parts_.executor.After(absl::Minutes(1), [this] { Wipe(); });
      });
  if (!queued) parts_.executor.After(kLookEvery, [this] { Wipe(); });
}

}  // namespace basalt::first
