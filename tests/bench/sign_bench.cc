// What a signature costs beside its floors: a document's verification in each scheme beside the
// bare check of the key (aim: floor + 200 us); part of a set of 5,000 beside the same document
// alone (aim: + 100 us); and signing 5,000 files with one signature beside hashing the same bytes
// (aim: 3 times that) and beside a signature each.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/ssh_wire.h"
#include "machineconfig/sign/sshsig.h"

namespace basalt::sign {
namespace {

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr size_t kFleet = 5000;

std::string Payload(size_t i = 0) { return std::to_string(i) + std::string(10 << 10, 'x'); }

const PrivateKey& Owner() {
  static const auto* const key = new PrivateKey(PrivateKey::GenerateEd25519());
  return *key;
}

v1::TrustPolicy PolicyOf(const std::string& public_key) {
  v1::TrustPolicy policy;
  policy.set_cluster("home");
  v1::TrustKey* entry = policy.add_keys();
  entry->set_name("owner");
  entry->set_public_key(public_key);
  return policy;
}

void Check(benchmark::State& state, const v1::SignedDocument& document,
           const v1::TrustPolicy& policy) {
  for (auto _ : state) {
    if (!Verify(document, kConfig, policy).ok()) state.SkipWithError("refused");
  }
  state.counters["signature_bytes"] = static_cast<double>(
      document.signatures(0).signature().size() + document.set_proof().ByteSizeLong());
}

void RawEd25519Verify(benchmark::State& state) {
  const std::string pae = Pae(PayloadType(kConfig), Payload());
  const std::string signature = Owner().Sign(pae);
  for (auto _ : state) {
    if (!Owner().public_key().Verify(pae, signature)) state.SkipWithError("refused");
  }
}
BENCHMARK(RawEd25519Verify)->Unit(benchmark::kMicrosecond);

void VerifyDocument(benchmark::State& state) {
  v1::TrustPolicy policy;
  for (int i = 0; i < state.range(0); ++i) {
    v1::TrustKey* entry = policy.add_keys();
    entry->set_name("key" + std::to_string(i));
    entry->set_public_key(
        (i + 1 == state.range(0) ? Owner() : PrivateKey::GenerateEd25519()).public_key().Pem());
  }
  Check(state, Sign(kConfig, Payload(), {&Owner()}), policy);
}
BENCHMARK(VerifyDocument)->ArgName("keys")->Arg(1)->Arg(3)->Arg(16)->Unit(benchmark::kMicrosecond);

v1::SignedDocument With(v1::SignatureScheme scheme, const std::string& bytes) {
  v1::SignedDocument document = Sign(kConfig, Payload(), {});
  v1::Signature* made = document.add_signatures();
  made->set_scheme(scheme);
  made->set_signature(bytes);
  return document;
}

void VerifySsh(benchmark::State& state) {
  Check(state, With(v1::SIGNATURE_SCHEME_SSHSIG, MakeSshSignature(Owner(), kConfig, Payload())),
        PolicyOf(Owner().public_key().Pem()));
}
BENCHMARK(VerifySsh)->Unit(benchmark::kMicrosecond);

void VerifySecurityKey(benchmark::State& state) {
  auto bytes = [](const Digest& digest) {
    return std::string(digest.bytes.begin(), digest.bytes.end());
  };
  const PublicKey device = Owner().public_key().OnSecurityKey("ssh:");
  std::string touched(1, kUserPresent);
  PutUint32(&touched, 7);
  const std::string signature = Owner().Sign(bytes(Sha256("ssh:")) + touched +
                                             bytes(Sha256(SshToBeSigned(kConfig, Payload()))));
  std::string answer;
  PutString(&answer, "sk-ssh-ed25519@openssh.com");
  PutString(&answer, signature);
  Check(state,
        With(v1::SIGNATURE_SCHEME_SSHSIG,
             SshSignatureOf(SshKeyBlob(device.algorithm(), device.raw(), "ssh:"), kConfig,
                            answer + touched)),
        PolicyOf(PublicKeyText(device)));
}
BENCHMARK(VerifySecurityKey)->Unit(benchmark::kMicrosecond);

void VerifyMinisign(benchmark::State& state) {
  const std::string signature = Owner().Sign(MinisignHash(Payload()));
  const std::string comment = MinisignComment(kConfig);
  Check(state,
        With(v1::SIGNATURE_SCHEME_MINISIGN,
             "untrusted comment: x\n" + Base64Encode("ED12345678" + signature) +
                 "\ntrusted comment: " + comment + "\n" +
                 Base64Encode(Owner().Sign(signature + comment)) + "\n"),
        PolicyOf(Owner().public_key().Pem()));
}
BENCHMARK(VerifyMinisign)->Unit(benchmark::kMicrosecond);

const std::vector<std::string>& Fleet() {
  static const auto* const payloads = [] {
    auto* made = new std::vector<std::string>();
    for (size_t i = 0; i < kFleet; ++i) made->push_back(Payload(i));
    return made;
  }();
  return *payloads;
}

NewSet SignedFleet() {
  NewSet made = MakeSet("home", {Fleet().begin(), Fleet().end()});
  AddSignature(made.set, Owner());
  return made;
}

void VerifyPartOfFiveThousand(benchmark::State& state) {
  const NewSet made = SignedFleet();
  Check(state, MemberOf(made.set, made.proofs[4321], Fleet()[4321]),
        PolicyOf(Owner().public_key().Pem()));
}
BENCHMARK(VerifyPartOfFiveThousand)->Unit(benchmark::kMicrosecond);

void HashFiveThousand(benchmark::State& state) {
  for (auto _ : state) {
    for (const std::string& payload : Fleet()) benchmark::DoNotOptimize(Sha256(payload));
  }
}
BENCHMARK(HashFiveThousand)->Unit(benchmark::kMillisecond);

void SignFiveThousandAtOnce(benchmark::State& state) {
  for (auto _ : state) {
    const NewSet made = SignedFleet();
    for (size_t i = 0; i < kFleet; ++i) {
      benchmark::DoNotOptimize(MemberOf(made.set, made.proofs[i], Fleet()[i]));
    }
  }
  state.counters["signatures"] = 1;
}
BENCHMARK(SignFiveThousandAtOnce)->Unit(benchmark::kMillisecond);

void SignFiveThousandOneByOne(benchmark::State& state) {
  for (auto _ : state) {
    for (const std::string& payload : Fleet()) {
      benchmark::DoNotOptimize(Sign(kConfig, payload, {&Owner()}));
    }
  }
  state.counters["signatures"] = kFleet;
}
BENCHMARK(SignFiveThousandOneByOne)->Unit(benchmark::kMillisecond);

void ReadDsseJson(benchmark::State& state) {
  const std::string json = ToDsseJson(Sign(kConfig, Payload(), {}));
  for (auto _ : state) benchmark::DoNotOptimize(FromDsseJson(json));
}
BENCHMARK(ReadDsseJson)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace basalt::sign

BENCHMARK_MAIN();
