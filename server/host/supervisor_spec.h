// What a ServiceSpec may say: one set of rules for the client of noded-init and for the fake, so
// that a spec which passes a test is one that the real supervisor takes. Pure.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "server/host/supervisor.h"

namespace basalt::host {

inline constexpr size_t kMaxServiceName = 31;
inline constexpr size_t kMaxServiceTag = 79;
inline constexpr size_t kMaxServiceFds = 4;
inline constexpr size_t kMaxServiceArgs = 256;
inline constexpr size_t kMaxServiceEnv = 1024;
// argv and env, each string with its terminating zero: what fits one packet beside the header.
inline constexpr size_t kMaxServiceStrings = 15 << 10;

// InvalidArgument "bad-service-spec": an empty, too long or oddly spelt name (letters, digits and
// ._- only, since it names a socket), a tag, argv, env or descriptor list out of bounds, a zero
// byte in a string, a cgroup that is absolute or climbs out, a negative time.
absl::Status ValidateSpec(const ServiceSpec& spec);

}  // namespace basalt::host
