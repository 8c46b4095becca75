// How noded and noded-wire tell each other things: texts and numbers in a row, each with its length
// before it. Both ends are of one release; what comes back from the process that speaks to
// strangers is still read as if it were one. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::wire {

class FieldWriter {
 public:
  FieldWriter& Number(uint64_t number);
  FieldWriter& Text(absl::string_view text);
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

// After the first field that is not as asked for, every further one is empty and ok() is false.
class FieldReader {
 public:
  explicit FieldReader(absl::string_view bytes) : rest_(bytes) {}
  uint64_t Number();
  std::string Text(size_t most = 1 << 20);
  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace basalt::wire
