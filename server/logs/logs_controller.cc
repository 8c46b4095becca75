#include "server/logs/logs_controller.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/logs/collector.h"
#include "server/logs/plan.h"
#include "server/logs/sender_process.h"
#include "server/logs/store_names.h"
#include "server/logs/stored.h"

namespace basalt::logs {
namespace {

constexpr absl::Duration kCollectEvery = absl::Seconds(1);
// Only so that `--since` knows when what was said.
constexpr absl::Duration kLookEvery = absl::Seconds(5);
// Counters alone are no reason to publish each second.
constexpr absl::Duration kCountsEvery = absl::Seconds(10);

class ControllerImpl : public LogsController {
 public:
  explicit ControllerImpl(const LogsDeps& deps)
      : deps_(deps),
        collector_(deps.supervisor, deps.kernel, deps.clock, deps.vfs),
        process_(deps.executor, deps.supervisor, deps.vfs, deps.wire_program,
                 [this] { OnStates(); }) {}
  ~ControllerImpl() override {
    if (timer_ != 0) deps_.executor.CancelTimer(timer_);
  }

  std::string name() const override { return kControllerName; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override {
    if (absl::StatusOr<ShipSpec> spec = ShipSpecOf(to); !spec.ok()) return spec.status();
    return PlanLogs(from, to);
  }
  void Prepare(const v1::MachineConfig&, engine::OnProgress, engine::Done done) override {
    done(absl::OkStatus());
  }
  void CancelPrepare() override {}

  // A sink that is not there is no reason to take a config back: it is an alarm.
  void Execute(const v1::MachineConfig* to, engine::Done done) override {
    if (to == nullptr) {
      process_.Want(std::nullopt);
      return done(absl::OkStatus());
    }
    absl::StatusOr<ShipSpec> spec = ShipSpecOf(*to);
    if (!spec.ok()) return done(spec.status());
    endpoints_.clear();
    for (const v1::Sink& sink : to->system().logs().sinks()) {
      endpoints_[sink.name()] = sink.endpoint();
    }
    process_.Want(*std::move(spec));
    done(absl::OkStatus());
  }

  void Erase(engine::Done done) override {
    RemoveStored();
    done(absl::OkStatus());
  }
  void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) override {
    for (const v1::MachineConfig* config : kept) {
      if (config->system().logs().has_retention()) return;
    }
    RemoveStored();
  }

  std::vector<engine::Condition> Observe() const override { return {}; }
  absl::Duration Deadline(const v1::MachineConfig&, const std::string&) const override {
    return absl::ZeroDuration();
  }
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }

  std::vector<engine::Condition> Alarms() const override {
    std::vector<engine::Condition> out;
    if (!process_.fault().empty()) {
      out.push_back({.type = "LogsNotSent",
                     .holds = true,
                     .reason = "SenderFailed",
                     .message = process_.fault()});
    }
    for (const auto& [name, state] : process_.states()) {
      if (!state.failing) continue;
      const bool store = name.empty();
      engine::Condition alarm = {
          .type = store ? "LogsNotKept" : "LogsNotSent",
          .holds = true,
          .reason = store ? "DiskFailed" : "SinkFailed",
          .message = absl::StrCat(store ? "the disk" : name, ": ", state.message)};
      if (state.dropped > 0) absl::StrAppend(&alarm.message, "; ", state.dropped, " lines dropped");
      if (!out.empty() && out.back().type == alarm.type) {
        absl::StrAppend(&out.back().message, "; ", alarm.message);
      } else {
        out.push_back(std::move(alarm));
      }
    }
    return out;
  }

  std::vector<v1::Resource> Resources() const override {
    std::vector<v1::Resource> out;
    if (!process_.wanted()) return out;
    for (const auto& [name, endpoint] : endpoints_) {
      v1::Resource& resource = out.emplace_back();
      resource.set_kind("LogSink");
      resource.set_name(name);
      v1::LogSink& sink = *resource.mutable_log_sink();
      sink.set_endpoint(endpoint);
      const auto state = process_.states().find(name);
      if (state == process_.states().end()) {
        sink.set_state(process_.fault().empty() ? "idle" : "failing");
        sink.set_message(process_.fault());
        continue;
      }
      sink.set_state(state->second.failing     ? "failing"
                     : state->second.sent == 0 ? "idle"
                                               : "sending");
      sink.set_sent(state->second.sent);
      sink.set_dropped(state->second.dropped);
      sink.set_refused(state->second.refused);
      sink.set_message(state->second.message);
    }
    return out;
  }

