// absl::Status as far as this program needs it: with Abseil's own come its Cord, mutexes, time
// zones and symbolizer, 250 KB of an image for a program that says one line. The names are
// Abseil's, so that whoever knows those reads this.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace basalt::unlock {

enum class StatusCode : uint8_t {
  kOk,
  kInvalidArgument,
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kFailedPrecondition,
  kResourceExhausted,
  kDataLoss,
  kUnimplemented,
  kUnavailable,
  kInternal,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, absl::string_view message) : code_(code), message_(message) {}
  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  absl::string_view message() const { return message_; }
  void IgnoreError() const {}
  friend std::ostream& operator<<(std::ostream& out, const Status& status) {
    return out << static_cast<int>(status.code_) << ": " << status.message_;
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

// A value, or why there is none.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  StatusOr(Status status) : status_(std::move(status)) {}  // NOLINT: as Abseil's
  StatusOr(T value) : value_(std::move(value)) {}          // NOLINT
  template <typename U>
  requires std::is_convertible_v<U, T> StatusOr(U&& value)
      : value_(std::forward<U>(value)) {}  // NOLINT
  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& operator*() & { return value_.value(); }
  const T& operator*() const& { return value_.value(); }
  T&& operator*() && { return std::move(value_).value(); }
  T* operator->() { return &value_.value(); }
  const T* operator->() const { return &value_.value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

inline Status OkStatus() { return {}; }

#define BASALT_UNLOCK_STATUS(name)                       \
  inline Status name##Error(absl::string_view message) { \
    return Status(StatusCode::k##name, message);         \
  }                                                      \
  inline bool Is##name(const Status& status) { return status.code() == StatusCode::k##name; }
BASALT_UNLOCK_STATUS(InvalidArgument)
BASALT_UNLOCK_STATUS(NotFound)
BASALT_UNLOCK_STATUS(AlreadyExists)
BASALT_UNLOCK_STATUS(PermissionDenied)
BASALT_UNLOCK_STATUS(FailedPrecondition)
BASALT_UNLOCK_STATUS(ResourceExhausted)
BASALT_UNLOCK_STATUS(DataLoss)
BASALT_UNLOCK_STATUS(Unimplemented)
BASALT_UNLOCK_STATUS(Unavailable)
BASALT_UNLOCK_STATUS(Internal)
#undef BASALT_UNLOCK_STATUS

}  // namespace basalt::unlock
