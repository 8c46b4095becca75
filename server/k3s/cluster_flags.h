// The keys of K3s's configuration that every server of one cluster must give the same value: a
// server that differs does not join, or the cluster misbehaves. Shown in the status, so that
// whoever sees several servers can compare them. No secret is among them. Which they are says the
// catalogue of K3s's keys.
#pragma once

#include <map>
#include <string>

#include "basalt/v1/machine_config.pb.h"

namespace basalt::k3s {

// What is set, by K3s's own key; a list as "a,b". "servicelb" tells whether `disable` names it,
// "hardening" the profile.
// Empty for agents and for a server that shares its datastore with nobody.
std::map<std::string, std::string> ClusterFlags(const v1::K3s& k3s);

}  // namespace basalt::k3s
