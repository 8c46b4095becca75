// One question to a metadata service. Real: noded-fetch, started by noded-init (real_asker.cc).
#pragma once

#include <functional>

#include "server/first/conversation.h"

namespace basalt::first {

class Asker {
 public:
  virtual ~Asker() = default;
  // One at a time; `done` on the loop, always, and in bounded time.
  virtual void Ask(const Question& question, std::function<void(Answer)> done) = 0;
};

}  // namespace basalt::first
