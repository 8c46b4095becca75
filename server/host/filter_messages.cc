#include "server/host/filter_messages.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "machineconfig/base/digest.h"
#include "server/host/netlink_message.h"

namespace basalt::host {
namespace {

constexpr char kBaseChain[] = "inbound";
// After connections are tracked, before services are translated: a rule about a node port is about
// the port that was called.
constexpr int32_t kPriority = -150;
constexpr uint32_t kEstablishedOrRelated = 2 | 4;
constexpr size_t kNameSize = 16;  // of interfaces
constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;

// Where packets of pods come in by, with the CNIs that we know: they are K3s's to judge.
constexpr const char* kPodLinks[] = {"cni",  "flannel", "veth",    "kube-", "cali",
                                     "tunl", "vxlan.",  "cilium_", "lxc",   "nodelocaldns"};

enum class Verdict { kAccept, kDrop, kGoto, kJump };

// The expressions of one rule, in order.
class Rule {
 public:
  Rule() : message_(0, 0), start_(message_.size()) {}

  Rule& Meta(uint32_t key) {
    return Expression("meta", [key](NetlinkMessage& m) {
      m.Be32(NFTA_META_DREG, NFT_REG_1);
      m.Be32(NFTA_META_KEY, key);
    });
  }
  Rule& Compare(uint32_t operation, const std::string& bytes) {
    return Expression("cmp", [&](NetlinkMessage& m) {
      m.Be32(NFTA_CMP_SREG, NFT_REG_1);
      m.Be32(NFTA_CMP_OP, operation);
      nlattr* data = m.Begin(NFTA_CMP_DATA);
      m.Bytes(NFTA_DATA_VALUE, bytes);
      m.End(data);
    });
  }
  Rule& Payload(uint32_t base, uint32_t offset, uint32_t size) {
    return Expression("payload", [&](NetlinkMessage& m) {
      m.Be32(NFTA_PAYLOAD_DREG, NFT_REG_1);
      m.Be32(NFTA_PAYLOAD_BASE, base);
      m.Be32(NFTA_PAYLOAD_OFFSET, offset);
      m.Be32(NFTA_PAYLOAD_LEN, size);
    });
  }
  Rule& Mask(const std::string& mask) {
    return Expression("bitwise", [&](NetlinkMessage& m) {
      m.Be32(NFTA_BITWISE_SREG, NFT_REG_1);
      m.Be32(NFTA_BITWISE_DREG, NFT_REG_1);
      m.Be32(NFTA_BITWISE_LEN, static_cast<uint32_t>(mask.size()));
      for (const auto& [type, bytes] :
           {std::pair(NFTA_BITWISE_MASK, mask),
            std::pair(NFTA_BITWISE_XOR, std::string(mask.size(), '\0'))}) {
        nlattr* data = m.Begin(static_cast<uint16_t>(type));
        m.Bytes(NFTA_DATA_VALUE, bytes);
        m.End(data);
      }
    });
  }
  Rule& Family(uint8_t family) {
    return Meta(NFT_META_NFPROTO).Compare(NFT_CMP_EQ, std::string(1, static_cast<char>(family)));
  }
  Rule& Protocol(uint8_t protocol) {
    return Meta(NFT_META_L4PROTO).Compare(NFT_CMP_EQ, std::string(1, static_cast<char>(protocol)));
  }
  // All of the name with its end; without the end, how it begins.
  Rule& Interface(std::string name, bool whole) {
    if (whole) name.resize(kNameSize, '\0');
    return Meta(NFT_META_IIFNAME).Compare(NFT_CMP_EQ, name);
  }
  Rule& Known() {
    Expression("ct", [](NetlinkMessage& m) {
      m.Be32(NFTA_CT_DREG, NFT_REG_1);
      m.Be32(NFTA_CT_KEY, NFT_CT_STATE);
    });
    // The state is a number of this machine's byte order.
    const uint32_t mask = kEstablishedOrRelated;
    Mask(std::string(reinterpret_cast<const char*>(&mask), sizeof mask));
    return Compare(NFT_CMP_NEQ, std::string(4, '\0'));
  }
  Rule& ToType(uint32_t type) {
    Expression("fib", [](NetlinkMessage& m) {
      m.Be32(NFTA_FIB_DREG, NFT_REG_1);
      m.Be32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
      m.Be32(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
    });
    return Compare(NFT_CMP_EQ, std::string(reinterpret_cast<const char*>(&type), sizeof type));
  }
  Rule& From(const FilterNetwork& network) {
    const bool v6 = network.ip.size() == 16;
    Family(v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    if (network.prefix == 0) return *this;
    const uint32_t size = v6 ? 16 : 4;
    std::string mask(size, '\0');
    for (int bit = 0; bit < network.prefix; ++bit) {
      mask[static_cast<size_t>(bit / 8)] |= static_cast<char>(0x80 >> (bit % 8));
    }
    return Payload(NFT_PAYLOAD_NETWORK_HEADER, v6 ? 8 : 12, size)
        .Mask(mask)
        .Compare(NFT_CMP_EQ, network.ip);
  }
  Rule& Range(const std::string& first, const std::string& last) {
    if (first == last) return Compare(NFT_CMP_EQ, first);
    return Compare(NFT_CMP_GTE, first).Compare(NFT_CMP_LTE, last);
  }
  Rule& Port(uint16_t first, uint16_t last) {
    auto bytes = [](uint16_t port) {
      return std::string{static_cast<char>(port >> 8), static_cast<char>(port & 0xff)};
    };
    return Payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2).Range(bytes(first), bytes(last));
  }
  Rule& IcmpType(uint8_t first, uint8_t last) {
    return Payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1)
        .Range(std::string(1, static_cast<char>(first)), std::string(1, static_cast<char>(last)));
  }
  std::string Then(Verdict verdict, const std::string& chain = "") {
    Expression("immediate", [&](NetlinkMessage& m) {
      m.Be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      nlattr* data = m.Begin(NFTA_IMMEDIATE_DATA);
      nlattr* code = m.Begin(NFTA_DATA_VERDICT);
      const int value = verdict == Verdict::kAccept ? NF_ACCEPT
                        : verdict == Verdict::kDrop ? NF_DROP
                        : verdict == Verdict::kGoto ? NFT_GOTO
                                                    : NFT_JUMP;
      m.Be32(NFTA_VERDICT_CODE, static_cast<uint32_t>(value));
      if (!chain.empty()) m.Text(NFTA_VERDICT_CHAIN, chain);
      m.End(code);
      m.End(data);
    });
    return message_.Take().substr(start_);
  }

