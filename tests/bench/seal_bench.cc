// Sealing a field beside its floor, the X25519 operations that age prescribes: two to seal to a
// recipient, one to open. And the payload beside bare ChaCha20-Poly1305.
#include <benchmark/benchmark.h>
#include <openssl/rand.h>

#include "machineconfig/seal/age.h"
#include "machineconfig/seal/field.h"
#include "machineconfig/seal/primitives.h"

namespace basalt::seal {
namespace {

bool FromOpenSsl(uint8_t* out, size_t size) { return RAND_bytes(out, static_cast<int>(size)) == 1; }

const FieldContext kField{"home", "n1", "k3s.token"};

std::vector<Identity> One() {
  std::vector<Identity> out;
  out.push_back(Identity::Generate(FromOpenSsl).value());
  return out;
}

void RawX25519(benchmark::State& state) {
  const std::vector<Identity> me = One(), other = One();
  for (auto _ : state) {
    benchmark::DoNotOptimize(X25519(me[0].raw(), other[0].recipient().raw()));
  }
}
BENCHMARK(RawX25519)->Unit(benchmark::kMicrosecond);

void SealToken(benchmark::State& state) {
  const std::vector<Recipient> to(static_cast<size_t>(state.range(0)), One()[0].recipient());
  for (auto _ : state) {
    if (!SealField(kField, std::string(64, 't'), to, FromOpenSsl).ok()) state.SkipWithError("no");
  }
}
BENCHMARK(SealToken)->ArgName("recipients")->Arg(1)->Arg(3)->Unit(benchmark::kMicrosecond);

void OpenToken(benchmark::State& state) {
  const std::vector<Identity> me = One();
  const std::string text =
      SealField(kField, std::string(64, 't'), {me[0].recipient()}, FromOpenSsl).value();
  for (auto _ : state) {
    if (!OpenField(kField, text, me).ok()) state.SkipWithError("refused");
  }
}
BENCHMARK(OpenToken)->Unit(benchmark::kMicrosecond);

// What signing does with each secret of a source.
void ReSealToken(benchmark::State& state) {
  const std::vector<Identity> owner = One(), node = One();
  const std::string text =
      SealField(kField, std::string(64, 't'), {owner[0].recipient()}, FromOpenSsl).value();
  for (auto _ : state) {
    auto value = OpenField(kField, text, owner);
    if (!SealField(kField, value->view(), {node[0].recipient()}, FromOpenSsl).ok()) {
      state.SkipWithError("refused");
    }
  }
}
BENCHMARK(ReSealToken)->Unit(benchmark::kMicrosecond);

void RawChaCha20Poly1305(benchmark::State& state) {
  const SecretBytes key(std::string(kKeySize, 'k'));
  const std::string text(64 << 10, 'x');
  for (auto _ : state) {
    std::string out;
    AeadSeal(key, Nonce{}, text, out);
    benchmark::DoNotOptimize(out);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(RawChaCha20Poly1305)->Unit(benchmark::kMicrosecond);

void Decrypt256KiB(benchmark::State& state) {
  const std::vector<Identity> me = One();
  const std::string text(256 << 10, 'x');
  const std::string file = Encrypt(text, {me[0].recipient()}, FromOpenSsl).value();
  for (auto _ : state) {
    if (!Decrypt(file, me).ok()) state.SkipWithError("refused");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(Decrypt256KiB)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace basalt::seal

BENCHMARK_MAIN();
