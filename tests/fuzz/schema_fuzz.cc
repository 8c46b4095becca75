// The schema that a node serves, as bytes. What is taken can be walked to its end; the first few
// that are taken are explained and used to read a document too (those are kept for ever, so not
// all).
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "absl/strings/string_view.h"
#include "basalt/v1/schema.pb.h"
#include "google/protobuf/message.h"
#include "machineconfig/docs/field_doc.h"
#include "machineconfig/docs/json_schema.h"
#include "machineconfig/docs/source.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  constexpr size_t kMaxInput = 256 << 10;
  constexpr int kMaxKept = 64;
  static int kept = 0;
  v1::ServedSchema served;
  if (size > kMaxInput || !served.ParseFromArray(data, static_cast<int>(size))) return 0;
  absl::StatusOr<docs::OwnedSource> source = docs::Parse(served);
  if (!source.ok()) return 0;
  if (source->source->kinds.empty()) std::abort();
  if (source->source->machine_config().full_name() != "basalt.v1.MachineConfig") std::abort();
  for (const schema::K3sKey& key : source->source->k3s_keys) {
    if (source->source->FindKey(key.name) == nullptr) std::abort();
  }
  if (kept >= kMaxKept) return 0;
  ++kept;
  absl::StatusOr<const docs::Source*> used = docs::Read(served);
  if (!used.ok()) std::abort();
  for (const google::protobuf::Descriptor* kind : (*used)->kinds) {
    docs::DescribeKind(*kind);
    docs::JsonSchema(*kind);
  }
  if (!docs::Explain("", **used).ok()) std::abort();
  docs::Explain("k3s.config.kubelet-arg", **used).IgnoreError();
  docs::Explain("TrustPolicy.grants", **used).IgnoreError();
  const std::unique_ptr<google::protobuf::Message> message =
      schema::NewMessage((*used)->machine_config());
  constexpr absl::string_view kText =
      "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata: {name: n1, labels: {a: b}}\n"
      "k3s: {token: x, config: {disable: [traefik]}, registries: {mirrors: [{name: a}]}}\n";
  yaml::Decode(kText, "fuzz", *message);
  yaml::Emit(*message);
  return 0;
}
