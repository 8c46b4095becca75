#include "client/output/plan_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/output/messages.h"
#include "machineconfig/base/digest.h"

namespace basalt::client {
namespace {

// A certificate or a long list would drown the other changes; `-o json` has the whole.
constexpr size_t kLongest = 100;
// Of a value that a signer is to see whole. Beyond it lies what nobody reads on a screen: its hash
// is shown, so that it can be compared with what was read elsewhere.
constexpr size_t kWhole = 4096;
// Beside the part in which two long values differ.
constexpr size_t kContext = 16;

bool InsideCharacter(absl::string_view text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
}

std::string Cut(const std::string& text, size_t longest) {
  std::string shown = Escape(text);
  if (shown.size() <= longest) return shown;
  size_t end = longest - std::min<size_t>(20, longest);
  while (InsideCharacter(shown, end)) --end;
  shown.resize(end);
  absl::StrAppend(&shown, "... (", text.size(), " bytes");
  if (longest >= kWhole) absl::StrAppend(&shown, ", sha256 ", Sha256(text).Hex());
  return shown + ")";
}

std::string Value(const std::string& text, PlanDetail detail) {
  if (text.empty()) return "(hidden)";
  return Cut(text, detail == PlanDetail::kWhole ? kWhole : kLongest);
}

// Of two long values the part that differs, with what stands beside it: where both are cut at the
// same length, a change behind the cut would be seen by nobody.
std::string Changed(const std::string& from, const std::string& to) {
  if (Escape(from).size() <= kLongest && Escape(to).size() <= kLongest) {
    return absl::StrCat(Escape(from), " -> ", Escape(to));
  }
  const size_t shorter = std::min(from.size(), to.size());
  size_t head = 0;
  while (head < shorter && from[head] == to[head]) ++head;
  size_t tail = 0;
  while (tail < shorter - head && from[from.size() - 1 - tail] == to[to.size() - 1 - tail]) ++tail;
  head -= std::min(head, kContext);
  tail -= std::min(tail, kContext);
  while (head > 0 && InsideCharacter(from, head)) --head;
  while (tail > 0 && InsideCharacter(from, from.size() - tail)) --tail;
  auto part = [&](const std::string& text) {
    return absl::StrCat(head > 0 ? "..." : "",
                        Cut(text.substr(head, text.size() - head - tail), kWhole),
                        tail > 0 ? "..." : "");
  };
  return absl::StrCat(part(from), " -> ", part(to));
}

std::string Line(const Io& io, const v1::PlannedChange& c, PlanDetail detail) {
  const std::string path = Escape(c.path());
  switch (c.kind()) {
    case v1::CHANGE_KIND_ADD:
      return Green(io, absl::StrCat("+ ", path, ": ", Value(c.new_value(), detail)));
    case v1::CHANGE_KIND_REMOVE:
      return Red(io, absl::StrCat("- ", path, ": ", Value(c.old_value(), detail)));
    case v1::CHANGE_KIND_NOT_COMPARED:
      return Dim(io, absl::StrCat("? ", path, ": a secret, not compared"));
    default:
      return Yellow(io, absl::StrCat("~ ", path, ": ",
                                     c.old_value().empty() || c.new_value().empty()
                                         ? Value(c.new_value(), detail)
                                         : Changed(c.old_value(), c.new_value())));
  }
}

bool Costs(v1::Effect effect) { return effect >= v1::EFFECT_RESTART_K3S; }

}  // namespace

std::string DiffText(const Io& io, const v1::PlanReply& plan, PlanDetail detail) {
  std::string out;
  for (const v1::PlannedChange& c : plan.changes()) {
    absl::StrAppend(&out, "  ", Line(io, c, detail));
    if (Costs(c.effect())) absl::StrAppend(&out, Dim(io, "  # " + EffectWord(c.effect())));
    out += "\n";
  }
  return out;
}

std::string PlanText(const Io& io, const v1::PlanReply& plan) {
  std::string out;
  if (plan.unchanged()) return "  nothing would change\n";
  if (plan.base_digest().empty()) out += "  compared with: no config\n";
  out += DiffText(io, plan);
  for (const v1::PlannedStep& step : plan.steps()) {
    absl::StrAppend(&out, "  * ", Escape(step.controller()), ": ", Escape(step.description()));
    if (Costs(step.effect())) absl::StrAppend(&out, Dim(io, "  # " + EffectWord(step.effect())));
    if (!step.unimplemented().empty()) {
      absl::StrAppend(&out, "\n    ", Yellow(io, "not done on this platform: "),
                      Escape(step.unimplemented()));
    }
    out += "\n";
  }
  for (const std::string& warning : plan.warnings()) {
    absl::StrAppend(&out, "  ", Yellow(io, "warning: "), Escape(warning), "\n");
  }
  absl::StrAppend(&out, "  effect: ", EffectWord(plan.effect()), "\n");
  return out;
}

v1::PlanReply ToPlan(const std::vector<diff::Change>& changes) {
  v1::PlanReply plan;
  for (const diff::Change& change : changes) {
    v1::PlannedChange* out = plan.add_changes();
    out->set_path(change.path);
    out->set_old_value(change.old_value);
    out->set_new_value(change.new_value);
    out->set_effect(change.effect);
    switch (change.kind) {
      case diff::ChangeKind::kAdd:
        out->set_kind(v1::CHANGE_KIND_ADD);
        break;
      case diff::ChangeKind::kRemove:
        out->set_kind(v1::CHANGE_KIND_REMOVE);
        break;
      case diff::ChangeKind::kModify:
        out->set_kind(v1::CHANGE_KIND_MODIFY);
        break;
      case diff::ChangeKind::kNotCompared:
        out->set_kind(v1::CHANGE_KIND_NOT_COMPARED);
        break;
    }
  }
  plan.set_effect(diff::TotalEffect(changes));
  plan.set_unchanged(changes.empty());
  return plan;
}

bool IsDrastic(const v1::PlanReply& plan) { return plan.effect() >= v1::EFFECT_REBOOT; }

}  // namespace basalt::client
