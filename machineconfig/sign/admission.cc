// Is the document for this node, now? Everything that a signature does not say.
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"
#include "api/coded_status.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/sign/policy.h"

namespace basalt::sign {
namespace {

constexpr absl::Duration kGenerationLead = absl::Hours(25);
constexpr absl::Duration kSignedAtLead = absl::Hours(24);
constexpr absl::Duration kUnsyncedLead = absl::Hours(400 * 24);
constexpr absl::Duration kActionLife = absl::Hours(24);
constexpr int64_t kMaxGeneration = std::numeric_limits<int64_t>::max();

absl::Status Refuse(absl::string_view reason, absl::string_view what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, reason, what, hint);
}

std::string Show(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// No clock shows less than the floor.
absl::Time Now(const NodeFacts& facts) { return std::max(facts.now, facts.time_floor); }

// The newest time that a document may claim for `lead` ahead of what this node believes.
absl::Time Latest(const NodeFacts& facts, absl::Duration lead) {
  return facts.time_synced ? Now(facts) + lead : facts.time_floor + kUnsyncedLead;
}

std::string ClockWords(const NodeFacts& facts) {
  return facts.time_synced
             ? absl::StrCat("the node's clock shows ", Show(Now(facts)))
             : absl::StrCat("the node's clock is not synchronised; the newest time it trusts is ",
                            Show(facts.time_floor));
}

absl::StatusOr<absl::Time> ParseTime(absl::string_view field, const std::string& text) {
  absl::Time out;
  std::string why;
  // RFC 3339 in UTC: ParseTime would also take "infinite-future" and local offsets.
  if (text.empty() || text.back() != 'Z' || text.front() < '0' || text.front() > '9' ||
      !absl::ParseTime(absl::RFC3339_full, text, &out, &why)) {
    return api::Coded(
        absl::StatusCode::kInvalidArgument, "invalid-config",
        absl::StrCat(field, ": `", text.substr(0, 40), "` is no RFC 3339 time in UTC"),
        "for example 2026-11-23T22:15:00Z");
  }
  return out;
}

absl::Status CheckCluster(const std::string& cluster, const NodeFacts& facts) {
  if (cluster == facts.cluster) return absl::OkStatus();
  return Refuse("wrong-cluster",
                absl::StrCat("the document is for cluster `", cluster,
                             "`; this node belongs to cluster `", facts.cluster, "`"),
                "send it to a node of that cluster; a node never crosses clusters, except by a "
                "new installation");
}

absl::Status CheckEpoch(int64_t epoch, const NodeFacts& facts) {
  if (epoch == facts.epoch) return absl::OkStatus();
  return Refuse("wrong-epoch",
                absl::StrCat("the document is of epoch ", epoch,
                             "; the node's trust policy is of epoch ", facts.epoch),
                epoch > facts.epoch
                    ? "send the node the newer trust policy first: nodectl trust apply"
                    : "sign it again: nodectl fills in the epoch of the newest trust policy");
}

absl::Status WrongTarget(absl::string_view field, absl::string_view wants, absl::string_view is,
                         const NodeFacts& facts) {
  return Refuse(
      "wrong-target",
      absl::StrCat("the document is for the machine with ", field, " ", wants,
                   "; this machine has ", field, " ", is.empty() ? "(unknown)" : is,
                   field == "machineId" ? "" : absl::StrCat(" and machineId ", facts.machine_id)),
      absl::StrCat("send it to the machine it is for; or, if this one took its place, pin it "
                   "(nodectl pin) and sign again with target.machineId: ",
                   facts.machine_id));
}

absl::Status CheckTarget(const v1::Target& target, const NodeFacts& facts) {
  // The identity key says it all; hardware beside it is not looked at.
  if (target.has_machine_id()) {
    if (target.machine_id() == facts.machine_id) return absl::OkStatus();
    return WrongTarget("machineId", target.machine_id(), facts.machine_id, facts);
  }
  const bool by_hardware = target.has_serial() || target.has_mac() || target.has_medium_id();
  if (!by_hardware || facts.has_config) {
    return Refuse("wrong-target",
                  absl::StrCat(by_hardware ? "serial, mac and mediumId name the target of a "
                                             "first config only, and this node has a config"
                                           : "the document names no target",
                               "; this machine has machineId ", facts.machine_id),
                  absl::StrCat("sign it with target.machineId: ", facts.machine_id));
  }
  if (target.has_serial() && (facts.serial.empty() || target.serial() != facts.serial)) {
    return WrongTarget("serial", target.serial(), facts.serial, facts);
  }
  if (target.has_mac() &&
      std::find(facts.macs.begin(), facts.macs.end(), target.mac()) == facts.macs.end()) {
    return WrongTarget("mac", target.mac(), facts.macs.empty() ? "" : facts.macs.front(), facts);
  }
  if (target.has_medium_id() &&
      (facts.medium_id.empty() || target.medium_id() != facts.medium_id)) {
    return WrongTarget("mediumId", target.medium_id(), facts.medium_id, facts);
  }
  return absl::OkStatus();
}

absl::Status CheckFloor(const v1::Metadata& metadata, const Digest& digest,
                        const NodeFacts& facts) {
  // A new epoch, which only root can begin, starts the generations anew.
  if (metadata.epoch() > facts.floor_epoch) return absl::OkStatus();
  const bool below =
      metadata.epoch() < facts.floor_epoch || metadata.generation() < facts.floor_generation;
  if (!below && metadata.generation() > facts.floor_generation) return absl::OkStatus();
  if (!below && facts.floor_digest == digest) return absl::OkStatus();
  return Refuse(
      "below-floor",
      below ? absl::StrCat("generation ", metadata.generation(), " of epoch ", metadata.epoch(),
                           " is older than what this node has accepted: generation ",
                           facts.floor_generation, " of epoch ", facts.floor_epoch)
            : absl::StrCat("generation ", metadata.generation(),
                           " was already given to another document on this node"),
      "sign it with a newer generation: without metadata.generation nodectl sign picks one; to go "
      "back to an old state use nodectl rollback");
}

absl::Status CheckGeneration(const v1::Metadata& metadata, const NodeFacts& facts,
                             bool root_cosigned) {
  if (metadata.generation() == kMaxGeneration) {
    return Refuse("generation-too-far",
                  absl::StrCat("generation ", metadata.generation(),
                               " is the last there is: no other could follow it"),
                  "leave metadata.generation out and nodectl sign picks one; a node whose floor is "
                  "too high needs a trust policy with a higher epoch, signed by root");
  }
  const int64_t limit = DefaultGeneration(Latest(facts, kGenerationLead), 0);
  if (root_cosigned || metadata.generation() <= limit) return absl::OkStatus();
  return Refuse("generation-too-far",
                absl::StrCat("generation ", metadata.generation(), " lies beyond ", limit, ": ",
                             ClockWords(facts)),
                "check the clock of the machine that signed, or leave metadata.generation out; a "
                "generation from further ahead needs the root keys as co-signers");
}

absl::Status CheckTimes(const v1::Metadata& metadata, const NodeFacts& facts) {
  auto signed_at = ParseTime("metadata.signedAt", metadata.signed_at());
  if (!signed_at.ok()) return signed_at.status();
  if (*signed_at > Latest(facts, kSignedAtLead)) {
    return Refuse("clock-skew",
                  absl::StrCat("the document says it was signed at ", Show(*signed_at), ", but ",
                               ClockWords(facts)),
                  "set the clock of the machine that signed, or of the node, and sign again");
  }
  if (metadata.has_not_after()) {
    auto not_after = ParseTime("metadata.notAfter", metadata.not_after());
    if (!not_after.ok()) return not_after.status();
    const absl::Time now = facts.time_synced ? Now(facts) : facts.time_floor;
    if (now > *not_after || *signed_at > *not_after) {
      return Refuse("expired",
                    absl::StrCat("the document was good until ", Show(*not_after), "; ",
                                 *signed_at > *not_after
                                     ? absl::StrCat("it was signed later, at ", Show(*signed_at))
                                     : ClockWords(facts)),
                    "sign it again with a later notAfter, or without one");
    }
  }
  // Without a clock nobody knows whether a time has come; waiting would keep the node out for ever.
  if (metadata.has_not_before() && facts.time_synced) {
    auto not_before = ParseTime("metadata.notBefore", metadata.not_before());
    if (!not_before.ok()) return not_before.status();
    if (Now(facts) < *not_before) {
      return Refuse("not-yet-valid",
                    absl::StrCat("the document is not good before ", Show(*not_before), "; ",
                                 ClockWords(facts)),
                    "apply it later, or use metadata.apply.mode: staged");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBase(const v1::Metadata& metadata, const NodeFacts& facts) {
  if (!metadata.has_base()) return absl::OkStatus();
  auto base = Digest::Parse(metadata.base());
  if (base.ok() && facts.active_digest && *base == *facts.active_digest) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kAborted, "base-mismatch",
                    absl::StrCat("the document builds on ", metadata.base(), "; the node runs ",
                                 facts.active_digest ? facts.active_digest->ToString()
                                                     : std::string("no config")),
                    "look at what changed (nodectl diff), then sign again with the new base");
}

}  // namespace

absl::Status Admit(const v1::MachineConfig& config, const Digest& digest, const NodeFacts& facts,
                   bool root_cosigned) {
  const v1::Metadata& metadata = config.metadata();
  if (absl::Status s = CheckCluster(metadata.cluster(), facts); !s.ok()) return s;
  if (absl::Status s = CheckTarget(config.target(), facts); !s.ok()) return s;
  if (absl::Status s = CheckEpoch(metadata.epoch(), facts); !s.ok()) return s;
  if (absl::Status s = CheckFloor(metadata, digest, facts); !s.ok()) return s;
  // What runs already is sent again: nothing will change, whatever the calendar says by now.
  if (facts.active_digest == digest) return absl::OkStatus();
  if (absl::Status s = CheckGeneration(metadata, facts, root_cosigned); !s.ok()) return s;
  if (absl::Status s = CheckTimes(metadata, facts); !s.ok()) return s;
  return CheckBase(metadata, facts);
}

absl::Status AdmitAction(const v1::Action& action, const NodeFacts& facts) {
  if (absl::Status s = CheckCluster(action.cluster(), facts); !s.ok()) return s;
  if (absl::Status s = CheckTarget(action.target(), facts); !s.ok()) return s;
  if (absl::Status s = CheckEpoch(action.epoch(), facts); !s.ok()) return s;
  auto signed_at = ParseTime("signedAt", action.signed_at());
  if (!signed_at.ok()) return signed_at.status();
  auto not_after = ParseTime("notAfter", action.not_after());
  if (!not_after.ok()) return not_after.status();
  if (*not_after > *signed_at + kActionLife) {
    return Refuse("lifetime-too-long",
                  absl::StrCat("the action is good from ", Show(*signed_at), " to ",
                               Show(*not_after), "; at most 24 hours"),
                  "sign it again with an earlier notAfter");
  }
  if (*signed_at > Latest(facts, kSignedAtLead)) {
    return Refuse("clock-skew",
                  absl::StrCat("the action says it was signed at ", Show(*signed_at), ", but ",
                               ClockWords(facts)),
                  "set the clock of the machine that signed, or of the node, and sign again");
  }
  if ((facts.time_synced ? Now(facts) : facts.time_floor) > *not_after || *signed_at > *not_after) {
    return Refuse(
        "expired",
        absl::StrCat("the action was good until ", Show(*not_after), "; ", ClockWords(facts)),
        "sign it again");
  }
  return absl::OkStatus();
}

int64_t DefaultGeneration(absl::Time now, int64_t floor) {
  static const absl::Time kFirst = absl::FromCivil(absl::CivilSecond(1), absl::UTCTimeZone());
  static const absl::Time kLast =
      absl::FromCivil(absl::CivilSecond(9999, 12, 31, 23, 59, 59), absl::UTCTimeZone());
  const absl::CivilSecond c =
      absl::ToCivilSecond(std::clamp(now, kFirst, kLast), absl::UTCTimeZone());
  int64_t out = c.year();
  for (int part : {c.month(), c.day(), c.hour(), c.minute(), c.second()}) out = out * 100 + part;
  // At the end of the numbers the successor is the same one, which Admit refuses with a remedy.
  return std::max(out, floor == kMaxGeneration ? floor : floor + 1);
}

absl::Status CheckPlaintext(const v1::TrustPolicy& policy, const v1::MachineConfig& config) {
  if (!policy.has_allow_plaintext_secrets() || policy.allow_plaintext_secrets()) {
    return absl::OkStatus();
  }
  const std::vector<std::string> paths = schema::PlaintextSecrets(config);
  if (paths.empty()) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kFailedPrecondition, "plaintext-forbidden",
                    absl::StrCat("the trust policy accepts sealed secrets alone, and these stand "
                                 "in the clear: ",
                                 absl::StrJoin(paths, ", ")),
                    "sign the source again: nodectl seals them for the node that it pinned");
}

}  // namespace basalt::sign
