// An Os in memory: processes are numbers, time moves when the test says so, descriptors are counted
// so that a leak is seen. Single-threaded.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/init/core/os.h"

namespace basalt::init {

class FakeOs : public Os {
 public:
  struct Spawned {
    std::vector<std::string> argv, env;
    std::string cgroup;
    int pid;
  };

  int64_t Now() override { return now; }
  int Spawn(const SpawnRequest& request, bool* cgroup_missing) override {
    if (spawn_error != 0) return -spawn_error;
    Spawned spawned = {.cgroup = request.cgroup, .pid = next_pid++};
    for (auto* p = request.argv; *p != nullptr; ++p) spawned.argv.push_back(*p);
    for (auto* p = request.envp; *p != nullptr; ++p) spawned.env.push_back(*p);
    *cgroup_missing = no_cgroups && *request.cgroup != 0;
    services.push_back(spawned);
    return spawned.pid;
  }
  int SpawnNoded(int* channel) override {
    if (spawn_error != 0) return -spawn_error;
    *channel = this->channel = NewFd();
    noded_starts.push_back(now);
    return noded_pid = next_pid++;
  }
  int Kill(int pid, int signal) override {
    kills.push_back({pid, signal});
    return 0;
  }
  bool Reap(Exited* exited) override {
    if (ended.empty()) return false;
    *exited = ended.front();
    ended.pop_front();
    return true;
  }
  int OpenIo(ServiceIo* io) override {
    io->out_read = NewFd();
    io->out_write = NewFd();
    io->ring = NewFd();
    io->ring_reader = NewFd();
    ring[io->ring] = std::string(kRingSize, 0);
    rings_by_reader[io->ring_reader] = io->ring;
    last_io = *io;
    return 0;
  }
  int OpenNotify(ServiceIo* io) override {
    io->notify = NewFd();
    strcpy(io->notify_name, "@12345");
    last_io = *io;
    return 0;
  }
  long Read(int fd, void* data, size_t size) override {
    std::string& waiting = output[fd];
    if (waiting.empty()) return -EAGAIN;
    size = std::min(size, waiting.size());
    memcpy(data, waiting.data(), size);
    waiting.erase(0, size);
    return static_cast<long>(size);
  }
  long WriteAt(int fd, const void* data, size_t size, uint64_t offset) override {
    if (ring_full) return -ENOSPC;
    ring[fd].replace(offset, size, static_cast<const char*>(data), size);
    return static_cast<long>(size);
  }
  long ReceiveNotify(int fd, char* data, size_t size, int* pid) override {
    if (notifications.empty()) return -EAGAIN;
    auto [text, sender] = notifications.front();
    notifications.pop_front();
    size = std::min(size, text.size());
    memcpy(data, text.data(), size);
    *pid = sender;
    return static_cast<long>(size);
  }
  long Receive(int fd, Packet* packet) override {
    if (requests.empty()) return -EAGAIN;
    auto [data, fds] = requests.front();
    requests.pop_front();
    packet->truncated = data.size() > kMaxPacket;
    packet->size = std::min(data.size(), kMaxPacket);
    memcpy(packet->data, data.data(), packet->size);
    packet->fd_count = 0;
    for (int i = 0; i < fds && i < kMaxPassedFds; ++i) packet->fds[packet->fd_count++] = NewFd();
    return static_cast<long>(packet->size);
  }
  int Send(int fd, const void* data, size_t size, int passed) override {
    if (send_error != 0) return send_error;
    sent.emplace_back(static_cast<const char*>(data), size);
    sent_fd = passed;
    return 0;
  }
  int Watch(int fd, uint64_t token) override {
    watched[fd] = token;
    return 0;
  }
  void Close(int fd) override {
    if (fd < 0) return;
    if (open.erase(fd) == 0) ++bad_closes;
    watched.erase(fd);
  }
  void Say(const char* text) override { said.push_back(text); }

  int NewFd() {
    open.insert(next_fd);
    return next_fd++;
  }
  void End(int pid, int code, int signal = 0) { ended.push_back({pid, code, signal}); }

  int64_t now = 1000000000;
  int spawn_error = 0;
  int send_error = 0;
  bool no_cgroups = false;
  bool ring_full = false;
  int next_pid = 500;
  int next_fd = 100;
  int noded_pid = 0;
  int channel = -1;
  int sent_fd = -1;
  int bad_closes = 0;  // of something not open
  std::vector<Spawned> services;
  std::vector<int64_t> noded_starts;
  std::vector<std::pair<int, int>> kills;
  std::deque<Exited> ended;
  std::map<int, std::string> output, ring;
  std::map<int, int> rings_by_reader;
  std::deque<std::pair<std::string, int>> notifications;
  std::deque<std::pair<std::string, int>> requests;  // and how many descriptors came along
  std::vector<std::string> sent, said;
  std::map<int, uint64_t> watched;
  std::set<int> open;
  ServiceIo last_io;
};

inline constexpr int64_t kSecond = 1000000000;

struct TestSpec {
  StartBody body = {};
  std::string strings;
};

inline TestSpec MakeSpec(const std::string& name) {
  TestSpec spec;
  strncpy(spec.body.name, name.c_str(), kNameSize - 1);
  strcpy(spec.body.tag, "v1");
  spec.body.delay_ns = 5 * kSecond;
  spec.body.max_delay_ns = 300 * kSecond;
  spec.body.rapid_ns = 30 * kSecond;
  spec.body.stop_grace_ns = 20 * kSecond;
  spec.body.nofile = 1024;
  spec.body.argc = 2;
  spec.body.envc = 1;
  spec.strings = std::string("k3s\0server\0A=b\0", 15);
  return spec;
}

template <typename Body>
std::string Request(Op op, const Body& body, const std::string& rest = "", uint32_t seq = 7) {
  Header header = {kMagic, kVersion, static_cast<uint16_t>(op), seq,
                   static_cast<uint32_t>(sizeof body + rest.size())};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
         std::string(reinterpret_cast<const char*>(&body), sizeof body) + rest;
}

inline std::string Request(Op op, uint32_t seq = 7) {
  Header header = {kMagic, kVersion, static_cast<uint16_t>(op), seq, 0};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header);
}

}  // namespace basalt::init
