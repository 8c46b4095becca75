// What noded reads back from its own disk after somebody or something else wrote there: journal,
// generations, trust chain. It starts or says why not, and what it understood it understands the
// same way the next time. The first byte chooses the file; journals and generations come raw, or
// with right frames and checksums around the bytes.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "machineconfig/base/digest.h"
#include "server/engine/floor_text.h"
#include "server/engine/generation_store.h"
#include "server/engine/journal.h"
#include "server/trust/trust_store.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt {
namespace {

using testing::FakeVfs;

std::string Raw(const Digest& digest, size_t count) {
  return std::string(reinterpret_cast<const char*>(digest.bytes.data()), count);
}

void ReadJournal(const std::string& bytes) {
  FakeVfs vfs;
  if (!vfs.MakeDirs("state").ok()) std::abort();
  vfs.Corrupt("state/journal", bytes);
  auto journal = engine::Journal::Open(vfs, "state/journal");
  if (!journal.ok()) return;
  engine::stored::Record record;
  record.set_unix(1795500000);
  record.mutable_floor()->set_epoch(1);
  record.mutable_floor()->set_generation(7);
  record.mutable_action_begun()->set_digest("order");
  if (!journal->Write(record, true).ok()) std::abort();
  if (!journal->CompactIfLarge().ok()) std::abort();
  auto again = engine::Journal::Open(vfs, "state/journal");
  if (!again.ok() || again->report().damaged_bytes != 0 || again->report().torn_bytes != 0 ||
      again->ledger().SerializeAsString() != journal->ledger().SerializeAsString()) {
    std::abort();
  }
}

// Records with right checksums; two bytes of length before each.
std::string Framed(absl::string_view bytes) {
  std::string out;
  while (bytes.size() >= 2) {
    size_t length = static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]);
    bytes.remove_prefix(2);
    absl::string_view payload = bytes.substr(0, length);
    bytes.remove_prefix(payload.size());
    absl::StrAppend(&out, "BJR1");
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(payload.size() >> (8 * i)));
    absl::StrAppend(&out, Raw(Sha256(payload), 8), payload);
  }
  return out;
}

void ReadGenerations(const std::string& name, const std::string& content) {
  FakeVfs vfs;
  engine::GenerationStore store(vfs, "state/generations");
  if (!store.Open().ok()) std::abort();
  vfs.Corrupt(absl::StrCat("state/generations/", name), content);
  for (const auto& found : store.Names()) {
    if (found.digest.size() != 64 || found.epoch < 0 || found.generation < 0) std::abort();
    store.Load(found).status().IgnoreError();
    store.Load(found.digest).status().IgnoreError();
  }
  store.Prune(1, {});
}

void ReadTrust(const std::string& text) {
  FakeVfs vfs;
  if (!vfs.MakeDirs("state/trust").ok()) std::abort();
  vfs.Corrupt("state/trust/chain.json", text);
  auto store = trust::TrustStore::Load(vfs, "");
  if (!store.ok()) return;
  auto again = trust::TrustStore::Load(vfs, "");
  if (!again.ok() || !again->warning().empty()) std::abort();
}

// Of a STATE that was there before, from a partition that others may write to.
void ReadFloor(const std::string& text) {
  engine::stored::Floor floor, again;
  absl::Time time, same;
  if (!engine::FloorFromText(text, &floor, &time)) return;
  if (!engine::FloorFromText(engine::FloorToText(floor, time), &again, &same) || time != same ||
      floor.SerializeAsString() != again.SerializeAsString()) {
    std::abort();
  }
}

}  // namespace
}  // namespace basalt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string framed = absl::StrCat("BGEN1\n", Raw(Sha256(rest), 32), rest);
  const size_t line = rest.find('\n');
  if (data[0] == 0xff) {
    ReadFloor(rest);
    return 0;
  }
  switch (data[0] % 5) {
    case 0:
      ReadJournal(rest);
      break;
    case 1:
      ReadJournal(Framed(rest));
      break;
    case 2:
      ReadGenerations(absl::StrCat("1-2-", std::string(64, 'a')), framed);
      break;
    case 3: {
      // A file name is one component; the directory holds no other.
      std::string name = rest.substr(0, line);
      if (name.empty() || name.size() > 255 ||
          name.find_first_of(std::string("/\0", 2)) != std::string::npos) {
        return 0;
      }
      ReadGenerations(name, rest);
      break;
    }
    default:
      ReadTrust(rest);
  }
  return 0;
}
