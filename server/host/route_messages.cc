#include "server/host/route_messages.h"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstdio>

#include "absl/strings/str_format.h"
#include "server/host/netlink_message.h"

namespace basalt::host {
namespace {

constexpr uint16_t kMake = NLM_F_CREATE | NLM_F_EXCL;
constexpr size_t kMostVlans = 4094;

NetlinkMessage LinkMessage(uint16_t type, uint16_t flags, int index) {
  NetlinkMessage message(type, flags);
  message.Extra<ifinfomsg>()->ifi_index = index;
  return message;
}

template <typename T>
std::string Dump(uint16_t type) {
  NetlinkMessage message(type, NLM_F_DUMP);
  message.Extra<T>();  // of every family
  return message.Take();
}

uint8_t Family(const std::string& ip) { return ip.size() == 16 ? AF_INET6 : AF_INET; }
size_t SizeOf(uint8_t family) { return family == AF_INET6 ? 16 : 4; }
bool Ip(uint8_t family) { return family == AF_INET || family == AF_INET6; }

void PutBond(NetlinkMessage& message, const BondOptions& bond, bool is_new) {
  nlattr* info = message.Begin(IFLA_LINKINFO);
  message.Text(IFLA_INFO_KIND, "bond");
  nlattr* data = message.Begin(IFLA_INFO_DATA);
  if (is_new) message.U8(IFLA_BOND_MODE, static_cast<uint8_t>(bond.mode));
  message.U32(IFLA_BOND_MIIMON, static_cast<uint32_t>(bond.miimon));
  message.U8(IFLA_BOND_XMIT_HASH_POLICY, static_cast<uint8_t>(bond.xmit_hash));
  if (bond.mode == 4) message.U8(IFLA_BOND_AD_LACP_RATE, static_cast<uint8_t>(bond.lacp_fast));
  message.End(data);
  message.End(info);
}

// What is not said is not sent: a kernel without VLANs refuses even the word.
void PutBridge(NetlinkMessage& message, std::optional<bool> stp, std::optional<bool> filtering) {
  nlattr* info = message.Begin(IFLA_LINKINFO);
  message.Text(IFLA_INFO_KIND, "bridge");
  nlattr* data = message.Begin(IFLA_INFO_DATA);
  if (stp) message.U32(IFLA_BR_STP_STATE, *stp ? 1 : 0);
  if (filtering) message.U8(IFLA_BR_VLAN_FILTERING, *filtering ? 1 : 0);
  message.End(data);
  message.End(info);
}

}  // namespace

std::string MacBytes(const std::string& text) {
  unsigned byte[6];
  char rest = 0;
  if (sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", &byte[0], &byte[1], &byte[2], &byte[3],
             &byte[4], &byte[5], &rest) != 6) {
    return "";
  }
  std::string out;
  for (unsigned b : byte) out += static_cast<char>(b);
  return out;
}

std::string MacText(const std::string& bytes) {
  if (bytes.size() != 6) return "";
  std::string out;
  for (unsigned char c : bytes) absl::StrAppendFormat(&out, "%s%02x", out.empty() ? "" : ":", c);
  return out;
}

std::string DumpLinks() { return Dump<ifinfomsg>(RTM_GETLINK); }
std::string DumpAddresses() { return Dump<ifaddrmsg>(RTM_GETADDR); }
std::string DumpRoutes() { return Dump<rtmsg>(RTM_GETROUTE); }
std::string DumpRules() { return Dump<fib_rule_hdr>(RTM_GETRULE); }

std::string DumpBridgeVlans() {
  NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP);
  message.Extra<ifinfomsg>()->ifi_family = AF_BRIDGE;
  message.U32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN);
  return message.Take();
}

