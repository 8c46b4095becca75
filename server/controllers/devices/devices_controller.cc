#include "server/controllers/devices/devices_controller.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/controllers/devices/rules.h"

namespace basalt::devices {
namespace {

using google::protobuf::util::MessageDifferencer;

// A device that comes makes several events: one look for all of them.
constexpr absl::Duration kSettle = absl::Milliseconds(300);
constexpr absl::Duration kAgain = absl::Seconds(5);

struct Record {
  std::map<std::string, std::string> links;     // ours
  std::map<std::string, host::NodeMode> modes;  // as they were
  bool operator==(const Record&) const = default;
};

std::string Text(const Record& record) {
  std::string out;
  for (const auto& [name, node] : record.links) {
    absl::StrAppend(&out, "link ", name, " ", node, "\n");
  }
  for (const auto& [node, mode] : record.modes) {
    absl::StrAppend(&out, "mode ", node, " ", mode.mode, " ", mode.owner, " ", mode.group, "\n");
  }
  return out;
}

Record ReadRecord(absl::string_view text) {
  Record out;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 3 && words[0] == "link" && format::IsDeviceLink(words[1])) {
      out.links[words[1]] = words[2];
    }
    host::NodeMode mode;
    if (words.size() == 5 && words[0] == "mode" && absl::SimpleAtoi(words[2], &mode.mode) &&
        absl::SimpleAtoi(words[3], &mode.owner) && absl::SimpleAtoi(words[4], &mode.group)) {
      out.modes[words[1]] = mode;
    }
  }
  return out;
}

class ControllerImpl : public DevicesController {
 public:
  explicit ControllerImpl(const DevicesDeps& deps) : deps_(deps) {}
  ~ControllerImpl() override {
    *alive_ = false;
    if (timer_ != 0) deps_.executor.CancelTimer(timer_);
    if (watching_) deps_.executor.UnwatchFd(deps_.devices->event_fd());
  }

