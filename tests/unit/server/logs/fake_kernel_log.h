// A kernel's log in memory.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "server/host/kernel_log.h"

namespace basalt::testing {

class FakeKernelLog : public host::KernelLog {
 public:
  absl::StatusOr<std::unique_ptr<host::KernelLogReader>> Open() override {
    return std::make_unique<Reader>(*this);
  }
  void Say(const std::string& text, absl::Duration since_boot, int severity = 6) {
    messages.push_back({next++, severity, since_boot, text});
  }
  std::deque<host::KernelMessage> messages;
  uint64_t next = 0;

 private:
  class Reader : public host::KernelLogReader {
   public:
    explicit Reader(FakeKernelLog& log) : log_(log) {}
    absl::StatusOr<std::optional<host::KernelMessage>> Next() override {
      for (const host::KernelMessage& message : log_.messages) {
        if (message.sequence < at_) continue;
        at_ = message.sequence + 1;
        return message;
      }
      return std::nullopt;
    }

   private:
    FakeKernelLog& log_;
    uint64_t at_ = 0;
  };
};

}  // namespace basalt::testing