std::string MakeMessage(const NewLink& link) {
  NetlinkMessage message = LinkMessage(RTM_NEWLINK, kMake, 0);
  message.Text(IFLA_IFNAME, link.name);
  if (link.kind == "bond") {
    PutBond(message, link.bond, /*is_new=*/true);
  } else if (link.kind == "bridge") {
    PutBridge(message, link.bridge.stp,
              link.bridge.vlan_filtering ? std::optional(true) : std::nullopt);
  } else {
    if (link.below != 0) message.U32(IFLA_LINK, static_cast<uint32_t>(link.below));
    nlattr* info = message.Begin(IFLA_LINKINFO);
    message.Text(IFLA_INFO_KIND, link.kind);
    if (link.kind == "vlan") {
      nlattr* data = message.Begin(IFLA_INFO_DATA);
      message.U16(IFLA_VLAN_ID, static_cast<uint16_t>(link.vlan_id));
      message.End(data);
    }
    message.End(info);
  }
  return message.Take();
}

std::string RemoveMessage(int link) { return LinkMessage(RTM_DELLINK, 0, link).Take(); }

std::vector<std::pair<std::string, std::string>> ChangeMessages(int link,
                                                                const LinkChange& change) {
  std::vector<std::pair<std::string, std::string>> out;
  auto add = [&](const char* what, auto fill) {
    NetlinkMessage message = LinkMessage(RTM_NEWLINK, 0, link);
    fill(message);
    out.emplace_back(what, message.Take());
  };
  auto flags = [&](const char* what, unsigned value) {
    NetlinkMessage message(RTM_NEWLINK, 0);
    auto* info = message.Extra<ifinfomsg>();
    info->ifi_index = link;
    info->ifi_flags = value;
    info->ifi_change = IFF_UP;
    out.emplace_back(what, message.Take());
  };
  if (change.down.value_or(false)) flags("taking it down", 0);
  if (change.name) add("renaming it", [&](auto& m) { m.Text(IFLA_IFNAME, *change.name); });
  if (change.alias) add("marking it", [&](auto& m) { m.Text(IFLA_IFALIAS, *change.alias); });
  if (change.mac) {
    add("setting its MAC address", [&](auto& m) { m.Bytes(IFLA_ADDRESS, MacBytes(*change.mac)); });
  }
  if (change.master) {
    add("making it a member",
        [&](auto& m) { m.U32(IFLA_MASTER, static_cast<uint32_t>(*change.master)); });
  }
  if (change.mtu) {
    add("setting its MTU", [&](auto& m) { m.U32(IFLA_MTU, static_cast<uint32_t>(*change.mtu)); });
  }
  if (change.bond) {
    add("setting options of the bond", [&](auto& m) { PutBond(m, *change.bond, false); });
  }
  if (change.active) {
    add("setting the primary member", [&](auto& m) {
      nlattr* info = m.Begin(IFLA_LINKINFO);
      m.Text(IFLA_INFO_KIND, "bond");
      nlattr* data = m.Begin(IFLA_INFO_DATA);
      m.U32(IFLA_BOND_PRIMARY, static_cast<uint32_t>(*change.active));
      m.End(data);
      m.End(info);
    });
  }
  if (change.stp || change.vlan_filtering) {
    add("setting options of the bridge",
        [&](auto& m) { PutBridge(m, change.stp, change.vlan_filtering); });
  }
  if (change.up.value_or(false)) flags("taking it up", IFF_UP);
  return out;
}

std::string AddressMessage(const Address& address, bool add) {
  NetlinkMessage message(add ? RTM_NEWADDR : RTM_DELADDR,
                         static_cast<uint16_t>(add ? NLM_F_CREATE | NLM_F_REPLACE : 0));
  auto* info = message.Extra<ifaddrmsg>();
  info->ifa_family = Family(address.ip);
  info->ifa_prefixlen = static_cast<uint8_t>(address.prefix);
  info->ifa_index = static_cast<uint32_t>(address.link);
  message.Bytes(IFA_LOCAL, address.ip);
  message.Bytes(IFA_ADDRESS, address.ip);
  if (!add) return message.Take();
  if (address.ip.size() == 4 && address.prefix < 31) {
    uint32_t ip;
    memcpy(&ip, address.ip.data(), 4);
    const uint32_t broadcast = ip | __builtin_bswap32(0xffffffffu >> address.prefix);
    message.U32(IFA_BROADCAST, broadcast);
  }
  message.U8(IFA_PROTO, static_cast<uint8_t>(address.protocol));
  if (address.no_dad) message.U32(IFA_FLAGS, IFA_F_NODAD);
  return message.Take();
}

