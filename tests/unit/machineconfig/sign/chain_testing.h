// Trust policies as YAML, signed into chains.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "machineconfig/sign/policy.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {

// Version `n` of cluster home with root `root` and a grant for alice, signed by root; each call
// returns a copy with one thing changed.
class Version {
 public:
  explicit Version(int n) : number_(n) {}

  Version Root(std::vector<std::string> names, int threshold = 1) const {
    Version out = *this;
    out.root_ = std::move(names);
    out.threshold_ = threshold;
    return out;
  }
  Version Signed(std::vector<std::string> names) const {
    Version out = *this;
    out.signers_ = std::move(names);
    return out;
  }
  Version Revoked(std::vector<std::string> names) const {
    Version out = *this;
    out.revoked_ = std::move(names);
    return out;
  }
  Version Granted(std::vector<std::string> names) const {
    Version out = *this;
    out.granted_ = std::move(names);
    return out;
  }
  // A grant that the rules of this release refuse.
  Version RefusedToday() const {
    Version out = *this;
    out.grant_lines_ = ", paths: []";
    return out;
  }
  Version Key(const std::string& name) const {
    Version out = *this;
    out.keys_.push_back(name);
    return out;
  }
  Version ExtraKey(const std::string& name, const std::string& text) const {
    Version out = *this;
    absl::StrAppend(&out.extra_keys_, "- name: ", name, "\n  publicKey: \"", text, "\"\n");
    return out;
  }
  Version Epoch(int epoch) const {
    Version out = *this;
    out.epoch_ = epoch;
    return out;
  }
  Version Cluster(const std::string& cluster) const {
    Version out = *this;
    out.cluster_ = cluster;
    return out;
  }

  std::string Yaml() const {
    std::string out = absl::StrCat("apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: ", cluster_,
                                   "\nepoch: ", epoch_, "\nversion: ", number_, "\nkeys:\n");
    for (const std::string& name : keys_) {
      absl::StrAppend(
          &out, "- name: ", name, "\n  publicKey: |\n    ",
          absl::StrReplaceAll(absl::StripSuffix(sign::Key(name).public_key().Pem(), "\n"),
                              {{"\n", "\n    "}}),
          "\n");
    }
    absl::StrAppend(&out, extra_keys_, "root: {keys: [", absl::StrJoin(root_, ", "),
                    "], threshold: ", threshold_, "}\ngrants:\n- {for: machineconfig, keys: [",
                    absl::StrJoin(granted_, ", "), "]", grant_lines_, "}\n");
    if (!revoked_.empty()) {
      absl::StrAppend(&out, "revoked: [", absl::StrJoin(revoked_, ", "), "]\n");
    }
    return out;
  }

  v1::SignedDocument Document() const {
    return SignedBy(signers_, Yaml(), v1::DOCUMENT_TYPE_TRUST_POLICY);
  }

 private:
  int number_;
  int epoch_ = 1;
  int threshold_ = 1;
  std::string cluster_ = "home";
  std::string extra_keys_;
  std::string grant_lines_;
  std::vector<std::string> keys_ = {"root", "root2", "alice"};
  std::vector<std::string> root_ = {"root"};
  std::vector<std::string> granted_ = {"alice"};
  std::vector<std::string> revoked_;
  std::vector<std::string> signers_ = {"root"};
};

inline v1::TrustChain Chain(const std::vector<Version>& versions) {
  v1::TrustChain chain;
  for (const Version& version : versions) *chain.add_policies() = version.Document();
  return chain;
}

}  // namespace basalt::sign
