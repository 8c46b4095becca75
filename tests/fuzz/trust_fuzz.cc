// Trust from outside: policies, chains, signed documents, orders and configs up to the verdict. The
// first byte chooses how the rest is read. What is at stake is said by the aborts: nobody without
// the node's own keys is ever believed, and what root signs keeps the rules of a chain.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/next_policy.h"
#include "machineconfig/sign/policy.h"
#include "machineconfig/validate/validate.h"

namespace basalt::sign {
namespace {

// Known to the corpus, so that its policies can name it as their root.
const PrivateKey& Root() {
  static const PrivateKey* const key = new PrivateKey(
      PrivateKey::FromPem("-----BEGIN PRIVATE KEY-----\n"
                          "MC4CAQAwBQYDK2VwBCIEIHN5ZpxHaAAPBMrmrpEXHPf4j6vVnKiwdXE5ghPdVLKL\n"
                          "-----END PRIVATE KEY-----\n")
          .value());
  return *key;
}

std::string PolicyText(const PrivateKey& root) {
  return absl::StrCat(
      "apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: home\nepoch: 2\nversion: 1\nkeys:\n"
      "- name: root\n  publicKey: |\n    ",
      absl::StrReplaceAll(root.public_key().Pem(), {{"\n", "\n    "}}), "\nroot: {keys: [root]}\n");
}

VerifiedChain ChainOf(const PrivateKey& root) {
  v1::TrustChain chain;
  *chain.add_policies() = Sign(v1::DOCUMENT_TYPE_TRUST_POLICY, PolicyText(root), {&root});
  return VerifyChain(chain).value();
}

// Whose key no input knows.
const VerifiedChain& Closed() {
  static const VerifiedChain* const chain =
      new VerifiedChain(ChainOf(PrivateKey::GenerateEd25519()));
  return *chain;
}

NodeFacts Facts() {
  NodeFacts facts;
  facts.machine_id = std::string(64, 'a');
  facts.cluster = "home";
  facts.now = absl::FromUnixSeconds(1795500000);
  facts.time_synced = true;
  facts.time_floor = absl::FromUnixSeconds(1795000000);
  return facts;
}

void Policies(absl::string_view text) {
  static const VerifiedChain* const base = new VerifiedChain(ChainOf(Root()));
  v1::TrustChain chain;
  *chain.add_policies() = Sign(v1::DOCUMENT_TYPE_TRUST_POLICY, text, {&Root()});
  // Whoever collects signatures and whoever checks the chain agree on when there are enough.
  const auto next = CheckNext(*base, chain.policies(0));
  const auto extended = ExtendChain(*base, chain);
  const bool grew = extended.ok() && extended->policy.version() == 2;
  if (grew != (next.ok() && next->complete())) std::abort();
  for (const auto& taken : {VerifyChain(chain), extended}) {
    if (!taken.ok()) continue;
    const v1::TrustPolicy& policy = taken->policy;
    if (policy.version() != taken->chain.policies_size()) std::abort();
    if (policy.version() == 2 && (policy.cluster() != "home" || policy.epoch() < 2)) std::abort();
    // Root alone signed it, so root alone must be enough for its root, and for nothing else.
    const std::vector<Signer> root = {{.name = "root", .id = Root().public_key().id()}};
    if (!SignedByRoot(policy, root) || SignedByRoot(policy, {})) std::abort();
    const v1::MachineConfig config;
    if (AuthorizeConfig(policy, root, {}, &config, config).ok()) std::abort();
    for (const char* verb : {"reset", "debug", "clusterReset"}) {
      v1::Action action;
      action.set_verb(verb);
      if (AuthorizeAction(policy, root, action).ok()) std::abort();
    }
  }
}

void Stored(const std::string& bytes) {
  v1::TrustChain chain;
  if (chain.ParseFromString(bytes)) {
    VerifyChain(chain).status().IgnoreError();
    if (ExtendChain(Closed(), chain).ok()) std::abort();
  }
  v1::SignedDocument document;
  if (document.ParseFromString(bytes)) {
    for (int type = v1::DocumentType_MIN; type <= v1::DocumentType_MAX; ++type) {
      if (Verify(document, static_cast<v1::DocumentType>(type), Closed().policy).ok()) std::abort();
    }
    // What goes out as JSON and comes back is the same document.
    if (TypeWord(document.type()).empty()) return;
    auto again = FromDsseJson(ToDsseJson(document));
    if (again.ok() && DocumentDigest(*again) != DocumentDigest(document)) std::abort();
  }
}

void Orders(absl::string_view text) {
  if (auto action = validate::LoadAction(text, ""); action.ok()) {
    AdmitAction(*action, Facts()).IgnoreError();
    NodeFacts elsewhere = Facts();
    elsewhere.cluster = action->cluster() + "x";
    if (AdmitAction(*action, elsewhere).ok()) std::abort();
    if (AuthorizeAction(Closed().policy, {}, *action).ok()) std::abort();
  }
  auto loaded = validate::Load(text, "", validate::Stage::kComplete);
  if (!loaded.ok()) return;
  const v1::MachineConfig config = schema::Resolve(*loaded);
  const Digest digest = Sha256(text);
  NodeFacts facts = Facts();
  Admit(config, digest, facts, true).IgnoreError();
  facts.cluster = config.metadata().cluster() + "x";
  if (Admit(config, digest, facts, true).ok()) std::abort();
  const auto changes = diff::Diff(nullptr, config);
  if (AuthorizeConfig(Closed().policy, {}, changes, nullptr, config).ok()) std::abort();
  if (!CheckDestructive(changes, nullptr, config).ok()) std::abort();
  CheckDestructive(diff::Diff(&config, v1::MachineConfig()), &config, v1::MachineConfig())
      .IgnoreError();
}

}  // namespace
}  // namespace basalt::sign

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      basalt::sign::Policies(rest);
      break;
    case 1:
      basalt::sign::Stored(rest);
      break;
    default:
      basalt::sign::Orders(rest);
  }
  return 0;
}
