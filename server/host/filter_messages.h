// The table as nftables' netlink messages. Pure. Private to this directory and its tests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/host/packet_filter.h"

struct nlmsghdr;

namespace basalt::host {

inline constexpr char kFilterTable[] = "basalt";

struct FilterChain {
  std::string name;
  std::vector<std::string> rules;  // expressions of each, as attributes
};

// The base chain first.
std::vector<FilterChain> ChainsOf(const FilterPolicy& policy);

// Makes the table anew in one transaction; sequence numbers rise from `sequence`. The last message
// that is acknowledged has the number `*last`. Null: only removes it.
std::string FilterBatch(const FilterPolicy* policy, uint32_t sequence, uint32_t* last);

std::string GetFilterTable();
std::string DumpFilterRules();
// The digest that the table bears; nullopt when the message is about another one.
std::optional<std::string> ReadFilterTable(const nlmsghdr* message);
bool IsFilterRule(const nlmsghdr* message);

}  // namespace basalt::host