std::string RouteMessage(const Route& route, bool add) {
  NetlinkMessage message(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE : 0);
  auto* info = message.Extra<rtmsg>();
  info->rtm_family = Family(route.to);
  info->rtm_dst_len = static_cast<uint8_t>(route.prefix);
  info->rtm_table = static_cast<uint8_t>(route.table < 256 ? route.table : 0);
  info->rtm_protocol = static_cast<uint8_t>(route.protocol);
  const bool direct = route.via.empty() && !route.v6();
  info->rtm_scope = static_cast<uint8_t>(direct ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  info->rtm_type = RTN_UNICAST;
  if (route.on_link) info->rtm_flags = RTNH_F_ONLINK;
  if (route.prefix > 0) message.Bytes(RTA_DST, route.to);
  if (!route.via.empty() && route.via.size() == route.to.size())
    message.Bytes(RTA_GATEWAY, route.via);
  message.U32(RTA_OIF, static_cast<uint32_t>(route.link));
  message.U32(RTA_TABLE, route.table);
  if (route.metric != 0) message.U32(RTA_PRIORITY, route.metric);
  if (!route.source.empty()) message.Bytes(RTA_PREFSRC, route.source);
  return message.Take();
}

std::string RuleMessage(const Rule& rule, bool add) {
  NetlinkMessage message(add ? RTM_NEWRULE : RTM_DELRULE, add ? kMake : 0);
  auto* header = message.Extra<fib_rule_hdr>();
  header->family = rule.v6 ? AF_INET6 : AF_INET;
  header->src_len = static_cast<uint8_t>(rule.from_prefix);
  header->dst_len = static_cast<uint8_t>(rule.to_prefix);
  header->table = static_cast<uint8_t>(rule.table < 256 ? rule.table : 0);
  header->action = FR_ACT_TO_TBL;
  if (!rule.from.empty() && rule.from_prefix > 0) message.Bytes(FRA_SRC, rule.from);
  if (!rule.to.empty() && rule.to_prefix > 0) message.Bytes(FRA_DST, rule.to);
  if (!rule.link.empty()) message.Text(FRA_IIFNAME, rule.link);
  message.U32(FRA_TABLE, rule.table);
  message.U32(FRA_PRIORITY, rule.priority);
  message.U8(FRA_PROTOCOL, static_cast<uint8_t>(rule.protocol));
  return message.Take();
}

std::string BridgeVlanMessage(int member, int vlan, bool passes, bool self) {
  NetlinkMessage message(passes ? RTM_SETLINK : RTM_DELLINK, 0);
  auto* info = message.Extra<ifinfomsg>();
  info->ifi_family = AF_BRIDGE;
  info->ifi_index = member;
  nlattr* spec = message.Begin(IFLA_AF_SPEC);
  if (self) message.U16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
  const bridge_vlan_info entry = {.flags = 0, .vid = static_cast<uint16_t>(vlan)};
  message.Put(IFLA_BRIDGE_VLAN_INFO, &entry, sizeof entry);
  message.End(spec);
  return message.Take();
}

std::optional<Link> ReadLink(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK ||
      mnl_nlmsg_get_payload_len(message) < sizeof(ifinfomsg)) {
    return std::nullopt;
  }
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  const auto attributes = Attributes<IFLA_MAX + 1>::Of(message, sizeof *info);
  Link link;
  link.index = info->ifi_index;
  link.name = attributes.Text(IFLA_IFNAME);
  if (link.name.empty() || link.index <= 0 || info->ifi_family == AF_BRIDGE) return std::nullopt;
  link.mac = MacText(attributes.Bytes(IFLA_ADDRESS));
  link.permanent_mac = MacText(attributes.Bytes(IFLA_PERM_ADDRESS));
  link.alias = attributes.Text(IFLA_IFALIAS);
  link.mtu = attributes.Number<uint32_t>(IFLA_MTU);
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.carrier = attributes.Number<uint8_t>(IFLA_CARRIER) != 0;
  link.ethernet = info->ifi_type == ARPHRD_ETHER;
  link.master = static_cast<int>(attributes.Number<uint32_t>(IFLA_MASTER));
  const auto kind = attributes.NestedOf<IFLA_INFO_MAX + 1>(IFLA_LINKINFO);
  link.kind = kind.Text(IFLA_INFO_KIND);
  if (link.kind == "vlan") {
    link.below = static_cast<int>(attributes.Number<uint32_t>(IFLA_LINK));
    link.vlan_id = kind.NestedOf<IFLA_VLAN_MAX + 1>(IFLA_INFO_DATA).Number<uint16_t>(IFLA_VLAN_ID);
  } else if (link.kind == "bond") {
    const auto data = kind.NestedOf<IFLA_BOND_MAX + 1>(IFLA_INFO_DATA);
    link.bond = {.mode = data.Number<uint8_t>(IFLA_BOND_MODE),
                 .miimon = static_cast<int>(data.Number<uint32_t>(IFLA_BOND_MIIMON)),
                 .lacp_fast = data.Number<uint8_t>(IFLA_BOND_AD_LACP_RATE),
                 .xmit_hash = data.Number<uint8_t>(IFLA_BOND_XMIT_HASH_POLICY)};
    link.active = static_cast<int>(data.Number<uint32_t>(IFLA_BOND_PRIMARY));
  } else if (link.kind == "bridge") {
    const auto data = kind.NestedOf<IFLA_BR_MAX + 1>(IFLA_INFO_DATA);
    link.bridge = {.stp = data.Number<uint32_t>(IFLA_BR_STP_STATE) != 0,
                   .vlan_filtering = data.Number<uint8_t>(IFLA_BR_VLAN_FILTERING) != 0};
  }
  return link;
}

