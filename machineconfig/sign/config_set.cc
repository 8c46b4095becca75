#include "machineconfig/sign/config_set.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/merkle/hash.h"
#include "machineconfig/merkle/proof.h"
#include "machineconfig/merkle/tree.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::sign {
namespace {

constexpr size_t kHashSize = Digest().bytes.size();

absl::Status BadProof(absl::StatusCode code, absl::string_view what) {
  return api::Coded(code, "bad-proof", what,
                    "take the file as nodectl sign wrote it, or sign the set again");
}

Digest LeafOf(absl::string_view payload) {
  return merkle::LeafHash(Pae(PayloadType(v1::DOCUMENT_TYPE_MACHINE_CONFIG), payload));
}

std::string Bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), kHashSize};
}

}  // namespace

SignedPart WhatIsSigned(const v1::SignedDocument& document) {
  if (document.has_set_proof()) {
    return {v1::DOCUMENT_TYPE_CONFIG_SET, document.set_proof().set_payload()};
  }
  return {document.type(), document.payload()};
}

NewSet MakeSet(absl::string_view cluster, const std::vector<absl::string_view>& payloads) {
  merkle::Tree tree;
  for (absl::string_view payload : payloads) tree.Append(LeafOf(payload));
  v1::ConfigSet set;
  set.set_api_version("basalt/v1");
  set.set_kind("ConfigSet");
  set.set_cluster(std::string(cluster));
  set.set_size(static_cast<int64_t>(tree.size()));
  set.set_root(tree.Root().ToString());
  NewSet out;
  out.set.set_type(v1::DOCUMENT_TYPE_CONFIG_SET);
  out.set.set_payload(yaml::Emit(set));
  out.proofs.resize(payloads.size());
  for (size_t i = 0; i < payloads.size(); ++i) {
    v1::SetProof& proof = out.proofs[i];
    proof.set_set_payload(out.set.payload());
    proof.set_index(i);
    for (const Digest& hash : tree.Inclusion(i, tree.size())) proof.add_path(Bytes(hash));
  }
  return out;
}

v1::SignedDocument SetOf(const v1::SignedDocument& member) {
  v1::SignedDocument out;
  out.set_type(v1::DOCUMENT_TYPE_CONFIG_SET);
  out.set_payload(member.set_proof().set_payload());
  *out.mutable_signatures() = member.signatures();
  return out;
}

v1::SignedDocument MemberOf(const v1::SignedDocument& set, const v1::SetProof& proof,
                            absl::string_view payload) {
  v1::SignedDocument out;
  out.set_type(v1::DOCUMENT_TYPE_MACHINE_CONFIG);
  out.set_payload(std::string(payload));
  *out.mutable_signatures() = set.signatures();
  *out.mutable_set_proof() = proof;
  return out;
}

absl::Status CheckProofShape(const v1::SignedDocument& document) {
  const v1::SetProof& proof = document.set_proof();
  if (document.type() != v1::DOCUMENT_TYPE_MACHINE_CONFIG) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "unsupported-proof",
                      absl::StrCat("a ", TypeWord(document.type()),
                                   " is never part of a signed set; machineconfigs are"),
                      "sign the document itself: nodectl sign -f FILE");
  }
  if (proof.set_payload().empty() || proof.set_payload().size() > kMaxSetPayload) {
    return BadProof(absl::StatusCode::kInvalidArgument,
                    absl::StrCat("the set has ", proof.set_payload().size(),
                                 " bytes; a set has some, and at most ", kMaxSetPayload));
  }
  bool hashes = static_cast<size_t>(proof.path_size()) <= kMaxSetPath;
  for (const std::string& hash : proof.path()) hashes &= hash.size() == kHashSize;
  if (hashes) return absl::OkStatus();
  return BadProof(absl::StatusCode::kInvalidArgument,
                  absl::StrCat("the proof is not a path of at most ", kMaxSetPath, " hashes of ",
                               kHashSize, " bytes"));
}

absl::StatusOr<v1::ConfigSet> CheckProof(const v1::SignedDocument& document,
                                         absl::string_view cluster) {
  const v1::SetProof& proof = document.set_proof();
  auto set = validate::LoadConfigSet(proof.set_payload(), "");
  if (!set.ok()) return api::Annotate(set.status(), "the signed set");
  if (set->cluster() != cluster) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "wrong-cluster",
                      absl::StrCat("the signed set is of cluster `", set->cluster(),
                                   "`, the trust policy of `", cluster, "`"),
                      "send it to the cluster it was signed for");
  }
  absl::StatusOr<Digest> root = Digest::Parse(set->root());
  if (!root.ok()) return root.status();
  std::vector<Digest> path(static_cast<size_t>(proof.path_size()));
  for (size_t i = 0; i < path.size(); ++i) {
    std::memcpy(path[i].bytes.data(), proof.path(static_cast<int>(i)).data(), kHashSize);
  }
  const uint64_t size = static_cast<uint64_t>(set->size());
  if (!merkle::VerifyInclusion(LeafOf(document.payload()), proof.index(), size, path, *root)) {
    return BadProof(absl::StatusCode::kPermissionDenied,
                    absl::StrCat("the document is not number ", proof.index(), " of the ", size,
                                 " of the signed set: it was changed after signing, or belongs to "
                                 "another set"));
  }
  return *std::move(set);
}

}  // namespace basalt::sign
