// The semantic difference of two resolved configs: what `plan` and `diff` show, what grants are
// checked against, what decides the effect. Pure, thread-safe, deterministic: sorted by path,
// removals first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/options.pb.h"

namespace basalt::diff {

enum class ChangeKind { kAdd, kRemove, kModify, kNotCompared };

struct Change {
  std::string path;  // as in yaml::SourceMap
  ChangeKind kind = ChangeKind::kModify;
  std::string old_value;  // YAML flow text; "(redacted)" for secrets
  std::string new_value;
  v1::Effect effect = v1::EFFECT_UNSPECIFIED;  // of this field, inherited where it says nothing
  bool operator==(const Change&) const = default;
};

struct Options {
  // False: secrets that are present on both sides are kNotCompared. So are they always when one of
  // the two is sealed, unless both are the same text.
  bool compare_secrets = true;
};

// `from` is null when nothing is committed. Both resolved. LIST_SET and LIST_MAP compare by
// element, LIST_ATOMIC as a whole. Present-but-empty messages equal absent ones.
std::vector<Change> Diff(const v1::MachineConfig* from, const v1::MachineConfig& to,
                         const Options& options = {});

// The largest; EFFECT_NONE for none.
v1::Effect TotalEffect(const std::vector<Change>& changes);

// True when the two mean the same to every controller: the changes have only the effect NONE and
// lie below the free metadata (generation, signedAt, notBefore, notAfter, apply, base, reason).
bool SameMeaning(const std::vector<Change>& changes);

// metadata.{generation,signedAt,notBefore,notAfter,apply,base,reason}: needs no grant.
bool IsFreePath(const std::string& path);

}  // namespace basalt::diff