std::optional<std::pair<int, std::set<int>>> ReadBridgeVlans(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK ||
      mnl_nlmsg_get_payload_len(message) < sizeof(ifinfomsg)) {
    return std::nullopt;
  }
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  if (info->ifi_family != AF_BRIDGE) return std::nullopt;
  const auto attributes = Attributes<IFLA_MAX + 1>::Of(message, sizeof *info);
  std::pair<int, std::set<int>> out{info->ifi_index, {}};
  const nlattr* spec = attributes.Get(IFLA_AF_SPEC);
  if (spec == nullptr) return out;
  int begin = 0;  // of a range
  int left = mnl_attr_get_payload_len(spec);
  for (auto* each = static_cast<const nlattr*>(mnl_attr_get_payload(spec)); mnl_attr_ok(each, left);
       left -= MNL_ALIGN(each->nla_len), each = mnl_attr_next(each)) {
    if (mnl_attr_get_type(each) != IFLA_BRIDGE_VLAN_INFO ||
        mnl_attr_get_payload_len(each) < sizeof(bridge_vlan_info)) {
      continue;
    }
    bridge_vlan_info entry;
    memcpy(&entry, mnl_attr_get_payload(each), sizeof entry);
    if (entry.vid > kMostVlans) continue;
    if ((entry.flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) != 0) begin = entry.vid;
    const int first =
        (entry.flags & BRIDGE_VLAN_INFO_RANGE_END) != 0 && begin > 0 ? begin : entry.vid;
    for (int vlan = first; vlan <= entry.vid; ++vlan) {
      // The one of untagged packets belongs to the bridge, not to the config.
      if ((entry.flags & BRIDGE_VLAN_INFO_PVID) == 0) out.second.insert(vlan);
    }
  }
  return out;
}

