#include "client/commands/apply_report.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/plan_text.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

nlohmann::ordered_json Tree(const google::protobuf::Message& message) {
  return nlohmann::ordered_json::parse(ToJson(message), nullptr, false);
}

std::string Megabytes(int64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); }

std::string ProgressText(const v1::Progress& progress) {
  if (progress.total() > 1 << 20) {
    return absl::StrCat(progress.what(), " ", Megabytes(progress.done()), " of ",
                        Megabytes(progress.total()));
  }
  if (progress.total() > 0) {
    return absl::StrCat(progress.what(), " ", progress.done(), "/", progress.total());
  }
  return progress.what();
}

}  // namespace

void ApplyReport::EndLine() {
  if (moving_) io_.err << "\n";
  moving_ = false;
}

void ApplyReport::Line(const std::string& text) {
  if (moving_) io_.err << "\r\x1b[K";
  moving_ = false;
  io_.err << node_ << ": " << text << "\n" << std::flush;
}

void ApplyReport::Signed(const std::vector<std::string>& filled_in, const std::string& digest) {
  if (io_.json()) {
    nlohmann::ordered_json out{{"type", "signed"}, {"node", node_}, {"digest", digest}};
    out["filledIn"] = filled_in;
    io_.out << out.dump() << "\n";
    return;
  }
  for (const std::string& line : filled_in) io_.err << "  filled in " << line << "\n";
}

void ApplyReport::Planned(const v1::PlanReply& plan) {
  if (io_.json()) {
    nlohmann::ordered_json out{{"type", "plan"}, {"node", node_}};
    out["plan"] = Tree(plan);
    io_.out << out.dump(-1, ' ', true) << "\n";
    return;
  }
  io_.out << Bold(io_, node_) << "\n" << PlanText(io_, plan) << std::flush;
}

void ApplyReport::DryRun() {
  if (io_.json()) {
    io_.out
        << nlohmann::ordered_json{{"type", "result"}, {"node", node_}, {"result", "dry-run"}}.dump()
        << "\n";
    return;
  }
  io_.out << node_ << ": dry run, nothing was applied\n";
}

void ApplyReport::Unchanged(const std::string&) {
  if (io_.json()) {
    io_.out << nlohmann::ordered_json{{"type", "result"}, {"node", node_}, {"result", "unchanged"}}
                   .dump()
            << "\n";
    return;
  }
  io_.out << node_ << ": unchanged, nothing was sent\n";
}

void ApplyReport::Note(const std::string& text) {
  if (io_.json()) {
    io_.out << nlohmann::ordered_json{{"type", "note"}, {"node", node_}, {"text", text}}.dump(
                   -1, ' ', true, nlohmann::ordered_json::error_handler_t::replace)
            << "\n"
            << std::flush;
    return;
  }
  Line(Escape(text));
}

void ApplyReport::Moved(const std::string& endpoint, bool in_inventory) {
  const std::string text = absl::StrCat(node_, " listens at ", Escape(endpoint), " now",
                                        in_inventory ? " (inventory updated)" : "");
  if (io_.json()) return Note(text);
  EndLine();
  io_.out << text << "\n" << std::flush;
}

void ApplyReport::Event(const v1::ApplyEvent& event) {
  if (io_.json()) {
    nlohmann::ordered_json out{{"type", "event"}, {"node", node_}};
    v1::ApplyEvent shown = event;
    shown.clear_return_token();  // a secret of this session
    out["state"] = StateWord(event.state());
    out["event"] = Tree(shown);
    io_.out << out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << "\n"
            << std::flush;
    return;
  }
  if (event.final()) return;  // Result says it
  if (event.state() != shown_) {
    shown_ = event.state();
    std::string text = StateWord(event.state());
    if (!event.message().empty()) absl::StrAppend(&text, ": ", Escape(event.message()));
    if (event.has_deadline()) absl::StrAppend(&text, " (until ", FormatTime(event.deadline()), ")");
    Line(text);
  } else if (!event.message().empty() && !event.has_progress()) {
    Line(absl::StrCat(StateWord(event.state()), ": ", Escape(event.message())));
  }
  if (!event.has_progress()) return;
  std::string text = Escape(ProgressText(event.progress()));
  if (io_.err_terminal) {
    io_.err << "\r\x1b[K" << node_ << ": " << Dim(io_, text) << std::flush;
    moving_ = true;
  } else if (event.progress().what() != progress_) {
    Line(text);
  }
  progress_ = event.progress().what();
}

absl::Status ApplyReport::Result(const v1::ApplyEvent& last, int64_t generation) {
  const std::string state = StateWord(last.state());
  const bool good_end = last.state() == v1::APPLY_STATE_COMMITTED ||
                        last.state() == v1::APPLY_STATE_STAGED ||
                        last.state() == v1::APPLY_STATE_AWAITING_CONFIRM;
  const int64_t number = last.generation() != 0 ? last.generation() : generation;
  const bool healthy = good_end && last.error_code().empty();
  if (io_.json()) {
    nlohmann::ordered_json out{{"type", "result"},
                               {"node", node_},
                               {"result", healthy && last.unchanged() ? "unchanged" : state},
                               {"generation", number},
                               {"digest", last.digest()},
                               {"healthy", healthy}};
    if (!last.error_code().empty()) out["code"] = last.error_code();
    out["conditions"] = nlohmann::ordered_json::array();
    for (const v1::Condition& condition : last.conditions())
      out["conditions"].push_back(Tree(condition));
    io_.out << out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  } else if (good_end) {
    io_.out << node_ << ": "
            << (healthy ? Green(io_, last.unchanged() ? "unchanged" : state) : Yellow(io_, state))
            << " generation " << number << "\n";
  }
  if (healthy) {
    if (last.state() == v1::APPLY_STATE_AWAITING_CONFIRM && !io_.json()) {
      io_.out << "  it goes back by itself"
              << (last.has_deadline() ? " at " + FormatTime(last.deadline()) : "")
              << " unless: nodectl confirm -n " << node_ << "\n";
    }
    return absl::OkStatus();
  }
  std::string message =
      absl::StrCat("the document was ", good_end ? state + ", and the node is not healthy" : state,
                   " (generation ", number, ")");
  if (!last.message().empty()) absl::StrAppend(&message, ": ", last.message());
  for (const v1::Condition& condition : last.conditions()) {
    absl::StrAppend(&message, "\n  ", condition.type(), " does not hold: ", condition.reason(),
                    condition.message().empty() ? "" : ": ", condition.message());
  }
  const std::string code = last.error_code().empty() ? state : last.error_code();
  return api::Coded(absl::StatusCode::kFailedPrecondition, code, message,
                    last.hint().empty() ? absl::StrCat("nodectl status -n ", node_,
                                                       " and nodectl logs -n ", node_, " say more")
                                        : last.hint());
}

}  // namespace basalt::client
