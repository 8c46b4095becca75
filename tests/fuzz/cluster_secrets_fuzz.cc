// secrets.yaml of people, into which a token is written, plain and sealed. What is written reads
// back, twice is the same, and nothing else changed.
#include <cstdint>
#include <cstdlib>

#include "client/commands/cluster_secrets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt::client;
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto before = ReadClusterSecrets(text, "fuzz");
  for (const char* value : {"plain-token",
                            "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n"
                            "-----END AGE ENCRYPTED FILE-----\n"}) {
    auto edited = PutClusterSecret(text, "fuzz", "agent", value);
    if (!edited.ok()) continue;
    auto again = PutClusterSecret(*edited, "fuzz", "agent", value);
    if (!again.ok() || *again != *edited) std::abort();
    auto after = ReadClusterSecrets(*edited, "fuzz");
    if (!before.ok() || !after.ok() || (*after)[1].text != value) std::abort();
    if ((*after)[0].text != (*before)[0].text) std::abort();
  }
  return 0;
}