  std::string name() const override { return kControllerName; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override {
    engine::ControllerPlan plan;
    std::map<std::string, std::string> before, after;
    if (from != nullptr) {
      for (const v1::UdevRule& rule : from->system().udev_rules())
        before[rule.name()] = rule.rules();
    }
    for (const v1::UdevRule& rule : to.system().udev_rules()) after[rule.name()] = rule.rules();
    auto add = [&plan](std::string what) {
      plan.steps.push_back({.controller = kControllerName,
                            .description = std::move(what),
                            .effect = v1::EFFECT_LIVE});
    };
    for (const auto& [name, rules] : after) {
      const auto old = before.find(name);
      if (old == before.end()) add(absl::StrCat("follow the rules for devices ", name));
      if (old != before.end() && old->second != rules) {
        add(absl::StrCat("follow other rules for devices ", name));
      }
    }
    for (const auto& [name, rules] : before) {
      if (after.count(name) == 0)
        add(absl::StrCat("follow the rules for devices ", name, " no more"));
    }
    return plan;
  }
  void Prepare(const v1::MachineConfig&, engine::OnProgress, engine::Done done) override {
    done(absl::OkStatus());
  }
  void CancelPrepare() override {}

  // Rules are in the order of their names, as files of udev are.
  void Execute(const v1::MachineConfig* to, engine::Done done) override {
    std::map<std::string, std::string> texts;
    if (to != nullptr) {
      for (const v1::UdevRule& rule : to->system().udev_rules()) texts[rule.name()] = rule.rules();
    }
    rules_.clear();
    for (const auto& [name, text] : texts) {
      format::UdevRules parsed = format::ParseUdevRules(text);
      std::move(parsed.lines.begin(), parsed.lines.end(), std::back_inserter(rules_));
    }
    Look(std::move(done));
  }
  void Erase(engine::Done done) override { done(absl::OkStatus()); }
  std::vector<engine::Condition> Observe() const override { return {}; }
  std::vector<engine::Condition> Alarms() const override {
    if (faults_.empty()) return {};
    return {{.type = "DeviceRulesFailed",
             .holds = true,
             .reason = "NotAsTheRulesSay",
             .message = absl::StrJoin(faults_.begin(),
                                      faults_.begin() + std::min<ptrdiff_t>(3, std::ssize(faults_)),
                                      "; ")}};
  }
  absl::Duration Deadline(const v1::MachineConfig&, const std::string&) const override {
    return absl::ZeroDuration();
  }
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override { return {}; }
  void CollectGarbage(const std::vector<const v1::MachineConfig*>&) override {}

  void Start() override {
    if (deps_.devices->event_fd() >= 0 && !std::exchange(watching_, true)) {
      deps_.executor.WatchFd(deps_.devices->event_fd(), [this] {
        deps_.devices->Drain();
        Later(kSettle);
      });
    }
    Look(nullptr);
  }

 private:
  void Later(absl::Duration delay) {
    if (timer_ != 0) return;
    timer_ = deps_.executor.After(delay, [this] {
      timer_ = 0;
      Look(nullptr);
    });
  }

  // Devices are asked in the pool: one may be slow. What was asked for meanwhile is looked at
  // after.
  void Look(engine::Done done) {
    if (done) waiting_.push_back(std::move(done));
    if (std::exchange(looking_, true)) {
      again_ = true;
      return;
    }
    auto wanted = std::make_shared<Wanted>();
    std::vector<engine::Done> callers = std::exchange(waiting_, {});
    const bool queued = deps_.executor.RunBlocking(
        [devices = deps_.devices, block = deps_.block, rules = rules_, originals = Originals(),
         wanted] {
          std::map<std::string, std::vector<std::string>> ids;
          if (block != nullptr) {
            // Ignoring a failure: there are no names by id then until the next look.
            const auto disks = block->Disks();
            for (const host::BlockDisk& disk :
                 disks.ok() ? *disks : std::vector<host::BlockDisk>()) {
              ids[std::string(absl::StripPrefix(disk.device, "/dev/"))] = disk.ids;
            }
          }
          *wanted = Apply(
              rules, devices->List(),
              [&devices](const std::string& path, const std::string& name) {
                return devices->Attribute(path, name);
              },
              [&](const std::string& node) {
                const auto original = originals.find(node);
                return original != originals.end() ? std::optional(original->second)
                                                   : devices->Mode(node);
              },
              ids);
        },
        [this, alive = alive_, wanted, callers] {
          if (!*alive) return;
          looking_ = false;
          Make(*wanted);
          for (const engine::Done& one : callers) one(absl::OkStatus());
          if (std::exchange(again_, false)) Look(nullptr);
        });
    if (queued) return;
    looking_ = false;
    Later(kAgain);
    for (const engine::Done& one : callers) {
      one(absl::UnavailableError("the node looks at as much as it may"));
    }
  }

  std::map<std::string, host::NodeMode> Originals() {
    if (!record_) record_ = ReadRecord(deps_.vfs.Read(kRecordFile, 1 << 20).value_or(""));
    return record_->modes;
  }

  void Make(const Wanted& wanted) {
    std::vector<std::string> faults = wanted.faults;
    const Record before = *record_;
    for (const auto& [name, node] : before.links) {
      const auto found = wanted.links.find(name);
      if (found != wanted.links.end()) continue;
      deps_.devices->Unlink(name, node);
      record_->links.erase(name);
    }
    for (const auto& [name, node] : wanted.links) {
      const auto ours = before.links.find(name);
      absl::Status made =
          deps_.devices->Link(name, node, ours == before.links.end() ? "" : ours->second);
      if (made.ok()) {
        record_->links[name] = node;
      } else {
        faults.emplace_back(made.message());
      }
    }
    for (const auto& [node, mode] : before.modes) {
      if (wanted.modes.count(node) > 0) continue;
      // Ignoring a failure: the device is gone, and its node with it.
      if (deps_.devices->Mode(node)) deps_.devices->SetMode(node, mode).IgnoreError();
      record_->modes.erase(node);
    }
    for (const auto& [node, mode] : wanted.modes) {
      const std::optional<host::NodeMode> now = deps_.devices->Mode(node);
      if (!now || *now == mode) continue;
      record_->modes.try_emplace(node, *now);
      if (absl::Status set = deps_.devices->SetMode(node, mode); !set.ok()) {
        faults.emplace_back(set.message());
      }
    }
    // Ignoring a failure: a noded that starts anew leaves then what it does not know.
    if (!(*record_ == before)) {
      deps_.vfs.ReplaceVolatile(kRecordFile, Text(*record_)).IgnoreError();
    }
    if (faults == faults_) return;
    faults_ = std::move(faults);
    if (on_change_) on_change_();
  }

  const DevicesDeps deps_;
  std::vector<format::UdevLine> rules_;
  std::optional<Record> record_;
  std::vector<std::string> faults_;
  std::vector<engine::Done> waiting_;
  std::function<void()> on_change_;
  engine::Executor::TimerId timer_ = 0;
  bool looking_ = false, again_ = false, watching_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<DevicesController> MakeDevicesController(const DevicesDeps& deps) {
  return std::make_unique<ControllerImpl>(deps);
}

}  // namespace basalt::devices