 private:
  Rule& Expression(const char* name, const std::function<void(NetlinkMessage&)>& fill) {
    nlattr* element = message_.Begin(NFTA_LIST_ELEM);
    message_.Text(NFTA_EXPR_NAME, name);
    nlattr* data = message_.Begin(NFTA_EXPR_DATA);
    fill(message_);
    message_.End(data);
    message_.End(element);
    return *this;
  }

  NetlinkMessage message_;
  size_t start_;
};

// What every node needs, whatever the config says.
std::vector<std::string> Always() {
  std::vector<std::string> out = {Rule().Known().Then(Verdict::kAccept),
                                  Rule().Interface("lo", true).Then(Verdict::kAccept)};
  for (const char* link : kPodLinks) {
    out.push_back(Rule().Interface(link, false).Then(Verdict::kAccept));
  }
  // To somebody else: pods and what hangs on a bridge of the node.
  out.push_back(Rule().ToType(RTN_UNICAST).Then(Verdict::kAccept));
  for (auto [first, last] : {std::pair(3, 3), std::pair(11, 12)}) {
    out.push_back(Rule()
                      .Family(NFPROTO_IPV4)
                      .Protocol(kIcmp)
                      .IcmpType(static_cast<uint8_t>(first), static_cast<uint8_t>(last))
                      .Then(Verdict::kAccept));
  }
  // Errors; who is in which group, who is where (MLD and neighbour discovery).
  for (auto [first, last] : {std::pair(1, 4), std::pair(130, 137), std::pair(143, 143)}) {
    out.push_back(Rule()
                      .Family(NFPROTO_IPV6)
                      .Protocol(kIcmp6)
                      .IcmpType(static_cast<uint8_t>(first), static_cast<uint8_t>(last))
                      .Then(Verdict::kAccept));
  }
  out.push_back(Rule().Family(NFPROTO_IPV4).Protocol(kUdp).Port(68, 68).Then(Verdict::kAccept));
  out.push_back(Rule().Family(NFPROTO_IPV6).Protocol(kUdp).Port(546, 546).Then(Verdict::kAccept));
  return out;
}

// One rule: a chain for each of its lists, and each element leads on to the next list, so that the
// table grows by the sum of them and not by their product.
void AddRule(const FilterRule& rule, int number, std::vector<FilterChain>& chains) {
  const Verdict verdict = rule.drop ? Verdict::kDrop : Verdict::kAccept;
  std::vector<std::vector<std::function<void(Rule&)>>> lists;
  auto add = [&lists](const auto& elements, auto match) {
    if (elements.empty()) return;
    lists.emplace_back();
    for (const auto& element : elements) {
      lists.back().push_back([element, match](Rule& out) { match(out, element); });
    }
  };
  add(rule.from, [](Rule& out, const FilterNetwork& n) { out.From(n); });
  add(rule.interfaces, [](Rule& out, const std::string& name) { out.Interface(name, true); });
  add(rule.ports, [](Rule& out, const FilterPorts& p) { out.Port(p.first, p.last); });
  auto name = [&](size_t list) { return absl::StrCat("rule", number, ".", list); };
  Rule first;
  if (rule.protocol != 0) first.Protocol(rule.protocol);
  chains[0].rules.push_back(lists.empty() ? first.Then(verdict)
                                          : first.Then(Verdict::kJump, name(0)));
  for (size_t i = 0; i < lists.size(); ++i) {
    FilterChain chain{.name = name(i)};
    for (const auto& match : lists[i]) {
      Rule out;
      match(out);
      const bool last = i + 1 == lists.size();
      chain.rules.push_back(last ? out.Then(verdict) : out.Then(Verdict::kGoto, name(i + 1)));
    }
    chains.push_back(std::move(chain));
  }
}

NetlinkMessage TableMessage(uint16_t type, uint16_t flags) {
  NetlinkMessage message(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags);
  message.Extra<nfgenmsg>()->nfgen_family = NFPROTO_INET;
  return message;
}

std::string BatchMessage(uint16_t type) {
  NetlinkMessage message(type, 0);
  message.Extra<nfgenmsg>()->res_id = htons(NFNL_SUBSYS_NFTABLES);
  return message.Take();
}

std::string DigestOf(const FilterPolicy& policy) {
  Sha256Stream hash;
  for (const FilterChain& chain : ChainsOf(policy)) {
    hash.Update(chain.name);
    for (const std::string& rule : chain.rules) hash.Update(rule);
  }
  return hash.Finish().Hex();
}

}  // namespace

std::vector<FilterChain> ChainsOf(const FilterPolicy& policy) {
  std::vector<FilterChain> chains = {{.name = kBaseChain, .rules = Always()}};
  int number = 0;
  for (bool drop : {true, false}) {
    for (const FilterRule& rule : policy.rules) {
      if (rule.drop == drop) AddRule(rule, number++, chains);
    }
  }
  chains[0].rules.push_back(Rule().Then(policy.drop ? Verdict::kDrop : Verdict::kAccept));
  return chains;
}

std::string MarkOf(const FilterPolicy& policy) {
  size_t rules = 0;
  for (const FilterChain& chain : ChainsOf(policy)) rules += chain.rules.size();
  return absl::StrCat(DigestOf(policy), ":", rules);
}

std::string FilterBatch(const FilterPolicy* policy, uint32_t sequence, uint32_t* last) {
  std::string batch;
  auto add = [&](std::string message, bool acknowledged = false) {
    auto* header = reinterpret_cast<nlmsghdr*>(message.data());
    header->nlmsg_seq = sequence;
    header->nlmsg_flags |= NLM_F_REQUEST | (acknowledged ? NLM_F_ACK : 0);
    if (acknowledged) *last = sequence;
    ++sequence;
    batch += message;
  };
  add(BatchMessage(NFNL_MSG_BATCH_BEGIN));
  // Made before it is removed, so that it may be there or not.
  NetlinkMessage there = TableMessage(NFT_MSG_NEWTABLE, NLM_F_CREATE);
  there.Text(NFTA_TABLE_NAME, kFilterTable);
  add(there.Take());
  NetlinkMessage gone = TableMessage(NFT_MSG_DELTABLE, 0);
  gone.Text(NFTA_TABLE_NAME, kFilterTable);
  add(gone.Take(), policy == nullptr);
  if (policy != nullptr) {
    NetlinkMessage table = TableMessage(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    table.Text(NFTA_TABLE_NAME, kFilterTable);
    table.Bytes(NFTA_TABLE_USERDATA, DigestOf(*policy));
    add(table.Take());
    const std::vector<FilterChain> chains = ChainsOf(*policy);
    for (const FilterChain& chain : chains) {
      NetlinkMessage message = TableMessage(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
      message.Text(NFTA_CHAIN_TABLE, kFilterTable);
      message.Text(NFTA_CHAIN_NAME, chain.name);
      if (chain.name == kBaseChain) {
        nlattr* hook = message.Begin(NFTA_CHAIN_HOOK);
        message.Be32(NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
        message.Be32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(kPriority));
        message.End(hook);
        message.Be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
        message.Text(NFTA_CHAIN_TYPE, "filter");
      }
      add(message.Take());
    }
    for (const FilterChain& chain : chains) {
      for (const std::string& rule : chain.rules) {
        NetlinkMessage message = TableMessage(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
        message.Text(NFTA_RULE_TABLE, kFilterTable);
        message.Text(NFTA_RULE_CHAIN, chain.name);
        message.Bytes(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, rule);
        // The verdict of the policy is the last of all, in the first chain.
        add(message.Take(), &chain == &chains.back() && &rule == &chain.rules.back());
      }
    }
  }
  add(BatchMessage(NFNL_MSG_BATCH_END));
  return batch;
}

std::string GetFilterTable() {
  NetlinkMessage message = TableMessage(NFT_MSG_GETTABLE, 0);
  message.Text(NFTA_TABLE_NAME, kFilterTable);
  return message.Take();
}

std::string DumpFilterRules() {
  NetlinkMessage message = TableMessage(NFT_MSG_GETRULE, NLM_F_DUMP);
  message.Text(NFTA_RULE_TABLE, kFilterTable);
  return message.Take();
}

std::optional<std::string> ReadFilterTable(const nlmsghdr* message) {
  if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE)) return std::nullopt;
  const auto attributes = Attributes<NFTA_TABLE_MAX + 1>::Of(message, sizeof(nfgenmsg));
  if (attributes.Text(NFTA_TABLE_NAME) != kFilterTable) return std::nullopt;
  return attributes.Bytes(NFTA_TABLE_USERDATA);
}

bool IsFilterRule(const nlmsghdr* message) {
  if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE)) return false;
  const auto attributes = Attributes<NFTA_RULE_MAX + 1>::Of(message, sizeof(nfgenmsg));
  return attributes.Text(NFTA_RULE_TABLE) == kFilterTable;
}

}  // namespace basalt::host
