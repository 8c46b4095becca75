// What a medium has for a node, by its file system's label. Pure, but for the bytes that it reads.
//
//   label                      file
//   CIDATA (NoCloud)           user-data
//   config-2 (OpenStack)       openstack/latest/user_data
//   BASALT                     basalt/config.* and config.*
//   any disc, on Azure         ovf-env.xml
//   the boot partition         basalt/config.*
#pragma once

#include <string>
#include <vector>

#include "machineconfig/medium/bytes.h"

namespace basalt::first {

inline constexpr char kMediumIdFile[] = "basalt/medium-id";
inline constexpr char kMediumKeyFile[] = "basalt/medium.key";

struct Found {
  std::string where;  // "user-data on CIDATA"
  std::string bytes;
};

// Whatever its label is. Errors of reading are left out: a damaged medium has nothing for us.
std::vector<Found> OnBootPartition(medium::Bytes& bytes);
// Nothing when it has no file system or label that we know.
std::vector<Found> OnMedium(medium::Bytes& bytes, bool azure);

// What `nodectl image write` put onto the boot partition beside a config.
struct MediumFacts {
  std::string id;   // "" when there is none
  std::string key;  // text of an age identity; "" when there is none, or none any more
};
MediumFacts FactsOf(medium::Bytes& bytes);

}  // namespace basalt::first
