// Sealing a field beside its floor, the X25519 operations that age prescribes: two to seal to a
// recipient, one to open. And the payload beside bare ChaCha20-Poly1305.
#include <benchmark/benchmark.h>
#include <openssl/rand.h>

#include "machineconfig/seal/age.h"
#include "machineconfig/seal/config.h"
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

// What `nodectl sign` does with a source of so many secrets, for a node and two owners, beside the
// X25519 operations that it cannot do without: one to open, two for each recipient.
void ReSealConfig(benchmark::State& state) {
  const std::vector<Identity> owner = One(), other = One(), node = One();
  v1::MachineConfig source;
  source.mutable_metadata()->set_cluster("home");
  source.mutable_metadata()->set_name("n1");
  for (int i = 0; i < state.range(0); ++i) {
    v1::RegistryConfig& registry = *source.mutable_k3s()->mutable_registries()->add_configs();
    registry.set_name("r" + std::to_string(i) + ".example.org");
    registry.mutable_password()->set_plain(std::string(32, 'p'));
  }
  if (!SealSecrets(source, {owner[0].recipient()}, FromOpenSsl).ok()) state.SkipWithError("no");
  for (auto _ : state) {
    v1::MachineConfig config = source;
    if (!OpenSecrets(config, owner).empty()) state.SkipWithError("refused");
    const std::vector<Recipient> to = {node[0].recipient(), owner[0].recipient(),
                                       other[0].recipient()};
    if (!SealSecrets(config, to, FromOpenSsl).ok()) state.SkipWithError("refused");
  }
  state.counters["secrets/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(0)), benchmark::Counter::kIsRate);
}
BENCHMARK(ReSealConfig)
    ->ArgName("secrets")
    ->Arg(3)
    ->Arg(100)
    ->Arg(1000)
    ->Unit(benchmark::kMillisecond);

// What a node does with it at each start.
void OpenConfig(benchmark::State& state) {
  const std::vector<Identity> owner = One(), node = One();
  v1::MachineConfig config;
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("n1");
  config.mutable_k3s()->mutable_token()->set_plain(std::string(64, 't'));
  config.mutable_k3s()->mutable_agent_token()->set_plain(std::string(64, 'a'));
  config.mutable_k3s()->mutable_node_password()->set_plain(std::string(32, 'p'));
  if (!SealSecrets(config, {node[0].recipient(), owner[0].recipient()}, FromOpenSsl).ok()) {
    state.SkipWithError("no");
  }
  for (auto _ : state) {
    v1::MachineConfig opened = config;
    if (!OpenSecrets(opened, node).empty()) state.SkipWithError("refused");
  }
}
BENCHMARK(OpenConfig)->Unit(benchmark::kMillisecond);

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