std::optional<Address> ReadAddress(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWADDR ||
      mnl_nlmsg_get_payload_len(message) < sizeof(ifaddrmsg)) {
    return std::nullopt;
  }
  const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  if (!Ip(info->ifa_family)) return std::nullopt;
  const auto attributes = Attributes<IFA_MAX + 1>::Of(message, sizeof *info);
  Address address;
  address.link = static_cast<int>(info->ifa_index);
  // Of a point-to-point link the other end is IFA_ADDRESS.
  address.ip = attributes.Bytes(attributes.Has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS);
  address.prefix = info->ifa_prefixlen;
  if (address.ip.size() != SizeOf(info->ifa_family) ||
      address.prefix > static_cast<int>(address.ip.size() * 8)) {
    return std::nullopt;
  }
  address.protocol = attributes.Number<uint8_t>(IFA_PROTO);
  const uint32_t flags = attributes.Number<uint32_t>(IFA_FLAGS, info->ifa_flags);
  address.permanent = (flags & IFA_F_PERMANENT) != 0;
  return address;
}

std::optional<Route> ReadRoute(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof(rtmsg)) {
    return std::nullopt;
  }
  const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  if (!Ip(info->rtm_family) || info->rtm_type != RTN_UNICAST ||
      (info->rtm_flags & RTM_F_CLONED) != 0) {
    return std::nullopt;
  }
  const auto attributes = Attributes<RTA_MAX + 1>::Of(message, sizeof *info);
  const size_t size = SizeOf(info->rtm_family);
  Route route;
  route.to = attributes.Has(RTA_DST) ? attributes.Bytes(RTA_DST) : std::string(size, '\0');
  route.prefix = info->rtm_dst_len;
  route.via = attributes.Bytes(RTA_GATEWAY);
  route.link = static_cast<int>(attributes.Number<uint32_t>(RTA_OIF));
  route.metric = attributes.Number<uint32_t>(RTA_PRIORITY);
  route.table = attributes.Number<uint32_t>(RTA_TABLE, info->rtm_table);
  route.source = attributes.Bytes(RTA_PREFSRC);
  route.on_link = (info->rtm_flags & RTNH_F_ONLINK) != 0;
  route.protocol = info->rtm_protocol;
  // Without a link it has several ways: nobody here makes such.
  if (route.to.size() != size || route.prefix > static_cast<int>(size * 8) || route.link <= 0 ||
      (!route.via.empty() && route.via.size() != size) ||
      (!route.source.empty() && route.source.size() != size)) {
    return std::nullopt;
  }
  return route;
}

std::optional<Rule> ReadRule(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWRULE ||
      mnl_nlmsg_get_payload_len(message) < sizeof(fib_rule_hdr)) {
    return std::nullopt;
  }
  const auto* header = static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(message));
  if (!Ip(header->family) || header->action != FR_ACT_TO_TBL) return std::nullopt;
  const auto attributes = Attributes<FRA_MAX + 1>::Of(message, sizeof *header);
  const size_t size = SizeOf(header->family);
  Rule rule;
  rule.v6 = header->family == AF_INET6;
  rule.from = attributes.Bytes(FRA_SRC);
  rule.to = attributes.Bytes(FRA_DST);
  rule.from_prefix = header->src_len;
  rule.to_prefix = header->dst_len;
  rule.link = attributes.Text(FRA_IIFNAME);
  rule.table = attributes.Number<uint32_t>(FRA_TABLE, header->table);
  rule.priority = attributes.Number<uint32_t>(FRA_PRIORITY);
  rule.protocol = attributes.Number<uint8_t>(FRA_PROTOCOL);
  for (const auto& [ip, prefix] :
       {std::pair(&rule.from, rule.from_prefix), std::pair(&rule.to, rule.to_prefix)}) {
    if (!ip->empty() && (ip->size() != size || prefix > static_cast<int>(size * 8)))
      return std::nullopt;
  }
  return rule;
}

}  // namespace basalt::host
