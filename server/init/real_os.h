// Os on Linux: thin, no decisions. One thread.
#pragma once

#include <cstdint>

#include "server/init/core/os.h"

namespace basalt::init {

class RealOs : public Os {
 public:
  // `noded` is argv of noded, its first word looked up in PATH; `cgroup_base` "" = no cgroups. Both
  // outlive this. The environment of noded is `environ`.
  // `say` nullptr: lines go to stderr.
  RealOs(char* const* noded, const char* cgroup_base, void (*say)(const char*) = nullptr)
      : noded_(noded), cgroup_base_(cgroup_base), say_(say) {}
  int Open();  // the epoll instance. 0 or errno
  int epoll_fd() const { return epoll_fd_; }

  int64_t Now() override;
  int Spawn(const SpawnRequest& request, bool* cgroup_missing) override;
  int SpawnNoded(int* channel) override;
  int Kill(int pid, int signal) override;
  bool Reap(Exited* exited) override;
  int OpenIo(ServiceIo* io) override;
  int OpenNotify(ServiceIo* io) override;
  long Read(int fd, void* data, size_t size) override;
  long WriteAt(int fd, const void* data, size_t size, uint64_t offset) override;
  long ReceiveNotify(int fd, char* data, size_t size, int* pid) override;
  long Receive(int channel, Packet* packet) override;
  int Send(int channel, const void* data, size_t size, int fd) override;
  int Watch(int fd, uint64_t token) override;
  void Close(int fd) override;
  void Say(const char* text) override;

 private:
  char* const* noded_;
  const char* cgroup_base_;
  void (*say_)(const char*);
  int epoll_fd_ = -1;
};

}  // namespace basalt::init
