// How many connections there may be, and from where: the arithmetic of the accept loop without its
// sockets. Not thread-safe.
//
// Invariant: with `connections` taken by strangers, a source that authenticated lately still finds
// one of the `reserved` slots; no source has more than its share.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "absl/time/time.h"

namespace basalt::rpc {

class Slots {
 public:
  enum class Verdict { kTaken, kFull, kSourceFull };

  // `now` in all calls is time since boot.
  Slots(int connections, int per_source, int reserved);

  // kTaken: one slot of `source` is in use until Release.
  Verdict Take(const std::string& source, absl::Duration now);
  void Release(const std::string& source);
  // `source` made an authenticated call: it may use reserved slots for the next hour.
  void NoteAuthenticated(const std::string& source, absl::Duration now);
  int open() const { return open_; }

 private:
  static constexpr size_t kMaxRemembered = 1024;

  const int connections_;
  const int per_source_;
  const int reserved_;
  int open_ = 0;
  std::unordered_map<std::string, int> by_source_;
  std::unordered_map<std::string, absl::Duration> authenticated_;
};

}  // namespace basalt::rpc
