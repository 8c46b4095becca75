#include "server/init/core/supervisor.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace basalt::init {
namespace {

constexpr int kExecFailed = 127;  // as a shell says it

bool Alive(const Service& s) {
  return s.used &&
         (s.state == State::kStarting || s.state == State::kRunning || s.state == State::kStopping);
}

bool Terminated(const char* text, size_t size) { return memchr(text, 0, size) != nullptr; }

bool GoodName(const char* name) {
  if (*name == 0) return false;
  for (; *name != 0; ++name) {
    char c = *name;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

bool GoodCgroup(const char* path) {
  if (*path == '/') return false;
  for (const char* part = path; part != nullptr;) {
    const char* slash = strchr(part, '/');
    size_t length = slash != nullptr ? static_cast<size_t>(slash - part) : strlen(part);
    if (length == 2 && part[0] == '.' && part[1] == '.') return false;
    part = slash != nullptr ? slash + 1 : nullptr;
  }
  return true;
}

bool GoodTime(int64_t ns) { return ns >= 0 && ns <= Supervisor::kLongestNs; }

bool GoodStart(const StartBody& b, const char* strings, size_t size, int fd_count) {
  if (!Terminated(b.name, kNameSize) || !Terminated(b.tag, kTagSize) ||
      !Terminated(b.cgroup, kCgroupSize) || !GoodName(b.name) || !GoodCgroup(b.cgroup)) {
    return false;
  }
  if (b.argc == 0 || b.argc > kMaxArgs || b.envc > kMaxEnv || b.fds > kMaxExtraFds ||
      b.fds != fd_count || size > kMaxStrings) {
    return false;
  }
  if (!GoodTime(b.delay_ns) || !GoodTime(b.max_delay_ns) || !GoodTime(b.rapid_ns) ||
      !GoodTime(b.stop_grace_ns) || b.max_delay_ns < b.delay_ns) {
    return false;
  }
  size_t found = 0;
  for (size_t i = 0; i < size; ++i) found += strings[i] == 0;
  return size > 0 && strings[size - 1] == 0 &&
         found == static_cast<size_t>(b.argc) + static_cast<size_t>(b.envc);
}

}  // namespace

int Supervisor::Start(const StartBody& body, const char* strings, size_t strings_size, int exec_fd,
                      const int* fds, int fd_count, Started* started) {
  auto refuse = [&](int error) {
    os_.Close(exec_fd);
    for (int i = 0; i < fd_count; ++i) os_.Close(fds[i]);
    return error;
  };
  if (exec_fd < 0 || !GoodStart(body, strings, strings_size, fd_count)) return refuse(EINVAL);
  if (shutting_down_) return refuse(ESHUTDOWN);
  Service* service = Find(body.name);
  bool replaces = service != nullptr;
  if (replaces && (Alive(*service) || service->state == State::kBackingOff)) return refuse(EEXIST);
  if (!replaces) service = FreeSlot();
  if (service == nullptr) return refuse(ENOSPC);

  Service& s = *service;
  if (!s.used) {
    int error = os_.OpenIo(&s.io);
    if (error == 0) {
      error = os_.Watch(s.io.out_read, kOutputToken | static_cast<uint64_t>(&s - services_));
    }
    if (error != 0) {
      Release(s);
      return refuse(error);
    }
    s.used = true;
  }
  if ((body.flags & kNotify) != 0 && s.io.notify < 0) {
    int error = os_.OpenNotify(&s.io);
    if (error == 0) {
      error = os_.Watch(s.io.notify, kNotifyToken | static_cast<uint64_t>(&s - services_));
    }
    if (error != 0) {
      if (!replaces) Release(s);
      return refuse(error);
    }
  }
  StartBody previous = s.spec;
  s.spec = body;
  memcpy(s.strings, strings, strings_size);
  s.strings_size = strings_size;
  s.exec_fd = exec_fd;
  for (int i = 0; i < fd_count; ++i) s.fds[i] = fds[i];
  s.next_delay_ns = body.delay_ns;
  int64_t starts = s.starts;
  s.starts = 0;
  int error = Launch(s);
  if (error != 0) {
    CloseProgram(s);
    if (replaces) {  // what was known of the previous one stays true
      s.spec = previous;
      s.starts = starts;
    } else {
      Release(s);
    }
    started->exec_failed = true;
    return error;
  }
  s.exited = false;
  s.exit_code = s.signal = 0;
  s.exited_ns = 0;
  started->pid = s.pid;
  return 0;
}

int Supervisor::Stop(const char* name) {
  Service* s = Find(name);
  if (s == nullptr) return ENOENT;
  if (s->state == State::kBackingOff) {
    s->state = State::kStopped;
    s->deadline_ns = Os::kNever;
    CloseProgram(*s);
  } else if (Alive(*s) && s->state != State::kStopping) {
    Terminate(*s, s->spec.stop_grace_ns);
  }
  return 0;
}

size_t Supervisor::List(ServiceRecord out[kMaxServices]) const {
  size_t count = 0;
  for (const Service& s : services_) {
    if (!s.used) continue;
    ServiceRecord& r = out[count++];
    memset(&r, 0, sizeof r);
    memcpy(r.name, s.spec.name, kNameSize);
    memcpy(r.tag, s.spec.tag, kTagSize);
    r.state = static_cast<uint8_t>(s.state);
    r.ready = s.ready;
    r.exited = s.exited;
    r.cgroup_missing = s.cgroup_missing;
    r.pid = s.pid;
    r.exit_code = s.exit_code;
    r.signal = s.signal;
    r.starts = s.starts;
    r.started_ns = s.started_ns;
    r.exited_ns = s.exited_ns;
  }
  return count;
}

int Supervisor::Output(const char* name, OutputReply* reply, int* ring_fd) {
  Service* s = Find(name);
  if (s == nullptr) return ENOENT;
  DrainOutput(*s);
  *reply = {.written = s->written, .capacity = kRingSize};
  *ring_fd = s->io.ring_reader;
  return 0;
}

size_t Supervisor::Events(uint64_t after_seq, EventRecord out[kMaxEvents + 1]) const {
  size_t count = 0;
  if (after_seq >= last_seq_) return 0;
  uint64_t oldest = last_seq_ > kMaxEvents ? last_seq_ - kMaxEvents + 1 : 1;
  if (after_seq + 1 < oldest) {
    EventRecord lost = {};
    lost.seq = oldest - 1;
    lost.kind = static_cast<uint32_t>(EventKind::kLost);
    out[count++] = lost;
    after_seq = oldest - 1;
  }
  for (uint64_t seq = after_seq + 1; seq <= last_seq_; ++seq) {
    out[count++] = events_[seq % kMaxEvents];
  }
  return count;
}

bool Supervisor::OnExit(const Exited& exited) {
  for (Service& s : services_) {
    if (!Alive(s) || s.pid != exited.pid) continue;
    // What it said last comes before its exit, whoever asks.
    DrainNotify(s);
    DrainOutput(s);
    s.exited = true;
    s.exit_code = exited.code;
    s.signal = exited.signal;
    s.exited_ns = os_.Now();
    s.ready = false;
    s.pid = 0;
    s.deadline_ns = Os::kNever;
    bool stopping = s.state == State::kStopping;
    if (!stopping && s.spec.always && !shutting_down_) {
      BackOff(s);
    } else {
      bool clean = stopping || (exited.code == 0 && exited.signal == 0);
      s.state = clean ? State::kStopped : State::kFailed;
      CloseProgram(s);
    }
    Record(EventKind::kExit, s, exited.pid);
    return true;
  }
  return false;
}

void Supervisor::OnReadable(uint64_t token) {
  size_t slot = token & 0xffffffff;
  if (slot >= kMaxServices || !services_[slot].used) return;
  if ((token & kOutputToken) != 0) DrainOutput(services_[slot]);
  if ((token & kNotifyToken) != 0) DrainNotify(services_[slot]);
}

void Supervisor::OnTime() {
  int64_t now = os_.Now();
  for (Service& s : services_) {
    if (!s.used || s.deadline_ns > now) continue;
    s.deadline_ns = Os::kNever;
    if (s.state == State::kStopping) {
      SendKill(s);
    } else if (s.state == State::kBackingOff && Launch(s) != 0) {
      s.exited = true;
      s.exit_code = kExecFailed;
      s.signal = 0;
      s.started_ns = s.exited_ns = now;
      BackOff(s);
      Record(EventKind::kExit, s, 0);
    }
  }
}

int64_t Supervisor::NextDeadline() const {
  int64_t next = Os::kNever;
  for (const Service& s : services_) {
    if (s.used && s.deadline_ns < next) next = s.deadline_ns;
  }
  return next;
}

void Supervisor::BeginShutdown(int64_t limit_ns) {
  shutting_down_ = true;
  int64_t latest = os_.Now() + limit_ns;
  for (Service& s : services_) {
    if (!s.used) continue;
    if (s.state == State::kBackingOff) {
      Stop(s.spec.name);
    } else if (s.state == State::kStopping) {
      if (!s.killed && s.deadline_ns > latest) s.deadline_ns = latest;
    } else if (Alive(s)) {
      Terminate(s, s.spec.stop_grace_ns < limit_ns ? s.spec.stop_grace_ns : limit_ns);
    }
  }
}

void Supervisor::KillAll() {
  for (Service& s : services_) {
    if (!Alive(s) || s.killed) continue;
    s.state = State::kStopping;
    s.deadline_ns = Os::kNever;
    SendKill(s);
  }
}

int Supervisor::alive() const {
  int count = 0;
  for (const Service& s : services_) count += Alive(s);
  return count;
}

Service* Supervisor::Find(const char* name) {
  for (Service& s : services_) {
    if (s.used && strcmp(s.spec.name, name) == 0) return &s;
  }
  return nullptr;
}

Service* Supervisor::FreeSlot() {
  Service* oldest = nullptr;
  for (Service& s : services_) {
    if (!s.used) return &s;
    if (Alive(s) || s.state == State::kBackingOff) continue;
    if (oldest == nullptr || s.exited_ns < oldest->exited_ns) oldest = &s;
  }
  if (oldest != nullptr) Release(*oldest);
  return oldest;
}

int Supervisor::Launch(Service& s) {
  const char* text = s.strings;
  for (int i = 0; i < s.spec.argc; ++i, text += strlen(text) + 1) argv_[i] = text;
  argv_[s.spec.argc] = nullptr;
  int variables = 0;
  for (int i = 0; i < s.spec.envc; ++i, text += strlen(text) + 1) {
    if ((s.spec.flags & kNotify) != 0 && strncmp(text, "NOTIFY_SOCKET=", 14) == 0) continue;
    envp_[variables++] = text;
  }
  if ((s.spec.flags & kNotify) != 0) {
    snprintf(notify_variable_, sizeof notify_variable_, "NOTIFY_SOCKET=%s", s.io.notify_name);
    envp_[variables++] = notify_variable_;
  }
  envp_[variables] = nullptr;
  s.cgroup_missing = false;
  int pid = os_.Spawn({.exec_fd = s.exec_fd,
                       .argv = argv_,
                       .envp = envp_,
                       .output_fd = s.io.out_write,
                       .fds = s.fds,
                       .fd_count = s.spec.fds,
                       .cgroup = s.spec.cgroup,
                       .nofile = s.spec.nofile,
                       .apart = (s.spec.flags & kApart) != 0},
                      &s.cgroup_missing);
  if (pid < 0) return -pid;
  s.pid = pid;
  ++s.starts;
  s.started_ns = os_.Now();
  s.ready = false;
  s.killed = false;
  s.deadline_ns = Os::kNever;
  s.state = (s.spec.flags & kNotify) != 0 ? State::kStarting : State::kRunning;
  Record(EventKind::kStarted, s, pid);
  return 0;
}

void Supervisor::BackOff(Service& s) {
  bool rapid = s.exited_ns - s.started_ns < s.spec.rapid_ns;
  if (!rapid) s.next_delay_ns = s.spec.delay_ns;
  int64_t wait = s.next_delay_ns < kShortestRestartNs ? kShortestRestartNs : s.next_delay_ns;
  if (rapid) {
    s.next_delay_ns = wait * 2 < s.spec.max_delay_ns ? wait * 2 : s.spec.max_delay_ns;
  }
  s.state = State::kBackingOff;
  s.deadline_ns = os_.Now() + wait;
}

void Supervisor::Terminate(Service& s, int64_t grace_ns) {
  s.state = State::kStopping;
  s.killed = false;
  s.deadline_ns = os_.Now() + grace_ns;
  os_.Kill(s.pid, SIGTERM);
}

void Supervisor::SendKill(Service& s) {
  s.killed = true;
  os_.Kill(s.pid, SIGKILL);
}

void Supervisor::DrainOutput(Service& s) {
  // At most one ring a turn: a service that writes faster than it is read cannot keep us here.
  for (size_t total = 0; total < kRingSize;) {
    long n = os_.Read(s.io.out_read, buffer_, sizeof buffer_);
    if (n <= 0) return;
    size_t size = static_cast<size_t>(n);
    size_t offset = s.written % kRingSize;
    size_t first = size < kRingSize - offset ? size : kRingSize - offset;
    // A ring that cannot be written (no memory) loses the text, never the service.
    bool kept = os_.WriteAt(s.io.ring, buffer_, first, offset) == static_cast<long>(first) &&
                (first == size || os_.WriteAt(s.io.ring, buffer_ + first, size - first, 0) ==
                                      static_cast<long>(size - first));
    if (kept) s.written += size;
    total += size;
    if (size < sizeof buffer_) return;  // a short read of a pipe means that it is empty
  }
}

void Supervisor::DrainNotify(Service& s) {
  char text[512];
  for (int i = 0; i < 16 && s.io.notify >= 0; ++i) {
    int sender = 0;
    long n = os_.ReceiveNotify(s.io.notify, text, sizeof text - 1, &sender);
    if (n < 0) return;
    // The main process alone: anybody on the machine can reach an abstract socket, and a late
    // datagram of the previous run carries the previous pid.
    if ((s.spec.flags & kNotify) == 0 || s.ready || s.pid == 0 || sender != s.pid) continue;
    text[n] = 0;
    for (char* line = text; line != nullptr;) {
      char* end = strchr(line, '\n');
      if (end != nullptr) *end = 0;
      if (strcmp(line, "READY=1") == 0) {
        s.ready = true;
        if (s.state == State::kStarting) s.state = State::kRunning;
        Record(EventKind::kReady, s, s.pid);
        break;
      }
      line = end != nullptr ? end + 1 : nullptr;
    }
  }
}

void Supervisor::CloseProgram(Service& s) {
  os_.Close(s.exec_fd);
  s.exec_fd = -1;
  for (int& fd : s.fds) {
    os_.Close(fd);
    fd = -1;
  }
}

void Supervisor::Release(Service& s) {
  CloseProgram(s);
  for (int fd : {s.io.out_read, s.io.out_write, s.io.ring, s.io.ring_reader, s.io.notify}) {
    os_.Close(fd);
  }
  // Field by field: a whole Service on the stack would be the largest frame of the program.
  s.used = s.ready = s.exited = s.cgroup_missing = s.killed = false;
  s.state = State::kStopped;
  s.io = ServiceIo{};
  s.pid = s.exit_code = s.signal = 0;
  s.starts = s.started_ns = s.exited_ns = 0;
  s.deadline_ns = Os::kNever;
  s.written = 0;
}

void Supervisor::Record(EventKind kind, const Service& s, int pid) {
  EventRecord& event = events_[++last_seq_ % kMaxEvents];
  event = {};
  event.seq = last_seq_;
  memcpy(event.name, s.spec.name, kNameSize);
  event.pid = pid;
  event.kind = static_cast<uint32_t>(kind);
  if (kind == EventKind::kExit) {
    event.exit_code = s.exit_code;
    event.signal = s.signal;
  }
}

}  // namespace basalt::init
