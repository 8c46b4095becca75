#include "tests/support/supervisor/fake_supervisor.h"

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/host/supervisor_spec.h"

namespace basalt::testing {
namespace {

constexpr size_t kEvents = 64;
constexpr size_t kOutput = 256 << 10;

using host::ServiceEvent;
using host::ServiceState;

bool Alive(ServiceState state) {
  return state == ServiceState::kStarting || state == ServiceState::kRunning ||
         state == ServiceState::kStopping;
}

absl::Status Unknown(absl::string_view name) {
  return api::Coded(absl::StatusCode::kNotFound, "service-not-found",
                    absl::StrCat("no service \"", name, "\""));
}

}  // namespace

absl::Status FakeSupervisor::Start(host::ServiceSpec spec) {
  if (absl::Status failed = TakeFailure(Op::kStart); !failed.ok()) return failed;
  if (absl::Status bad = host::ValidateSpec(spec); !bad.ok()) return bad;
  if (Service* old = Find(spec.name)) {
    if (Alive(old->status.state) || old->status.state == ServiceState::kBackingOff) {
      return api::Coded(absl::StatusCode::kAlreadyExists, "service-runs",
                        absl::StrCat("service \"", spec.name, "\" runs already"));
    }
    // Replaced in place: its output goes on, because what it left behind may still write.
    old->status = {.name = spec.name, .tag = spec.tag};
    old->spec = std::move(spec);
    started_.push_back(old->status.name);
    Launch(*old);
    return absl::OkStatus();
  }
  started_.push_back(spec.name);
  Service& service = services_.emplace_back();
  service.status.name = spec.name;
  service.status.tag = spec.tag;
  service.spec = std::move(spec);
  Launch(service);
  return absl::OkStatus();
}

absl::Status FakeSupervisor::Stop(absl::string_view name) {
  if (absl::Status failed = TakeFailure(Op::kStop); !failed.ok()) return failed;
  Service* service = Find(name);
  if (service == nullptr) return Unknown(name);
  stopped_.emplace_back(name);
  if (service->status.state == ServiceState::kBackingOff) {
    service->status.state = ServiceState::kStopped;
    return absl::OkStatus();
  }
  if (!Alive(service->status.state)) return absl::OkStatus();
  service->status.state = ServiceState::kStopping;
  if (obeys_stop) Exit(name, 0, SIGTERM);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<host::ServiceStatus>> FakeSupervisor::List() {
  if (absl::Status failed = TakeFailure(Op::kList); !failed.ok()) return failed;
  std::vector<host::ServiceStatus> list;
  for (const Service& service : services_) list.push_back(service.status);
  return list;
}

absl::StatusOr<std::string> FakeSupervisor::Output(absl::string_view name, size_t max_bytes,
                                                   uint64_t* end) {
  if (absl::Status failed = TakeFailure(Op::kOutput); !failed.ok()) return failed;
  Service* service = Find(name);
  if (service == nullptr) return Unknown(name);
  const std::string all = service->output;
  if (end != nullptr) *end = service->written;
  if (!written_after_output.empty()) Write(name, written_after_output);
  return all.size() <= max_bytes ? all : all.substr(all.size() - max_bytes);
}

absl::StatusOr<uint64_t> FakeSupervisor::OutputOffset(absl::string_view name) {
  if (absl::Status failed = TakeFailure(Op::kOutput); !failed.ok()) return failed;
  Service* service = Find(name);
  if (service == nullptr) return Unknown(name);
  return service->written;
}

absl::StatusOr<std::vector<ServiceEvent>> FakeSupervisor::Events(uint64_t after_seq) {
  if (absl::Status failed = TakeFailure(Op::kEvents); !failed.ok()) return failed;
  std::vector<ServiceEvent> out;
  if (!events_.empty() && events_.front().seq > after_seq + 1) {
    out.push_back({.seq = events_.front().seq - 1, .kind = ServiceEvent::Kind::kLost});
  }
  for (const ServiceEvent& event : events_) {
    if (event.seq > after_seq) out.push_back(event);
  }
  return out;
}

namespace {
absl::Status NotPid1() {
  return api::Coded(absl::StatusCode::kUnimplemented, "not-pid1", "noded-init is not PID 1 here");
}
}  // namespace

absl::StatusOr<host::BootStatus> FakeSupervisor::Boot() {
  if (!pid1) return NotPid1();
  return boot;
}

absl::Status FakeSupervisor::Healthy() {
  if (!pid1) return NotPid1();
  ++healthy;
  if (healthy_result.ok() && boot.entry == host::BootStatus::Entry::kTrial) {
    boot.entry = host::BootStatus::Entry::kGood;
  }
  return healthy_result;
}

absl::StatusOr<absl::Duration> FakeSupervisor::SetWatchdog(absl::Duration timeout) {
  if (!pid1) return NotPid1();
  if (!boot.watchdog) {
    return api::Coded(absl::StatusCode::kNotFound, "no-watchdog", "this machine has no watchdog");
  }
  watchdogs.push_back(timeout);
  return timeout;
}

absl::Status FakeSupervisor::EndMachine(bool reboot) {
  if (!pid1) return NotPid1();
  ends.push_back(reboot);
  return absl::OkStatus();
}

absl::Status FakeSupervisor::Feed() {
  if (absl::Status failed = TakeFailure(Op::kFeed); !failed.ok()) return failed;
  ++feeds_;
  return absl::OkStatus();
}

void FakeSupervisor::Exit(absl::string_view name, int code, int signal) {
  Service& service = Running(name);
  host::ServiceStatus& status = service.status;
  status.exited = true;
  status.exit_code = code;
  status.signal = signal;
  status.exited_at = clock_.SinceBoot();
  if (status.state == ServiceState::kStopping) {
    status.state = ServiceState::kStopped;
  } else if (service.spec.restart.always) {
    status.state = ServiceState::kBackingOff;
  } else {
    status.state = code == 0 && signal == 0 ? ServiceState::kStopped : ServiceState::kFailed;
  }
  status.ready = false;
  int pid = std::exchange(status.pid, 0);
  events_.push_back({.seq = ++last_seq_,
                     .kind = ServiceEvent::Kind::kExit,
                     .name = status.name,
                     .pid = pid,
                     .exit_code = code,
                     .signal = signal});
  if (events_.size() > kEvents) events_.pop_front();
  if (on_event) on_event();
}

void FakeSupervisor::Ready(absl::string_view name) {
  Service& service = Running(name);
  if (!service.spec.notify || service.status.ready) return;
  service.status.ready = true;
  if (service.status.state == ServiceState::kStarting) {
    service.status.state = ServiceState::kRunning;
  }
  Record(ServiceEvent::Kind::kReady, service);
}

void FakeSupervisor::Write(absl::string_view name, absl::string_view text) {
  Service& service = Running(name);
  absl::StrAppend(&service.output, text);
  service.written += text.size();
  if (service.output.size() > kOutput) {
    service.output.erase(0, service.output.size() - kOutput);
  }
}

void FakeSupervisor::PassBackoff(absl::string_view name) {
  Service* service = Find(name);
  if (service == nullptr || service->status.state != ServiceState::kBackingOff) {
    std::fprintf(stderr, "PassBackoff: %s does not back off\n", std::string(name).c_str());
    std::abort();
  }
  Launch(*service);
}

void FakeSupervisor::FailNext(Op op, absl::Status status) {
  failures_[op].push_back(std::move(status));
}

const host::ServiceSpec* FakeSupervisor::Spec(absl::string_view name) const {
  for (const Service& service : services_) {
    if (service.status.name == name) return &service.spec;
  }
  return nullptr;
}

const host::ServiceStatus* FakeSupervisor::Status(absl::string_view name) const {
  for (const Service& service : services_) {
    if (service.status.name == name) return &service.status;
  }
  return nullptr;
}

absl::Status FakeSupervisor::TakeFailure(Op op) {
  auto it = failures_.find(op);
  if (it == failures_.end() || it->second.empty()) return absl::OkStatus();
  absl::Status status = std::move(it->second.front());
  it->second.pop_front();
  return status;
}

FakeSupervisor::Service* FakeSupervisor::Find(absl::string_view name) {
  for (Service& service : services_) {
    if (service.status.name == name) return &service;
  }
  return nullptr;
}

FakeSupervisor::Service& FakeSupervisor::Running(absl::string_view name) {
  Service* service = Find(name);
  if (service == nullptr || !Alive(service->status.state)) {
    std::fprintf(stderr, "the test acts for %s, which does not run\n", std::string(name).c_str());
    std::abort();
  }
  return *service;
}

void FakeSupervisor::Launch(Service& service) {
  service.status.pid = next_pid_++;
  ++service.status.starts;
  service.status.started_at = clock_.SinceBoot();
  service.status.ready = false;
  service.status.state = service.spec.notify ? ServiceState::kStarting : ServiceState::kRunning;
  Record(ServiceEvent::Kind::kStarted, service);
}

void FakeSupervisor::Record(ServiceEvent::Kind kind, const Service& service) {
  events_.push_back(
      {.seq = ++last_seq_, .kind = kind, .name = service.status.name, .pid = service.status.pid});
  if (events_.size() > kEvents) events_.pop_front();
  if (on_event) on_event();
}

}  // namespace basalt::testing
