// What noded and noded-fetch agree on: arguments, exit statuses, lines. noded starts one process a
// download and learns everything from its status and its output; the bytes go to descriptor 3.
// Pure, thread-safe.
//
//   noded-fetch LIMIT EXPECTED STALL-SECONDS URL...
//     stdout  "progress DONE TOTAL" (bytes; total 0 = unknown), at most twice a second; at the end
//             "from INDEX", the URL (counted from 0) that had it; "http STATUS" of each answer
//     stderr  "failed REASON URL: why" for each attempt given up, last "error REASON why"
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::fetch {

inline constexpr int kTargetFd = 3;
inline constexpr int64_t kMaxBytes = int64_t{2} << 30;
inline constexpr int kMaxRedirects = 5;

// The exit statuses, each with the reason a user sees.
enum class Outcome {
  kOk = 0,
  kFailed = 10,        // artifact-download-failed
  kTooLarge = 11,      // artifact-too-large
  kStalled = 12,       // artifact-stalled
  kRedirectLoop = 13,  // artifact-redirect-loop
  kDiskFull = 14,      // disk-full
  kNotWritable = 15,   // artifact-store-failed
  kUsage = 64,         // artifact-download-failed
};

struct Arguments {
  int64_t limit = kMaxBytes;  // bytes; a longer download is cut off
  int64_t expected = 0;       // exact size, 0 = unknown
  int stall_seconds = 30;     // below 1 KiB/s for this long is a stall
  std::vector<std::string> urls;
  bool operator==(const Arguments&) const = default;
};

std::vector<std::string> ToArgv(const Arguments& arguments);  // with the program's name
std::optional<Arguments> FromArgv(const std::vector<std::string>& argv);

// How it is asked for, where that is not a plain GET: metadata services of clouds want a header, or
// a token that is a secret. In the environment, since arguments are everybody's to read.
struct Asking {
  std::string method = "GET";        // or "PUT"
  std::vector<std::string> headers;  // "Name: value"
  bool redirects = true;
  bool operator==(const Asking&) const = default;
};
std::vector<std::string> ToEnvironment(const Asking& asking);
// `get` is like getenv.
Asking FromEnvironment(const std::function<const char*(const char*)>& get);

std::string Reason(Outcome outcome);
// Of an exit status; anything unknown is kFailed.
Outcome FromExit(int exit_code);

struct Progress {
  int64_t done = 0;
  int64_t total = 0;
  bool operator==(const Progress&) const = default;
};
// The last complete progress line of the output; nothing when there is none.
std::optional<Progress> LastProgress(absl::string_view output);
// The INDEX of the line "from INDEX"; -1 when there is none.
int FromIndex(absl::string_view output);
// The STATUS of the last line "http STATUS"; 0 when nobody answered.
int HttpStatus(absl::string_view output);
// The text after "error REASON " of the last such line; "" when there is none.
std::string LastError(absl::string_view output);
// All "failed ..." lines: which URLs were tried and why each was given up.
std::vector<std::string> Attempts(absl::string_view output);

}  // namespace basalt::fetch
