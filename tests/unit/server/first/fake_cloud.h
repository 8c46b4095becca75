// A node without a config, media with a memory, and questions that are asked over real HTTP of a
// server in this process.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/first/first_config.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::testing {

class FakeMedia : public first::Media {
 public:
  std::vector<first::Found> OnBootPartition() override {
    ++looked;
    return boot_partition;
  }
  std::vector<first::Found> Elsewhere(bool) override { return elsewhere; }
  absl::StatusOr<bool> WipeKey() override {
    ++wipes;
    if (fail_wipes > 0 && fail_wipes-- > 0) return absl::UnavailableError("busy");
    return std::exchange(key_there, false);
  }
  std::vector<first::Found> boot_partition, elsewhere;
  bool key_there = true;
  int looked = 0, wipes = 0, fail_wipes = 0;
};

// By noded-fetch's own code, in this process.
class HttpAsker : public first::Asker {
 public:
  explicit HttpAsker(EngineHarness& h) : h_(h) {}
  void Ask(const first::Question& question, std::function<void(first::Answer)> done) override;
  std::vector<std::string> asked;

 private:
  EngineHarness& h_;
};

class FirstWorld {
 public:
  explicit FirstWorld(std::vector<first::Source> sources = {}, std::string metadata = "");
  void StartNode();
  void Start();
  // Until it waits for the next round.
  void Settle() { h.executor->RunUntilIdle(); }
  v1::Condition Condition(const std::string& type) const;
  std::string Json(const ConfigOptions& options = {}) { return sign::ToDsseJson(h.Sign(options)); }
  bool committed() const { return h.ActiveGeneration() > 0; }

  EngineHarness h;
  FakeMedia media;
  HttpAsker asker{h};
  std::vector<first::Source> sources;
  std::string metadata;
  std::unique_ptr<first::FirstConfig> first;
};

}  // namespace basalt::testing
