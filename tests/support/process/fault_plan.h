// What the preloaded library does to noded, in memory that the test and every noded under it share.
// The test writes while it is not armed; the library counts, and disarms itself when it strikes.
#pragma once

#include <atomic>
#include <cstdint>

namespace basalt::testing {

enum class FaultOp : uint32_t {
  kStorage,  // write, ftruncate, fsync, rename, unlink, mkdir on what is a file or a directory
  kMemory,   // malloc, calloc, realloc
  kSync,     // fsync, fdatasync alone
};

enum class FaultAction : uint32_t {
  kKillBefore,  // SIGKILL instead of the call
  kKillAfter,   // SIGKILL when the call is done
  kFail,        // the call fails: ENOMEM, EIO
};

// Zero is "counts nothing, does nothing".
struct FaultPlan {
  std::atomic<uint32_t> armed;
  std::atomic<FaultOp> op;
  std::atomic<FaultAction> action;
  std::atomic<uint32_t> at;     // strikes at this call, counted from 1; 0: counts only
  std::atomic<uint32_t> count;  // calls since it was armed
  std::atomic<uint32_t> struck;
};
static_assert(std::atomic<FaultOp>::is_always_lock_free &&
              std::atomic<uint32_t>::is_always_lock_free);

// Where the library finds it: a file of that size.
inline constexpr char kFaultPlanVariable[] = "BASALT_FAULT_PLAN";

}  // namespace basalt::testing
