#include "client/output/plan_text.h"

#include "absl/strings/str_cat.h"
#include "client/output/messages.h"

namespace basalt::client {
namespace {

// A certificate or a long list would drown the other changes; `-o json` has the whole.
constexpr size_t kLongest = 100;

std::string Value(const std::string& text) {
  if (text.empty()) return "(hidden)";
  std::string shown = Escape(text);
  if (shown.size() <= kLongest) return shown;
  return absl::StrCat(shown.substr(0, kLongest - 20), "... (", text.size(), " bytes)");
}

std::string Line(const Io& io, const v1::PlannedChange& c) {
  const std::string path = Escape(c.path());
  switch (c.kind()) {
    case v1::CHANGE_KIND_ADD:
      return Green(io, absl::StrCat("+ ", path, ": ", Value(c.new_value())));
    case v1::CHANGE_KIND_REMOVE:
      return Red(io, absl::StrCat("- ", path, ": ", Value(c.old_value())));
    case v1::CHANGE_KIND_NOT_COMPARED:
      return Dim(io, absl::StrCat("? ", path, ": a secret, not compared"));
    default:
      return Yellow(io, absl::StrCat("~ ", path, ": ",
                                     c.old_value().empty() ? "" : Value(c.old_value()) + " -> ",
                                     Value(c.new_value())));
  }
}

bool Costs(v1::Effect effect) { return effect >= v1::EFFECT_RESTART_K3S; }

}  // namespace

std::string DiffText(const Io& io, const v1::PlanReply& plan) {
  std::string out;
  for (const v1::PlannedChange& c : plan.changes()) {
    absl::StrAppend(&out, "  ", Line(io, c));
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
