// What noded tells a probe, and what comes back. Plain data, pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::diagnose {

inline constexpr int kResultFd = 3;  // memory that the result is written to
inline constexpr size_t kMaxResult = 256 << 10;

struct ProbeTask {
  enum class Kind { kDns = 1, kTcp, kTls, kHttp };
  Kind kind = Kind::kDns;
  std::string host;
  int port = 0;
  bool tls = false;         // of kHttp
  std::string path;         // of kHttp
  std::string server_name;  // whom to ask for
  int64_t timeout_ms = 10000;
  bool any_address = false;
  bool operator==(const ProbeTask&) const = default;
};
// Behind the words "noded-wire probe".
std::vector<std::string> ToArguments(const ProbeTask& task);
std::optional<ProbeTask> FromArguments(const std::vector<std::string>& arguments);

struct ProbeCertificate {
  std::string subject, issuer, sha256;
  std::vector<std::string> names;
  int64_t not_before = 0, not_after = 0;  // unix
  bool operator==(const ProbeCertificate&) const = default;
};

struct ProbeResult {
  bool reached = false;
  std::string code, error;
  struct Step {
    std::string name;
    int64_t micros = 0;
    bool operator==(const Step&) const = default;
  };
  std::vector<Step> steps;
  std::vector<std::string> addresses;
  std::string peer;
  std::string tls_version, tls_cipher, tls_fault;
  std::vector<ProbeCertificate> certificates;
  int http_status = 0;
  std::string http_location, http_type;
  int64_t http_bytes = 0;
  bool operator==(const ProbeResult&) const = default;
};
std::string Pack(const ProbeResult& result);
// A stranger chose much of it: bounded, and without control characters.
std::optional<ProbeResult> UnpackResult(absl::string_view bytes);

}  // namespace basalt::diagnose
