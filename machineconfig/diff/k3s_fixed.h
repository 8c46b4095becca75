// What K3s keeps from its first start: it stands in certificates, in the datastore or in objects
// that cannot be changed. Pure.
#pragma once

#include <string>

#include "basalt/v1/k3s.pb.h"
#include "machineconfig/schema/k3s_keys.h"

namespace basalt::diff {

// The value of a key of k3s.config as K3s takes it: one text, lists with commas; where it is left
// out the default, for cluster-dns the tenth address of the services.
std::string ValueInForce(const v1::K3s& k3s, const schema::K3sKey& key);

// Is the key fixed and its value in force another one?
bool ChangesFixedValue(const v1::K3s& from, const v1::K3s& to, const schema::K3sKey& key);

}  // namespace basalt::diff
