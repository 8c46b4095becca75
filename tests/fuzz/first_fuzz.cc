// What a node reads before it has a config, and anybody may have written: user-data in its
// wrappings, file systems of media, tables of partitions, custom data, the answers of metadata
// services. The first byte chooses. Nothing is believed here: what comes out is a document whose
// signatures nobody has looked at yet, or nothing.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "machineconfig/medium/fat.h"
#include "machineconfig/medium/iso9660.h"
#include "machineconfig/medium/partitions.h"
#include "machineconfig/sign/document.h"
#include "server/first/conversation.h"
#include "server/first/user_data.h"
#include "server/first/volumes.h"

namespace {

namespace first = basalt::first;
namespace medium = basalt::medium;

void Must(bool holds) {
  if (!holds) std::abort();
}

void Medium(const std::string& text) {
  medium::MemoryBytes bytes(text);
  for (const first::Found& found : first::OnMedium(bytes, /*azure=*/true)) {
    Must(found.bytes.size() <= first::kMostBytes);
  }
  (void)first::OnBootPartition(bytes);
  const first::MediumFacts facts = first::FactsOf(bytes);
  for (char c : facts.id) Must(c >= 0x20 && c < 0x7f);
  if (auto table = medium::ReadPartitions(bytes); table.ok()) {
    for (const medium::Partition& p : *table) Must(p.start + p.size <= text.size());
  }
}

// What is written into a damaged FAT stays within it, and reads back.
void Written(const std::string& text) {
  medium::MemoryBytes bytes(text);
  auto fat = medium::Fat::Open(bytes);
  if (!fat.ok()) return;
  (void)fat->WriteFile("basalt/config.json", "0123456789");
  Must(bytes.size() == text.size());
}

void Talk(const std::string& text) {
  for (first::SourceKind kind : {first::SourceKind::kAws, first::SourceKind::kOpenStack}) {
    first::Conversation conversation({.kind = kind});
    for (int i = 0; conversation.question(); ++i) {
      Must(i < 4);
      for (const std::string& header : conversation.question()->asking.headers) {
        Must(header.find_first_of("\r\n") == std::string::npos);
      }
      conversation.Take({.status = i == 0 ? 200 : 404, .body = text});
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      if (auto document = first::ReadUserData(text); document.ok()) {
        Must(basalt::sign::FromDsseJson(basalt::sign::ToDsseJson(*document)).ok());
      }
      break;
    case 1:
      Medium(text);
      break;
    case 2:
      Written(text);
      break;
    case 3:
      (void)first::CustomDataOf(text);
      break;
    case 4:
      Talk(text);
  }
  return 0;
}
