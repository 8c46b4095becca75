// nodectl wipe: a signed order to empty a disk or a volume that the node does not use.
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/disk_verbs.h"
#include "client/commands/disk_words.h"
#include "client/commands/follow.h"
#include "client/commands/order.h"
#include "client/output/messages.h"

namespace basalt::client {
namespace {

// For whoever is asked; who may not read the node is told nothing, and the node judges anyway.
std::string WhatIsThere(Session& session, const WipeOptions& options,
                        const std::map<std::string, std::string>& selector) {
  absl::StatusOr<InventoryNode> node = session.Node(options.order.node);
  if (!node.ok()) return "";
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return "";
  absl::StatusOr<v1::ListReply> disks = (*client)->List("Disk");
  if (!disks.ok()) return "";
  std::vector<std::string> lines;
  for (const v1::Resource& resource : disks->resources()) {
    const v1::Disk& disk = resource.disk();
    if (options.volume.empty()) {
      if (MayMean(selector, disk)) lines.push_back(DiskLine(disk));
      continue;
    }
    for (const v1::DiskPartition& p : disk.partitions()) {
      if (p.name() == options.volume) {
        lines.push_back(absl::StrCat(p.path(), " (", p.holds(), ") on ", DiskLine(disk)));
      }
    }
  }
  return absl::StrJoin(lines, "\n  or ");
}

}  // namespace

absl::StatusOr<int> RunWipe(Session& session, const WipeOptions& options) {
  if (options.order.file.empty() && options.disk.empty() == options.volume.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "which disk or volume?",
                      "--disk serial=S64DNX0R, or --volume NAME");
  }
  Order order{.verb = "wipe",
              .arguments = {},
              .what = "Wipe a disk of",
              .consequence = "what is on it is lost",
              .done = "ordered",
              .command = "wipe"};
  if (options.order.file.empty()) {
    std::map<std::string, std::string> selector;
    if (!options.disk.empty()) {
      auto parsed = ParseSelector(options.disk);
      if (!parsed.ok()) return parsed.status();
      selector = *std::move(parsed);
      for (const auto& [name, value] : selector) order.arguments["disk." + name] = value;
    } else {
      order.arguments["volume"] = options.volume;
    }
    if (!options.method.empty()) order.arguments["method"] = options.method;
    const std::string there = WhatIsThere(session, options, selector);
    if (!there.empty()) session.io().err << "  " << Escape(there) << "\n";
  }
  SentOrder sent;
  absl::StatusOr<int> done = RunOrder(session, order, options.order, &sent);
  if (!done.ok() || !sent.sent || options.no_wait) return done;
  return FollowWipe(session, sent, options.timeout);
}

}  // namespace basalt::client
