// The files and words that nodectl takes from a person: inventory, flat YAML, endpoints, --set.
// What it writes it reads back. The first byte chooses.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "basalt/v1/machine_config.pb.h"
#include "client/context/flat_yaml.h"
#include "client/context/inventory.h"
#include "machineconfig/merge/set_path.h"

namespace basalt::client {
namespace {

void Put(const std::string& text, const absl::StatusOr<Inventory>& inventory,
         const char* recipient) {
  const InventoryNode node{.name = "new-node",
                           .endpoint = "[::1]:6050",
                           .fingerprint = std::string(64, 'a'),
                           .recipient = recipient};
  auto put = PutNode(text, "fuzz", node);
  if (!put.ok()) return;
  auto again = Inventory::Parse(*put, "fuzz");
  if (!again.ok() || again->Find("new-node") == nullptr || !(*again->Find("new-node") == node)) {
    std::abort();
  }
  if (!inventory.ok()) return;
  for (const InventoryNode& old : inventory->nodes()) {
    const InventoryNode* kept = again->Find(old.name);
    if (kept == nullptr || (old.name != "new-node" && !(*kept == old))) std::abort();
  }
}

void Inventories(const std::string& text) {
  ReadFlatYaml(text, "fuzz", "nodes").status().IgnoreError();
  auto inventory = Inventory::Parse(text, "fuzz");
  for (const char* recipient :
       {"", "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"}) {
    Put(text, inventory, recipient);
  }
}

void Quotes(const std::string& value) {
  auto read = ReadFlatYaml(absl::StrCat("key: ", QuoteYaml(value), "\n"), "fuzz");
  // Text that no YAML can hold (bad UTF-8, control characters) is refused; never another text.
  if (read.ok() && (read->top.Find("key") == nullptr || *read->top.Find("key") != value)) {
    std::abort();
  }
}

void Endpoints(const std::string& text) {
  if (CheckEndpoint(text).ok() && HostOf(text).empty()) std::abort();
}

}  // namespace
}  // namespace basalt::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt::client;
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      Inventories(rest);
      break;
    case 1:
      Quotes(rest);
      break;
    case 2:
      Endpoints(rest);
      break;
    default: {
      basalt::v1::MachineConfig config;
      basalt::merge::SetPath(rest, config).IgnoreError();
    }
  }
  return 0;
}
