// What the arguments of a signed order `reset` or `wipe` say. Pure.
//
//   reset   (no arguments)                config, K3s and its data, as files; the node runs on
//           state, data, all: "true"      the partition is made anew at the next boot; `data` alone
//                                         keeps the config, and K3s starts again from nothing
//           wipe: fast|zero|discard|crypto-erase
//           graceful: "false"             K3s is not ended first
//           then: reboot|power-off        default: reboot when a partition is made anew, else
//           nothing forgetTrust: "true"           with `all`: trust, epoch and floor go too. Wants
//           a grant for
//                                         the verb forgetTrust as well
//   wipe    volume: NAME, or disk.ID...   one volume's partition, or one disk as a selector says
//           method: fast|zero|discard|crypto-erase
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "basalt/v1/storage.pb.h"
#include "basalt/v1/trust.pb.h"

namespace basalt::engine {

enum class WipeMethod { kFast, kZero, kDiscard, kCryptoErase };
absl::string_view ToString(WipeMethod method);
// InvalidArgument "bad-wipe-method".
absl::StatusOr<WipeMethod> ParseWipeMethod(absl::string_view text);

enum class AfterReset { kStay, kReboot, kPowerOff };

struct ResetSpec {
  bool state = false;
  bool data = false;
  bool forget_trust = false;
  bool graceful = true;
  WipeMethod method = WipeMethod::kFast;
  AfterReset then = AfterReset::kStay;
  bool partitions() const { return state || data; }
  bool keeps_config() const { return data && !state; }
  bool operator==(const ResetSpec&) const = default;
};

struct WipeSpec {
  std::string volume;  // or
  v1::DiskSelector disk;
  WipeMethod method = WipeMethod::kFast;
};

// InvalidArgument: "bad-action-argument" (an argument that the verb does not have, or that does not
// go with another), "bad-wipe-method".
absl::StatusOr<ResetSpec> ParseResetSpec(const v1::Action& action);
absl::StatusOr<WipeSpec> ParseWipeSpec(const v1::Action& action);

}  // namespace basalt::engine
