// The generations of a node, for the completion scripts: of the copies that are kept here, which
// are what `rollback` takes, and of the node when it answers at once.
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "client/commands/commands.h"
#include "client/context/files.h"

namespace basalt::client {
namespace {

// Somebody waits with a finger on TAB.
constexpr absl::Duration kPatience = absl::Seconds(1);

std::set<int64_t> Kept(const std::string& directory) {
  std::set<int64_t> out;
  absl::StatusOr<std::vector<std::string>> files = ListFiles(directory);
  if (!files.ok()) return out;  // ignoring: nothing was signed here yet
  for (absl::string_view file : *files) {
    int64_t generation = 0;
    if (absl::ConsumeSuffix(&file, ".json") && absl::SimpleAtoi(file, &generation)) {
      out.insert(generation);
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<int> RunGenerations(Session& session, const NodeOptions& options) {
  session.io().in_terminal = false;  // no passphrase is asked for a TAB
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  std::set<int64_t> all = Kept(JoinPath((*context)->signed_directory, node->name));
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (client.ok()) {
    absl::StatusOr<v1::HistoryReply> history = (*client)->History(options.limit, kPatience);
    if (history.ok()) {  // ignoring: else what is here has to do
      for (const v1::Generation& one : history->generations()) all.insert(one.generation());
    }
  }
  // The newest first: it is what is gone back to.
  for (auto it = all.rbegin(); it != all.rend(); ++it) session.io().out << *it << "\n";
  return 0;
}

}  // namespace basalt::client