  void Start(Collector::Read read, Collector::Mask mask) override {
    read_ = std::move(read);
    mask_ = std::move(mask);
    Turn();
  }
  void OnServiceEvent(const host::ServiceEvent& event) override { process_.OnServiceEvent(event); }

  absl::StatusOr<engine::NodeApi::LogChunk> Kernel(
      const engine::NodeApi::LogQuery& query) override {
    absl::StatusOr<std::unique_ptr<host::KernelLogReader>> reader = deps_.kernel.Open();
    if (!reader.ok()) return reader.status();
    const absl::Duration from = query.since == absl::InfiniteDuration()
                                    ? -absl::InfiniteDuration()
                                    : deps_.clock.SinceBoot() - query.since;
    engine::NodeApi::LogChunk chunk;
    chunk.next_offset = query.from_offset;
    while (chunk.data.size() < query.max_bytes) {
      absl::StatusOr<std::optional<host::KernelMessage>> message = (*reader)->Next();
      if (!message.ok()) return message.status();
      if (!*message) break;
      if ((*message)->sequence < query.from_offset) continue;
      chunk.next_offset = (*message)->sequence + 1;
      if ((*message)->since_boot < from) continue;
      absl::StrAppendFormat(&chunk.data, "[%12.6f] %s\n",
                            absl::ToDoubleSeconds((*message)->since_boot), (*message)->text);
    }
    return chunk;
  }
  absl::StatusOr<engine::NodeApi::LogChunk> Stored(
      const engine::NodeApi::LogQuery& query) const override {
    const absl::Time from = query.since == absl::InfiniteDuration()
                                ? absl::InfinitePast()
                                : deps_.clock.Now() - query.since;
    return ReadStored(deps_.vfs.Absolute(kStoreDirectory), query, from);
  }
  std::optional<uint64_t> OffsetAt(const std::string& service, absl::Duration ago) const override {
    return collector_.OffsetAt(service, ago);
  }

 private:
  void Turn() {
    collector_.Look();
    if (process_.wanted()) {
      collector_.Collect(read_, mask_,
                         [this](const Record& record) { return process_.Offer(record); });
    }
    timer_ = deps_.executor.After(process_.wanted() ? kCollectEvery : kLookEvery, [this] {
      timer_ = 0;
      Turn();
    });
  }

  void OnStates() {
    std::string words = process_.fault();
    for (const auto& [name, state] : process_.states()) {
      absl::StrAppend(&words, "|", name, state.failing ? "!" : "", state.message);
    }
    const absl::Duration now = deps_.clock.SinceBoot();
    if (words == told_ && now - told_at_ < kCountsEvery) return;
    told_ = std::move(words);
    told_at_ = now;
    if (on_change_) on_change_();
  }

  // Ignoring failures: what stays is removed with the next config, or is not there.
  void RemoveStored() {
    absl::StatusOr<std::vector<std::string>> names = deps_.vfs.List(kStoreDirectory);
    if (!names.ok()) return;
    for (const std::string& name : *names) {
      if (!ParseStoreName(name)) continue;
      deps_.vfs.Remove(absl::StrCat(kStoreDirectory, "/", name)).IgnoreError();
    }
  }

  LogsDeps deps_;
  Collector collector_;
  SenderProcess process_;
  Collector::Read read_;
  Collector::Mask mask_;
  std::map<std::string, std::string> endpoints_;
  std::function<void()> on_change_;
  engine::Executor::TimerId timer_ = 0;
  std::string told_;
  absl::Duration told_at_;
};

}  // namespace

std::unique_ptr<LogsController> MakeLogsController(const LogsDeps& deps) {
  return std::make_unique<ControllerImpl>(deps);
}

}  // namespace basalt::logs
