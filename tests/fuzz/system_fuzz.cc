// What the system controller reads that others had a hand in: time servers of a lease, what of a
// node is shown on its screen, its own files of first values, the heads of kernel modules. The
// first byte chooses.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_split.h"
#include "machineconfig/format/net.h"
#include "server/controllers/system/chrony.h"
#include "server/controllers/system/console_page.h"
#include "server/controllers/system/settings.h"
#include "server/host/kernel.h"
#include "server/host/screen.h"

namespace {

namespace system = basalt::system;

void Must(bool holds) {
  if (!holds) std::abort();
}

// Nothing of a lease becomes a directive of chronyd's config but an address.
void Lease(absl::string_view text) {
  const std::vector<std::string> servers = system::LeasedServers(text);
  for (const std::string& server : servers) Must(basalt::format::ParseIp(server).ok());
  const std::string config =
      system::RenderChrony(system::SourcesOf({}, servers), "/run/chrony", "/ca");
  size_t lines = 0;
  for (absl::string_view line : absl::StrSplit(config, '\n'))
    lines += line.substr(0, 7) == "server ";
  Must(lines >= 1 && lines <= 8);
}

void Screen(absl::string_view text) {
  system::ConsoleFacts facts;
  const std::string message(text);
  facts.machine.set_name(message);
  facts.machine.set_machine_id(message);
  facts.serial = message;
  facts.addresses = {message, message};
  for (int i = 0; i < 6; ++i) {
    basalt::v1::Condition& condition = *facts.machine.add_conditions();
    condition.set_type("X");
    condition.set_message(message);
  }
  facts.config.set_last_error(message);
  const std::string page = system::RenderPage(facts);
  int lines = 0;
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    Must(line.size() <= 80);
    for (const char c : line) Must(c >= 0x20 && c < 0x7F);
    ++lines;
  }
  Must(lines <= 28);
  Must(basalt::host::Plain(basalt::host::Plain(text)) == basalt::host::Plain(text));
  const std::string console = basalt::host::SerialConsole(text);
  Must(console.empty() || console.substr(0, 5) == "/dev/");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      Lease(text);
      break;
    case 1:
      Screen(text);
      break;
    case 2: {
      const system::Settings first = system::FromText(text);
      Must(system::FromText(system::ToText(first)) == first);
      break;
    }
    default:
      for (const std::string& name : basalt::host::ModuleDependencies(text)) Must(!name.empty());
  }
  return 0;
}
