// A document's verification beside its floor, the bare Ed25519 check (aim: floor + 200 us).
#include <benchmark/benchmark.h>

#include <string>

#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {
namespace {

std::string Payload() { return std::string(10 << 10, 'x'); }

void RawEd25519Verify(benchmark::State& state) {
  const PrivateKey key = PrivateKey::GenerateEd25519();
  const std::string pae = Pae(PayloadType(v1::DOCUMENT_TYPE_MACHINE_CONFIG), Payload());
  const std::string signature = key.Sign(pae);
  for (auto _ : state) {
    if (!key.public_key().Verify(pae, signature)) state.SkipWithError("refused");
  }
}
BENCHMARK(RawEd25519Verify)->Unit(benchmark::kMicrosecond);

void VerifyDocument(benchmark::State& state) {
  v1::TrustPolicy policy;
  const PrivateKey key = PrivateKey::GenerateEd25519();
  for (int i = 0; i < state.range(0); ++i) {
    v1::TrustKey* entry = policy.add_keys();
    entry->set_name("key" + std::to_string(i));
    entry->set_public_key(
        (i + 1 == state.range(0) ? key : PrivateKey::GenerateEd25519()).public_key().Pem());
  }
  const v1::SignedDocument document = Sign(v1::DOCUMENT_TYPE_MACHINE_CONFIG, Payload(), {&key});
  for (auto _ : state) {
    if (!Verify(document, v1::DOCUMENT_TYPE_MACHINE_CONFIG, policy).ok()) {
      state.SkipWithError("refused");
    }
  }
}
BENCHMARK(VerifyDocument)->ArgName("keys")->Arg(1)->Arg(3)->Arg(16)->Unit(benchmark::kMicrosecond);

void ReadDsseJson(benchmark::State& state) {
  const std::string json = ToDsseJson(Sign(v1::DOCUMENT_TYPE_MACHINE_CONFIG, Payload(), {}));
  for (auto _ : state) benchmark::DoNotOptimize(FromDsseJson(json));
}
BENCHMARK(ReadDsseJson)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace basalt::sign

BENCHMARK_MAIN();
