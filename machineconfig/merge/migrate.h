// From what a config says in the words of an earlier release to the words of now: fields that are
// deprecated, and keys of K3s that the pinned release no longer knows. Driven by tables: the
// annotations of the fields, the catalogue of K3s's keys, and what only a person could have known,
// which key took the place of which. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::merge {

// A field whose value now stands elsewhere, in the same form.
struct FieldMove {
  absl::string_view from;  // "k3s.node.externalIp": no elements of lists on the way
  absl::string_view to;
};

// One of K3s's own keys, below k3s.config.
struct K3sKeyMove {
  absl::string_view key;
  absl::string_view value;      // only of this value; empty: of any
  int until = 0;                // the last minor of Kubernetes 1 that understands it
  absl::string_view to;         // the key that took its place
  absl::string_view new_value;  // empty: the value that it had; lists are joined
};

struct MigrationTables {
  absl::Span<const FieldMove> fields;
  absl::Span<const K3sKeyMove> k3s_keys;
};
const MigrationTables& Migrations();

struct MigrationStep {
  std::string path;
  std::string to;  // where it goes; empty: nowhere
  std::string reason;
  bool automatic = false;  // it is done; else a person has to decide
  bool operator==(const MigrationStep&) const = default;
};

// Changes `config` as far as that can be done without a person, for K3s 1.`k3s_minor` (0: its keys
// are left alone). Nothing to do: no steps. Done twice: what is automatic is gone.
std::vector<MigrationStep> Migrate(v1::MachineConfig& config, int k3s_minor,
                                   const MigrationTables& tables = Migrations());

}  // namespace basalt::merge
