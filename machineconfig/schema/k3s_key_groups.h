// The parts of the catalogue; private to this directory. In each, keys stand in the order in which
// one would explain them.
#pragma once

#include "machineconfig/schema/k3s_keys.h"

namespace basalt::schema {

absl::Span<const K3sKey> K3sClusterKeys();    // joining, tokens, datastore, snapshots, encryption
absl::Span<const K3sKey> K3sNetworkKeys();    // listeners, networks, flannel
absl::Span<const K3sKey> K3sComponentKeys();  // what K3s deploys and starts, and with which flags
absl::Span<const K3sKey> K3sNodeKeys();       // the node, its runtime, logs

}  // namespace basalt::schema
