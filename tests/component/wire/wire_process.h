// noded-wire as a process, with its descriptors as noded hands them over, and the strangers that it
// speaks to. Nothing here sleeps; deadlines are generous.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/host/fd.h"

namespace basalt::testing {

inline constexpr absl::Duration kWait = absl::Seconds(60);

// A program that ends with this object, by its pid.
class Child {
 public:
  // `fds`: what it finds from descriptor 3 on. `out`: its standard output, when given.
  Child(const std::vector<std::string>& argv, const std::vector<int>& fds, int out = -1);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  int Wait();  // its exit code; -1 when it did not end in time, or by a signal
 private:
  pid_t pid_ = -1;
  host::UniqueFd input_;  // its standard input, which never ends: openssl would with it
};

host::UniqueFd MemoryWith(const std::string& text);
std::string ReadFd(int fd);  // of memory, from its begin
// Reads from `fd` until `text` stands in it; what was read. "" when it does not come.
std::string ReadUntil(int fd, const std::string& text);

// A socket that listens on 127.0.0.1, and its port.
host::UniqueFd Listen(int* port, bool datagram = false);
// The next connection; invalid when none comes.
host::UniqueFd Accept(int listener);

// A certificate of its own for 127.0.0.1 and "logs.example.org", by openssl(1).
struct Certificate {
  std::string directory;
  std::string cert_file, key_file, pem;
  Certificate();
  ~Certificate();
};

}  // namespace basalt::testing
