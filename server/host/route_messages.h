// rtnetlink(7) as bytes: what is asked of the kernel, and what it answers. Pure; libmnl does the
// alignment. What is read is bounds-checked although the kernel wrote it: it repeats what others
// gave it. Private to this directory and its tests.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/host/network.h"

struct nlmsghdr;

namespace basalt::host {

// Each a whole message; sequence numbers are the socket's business.
std::string DumpLinks();
std::string DumpBridgeVlans();
std::string DumpAddresses();
std::string DumpRoutes();
std::string DumpRules();

std::string MakeMessage(const NewLink& link);
std::string RemoveMessage(int link);
// In the order in which they are to be sent, each with what it does; accept_ra is no message.
std::vector<std::pair<std::string, std::string>> ChangeMessages(int link, const LinkChange& change);
std::string AddressMessage(const Address& address, bool add);
std::string RouteMessage(const Route& route, bool add);
std::string RuleMessage(const Rule& rule, bool add);
// `self`: the member is the bridge itself.
std::string BridgeVlanMessage(int member, int vlan, bool passes, bool self);

// Nullopt: not one of these, or cut off, or of a kind that nobody here asks for.
std::optional<Link> ReadLink(const nlmsghdr* message);
std::optional<std::pair<int, std::set<int>>> ReadBridgeVlans(const nlmsghdr* message);
std::optional<Address> ReadAddress(const nlmsghdr* message);
std::optional<Route> ReadRoute(const nlmsghdr* message);
std::optional<Rule> ReadRule(const nlmsghdr* message);

// "52:54:00:00:00:01" and its 6 bytes; "" when it is none.
std::string MacBytes(const std::string& text);
std::string MacText(const std::string& bytes);

}  // namespace basalt::host
