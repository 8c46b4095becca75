// Reading and checking a machine config of 10 KB, beside its floor: yaml-cpp's own event pass over
// the same bytes. Aim: the whole way costs at most 1.7 times the floor. And the JSON Schema, beside
// the writing of a ready one.
#include <benchmark/benchmark.h>

#include <iostream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "machineconfig/docs/json_schema.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/parser.h"

namespace {

// A server as owners write it, filled up to 10 KB with what really grows: labels, mirrors, images,
// environment and a manifest.
std::string Config() {
  const std::string sha(64, 'a');
  std::string out = absl::StrCat(R"(apiVersion: basalt/v1
kind: MachineConfig
metadata:
  cluster: home
  name: pi-server-0
  epoch: 1
  generation: 20261123221500
  signedAt: "2026-11-23T22:15:00Z"
  apply: {mode: try, confirmWithin: 5m}
  reason: OPS-142 enable the registry mirror
target: {machineId: )",
                                 sha, R"(}
api:
  listen: ["0.0.0.0:6050"]
  allowedNetworks: [192.168.0.0/16, 10.0.0.0/8]
k3s:
  role: server
  version: v1.30.4+k3s1
  cluster: {init: true}
  token: 0123456789abcdefghijklmnop
  agentToken: ponmlkjihgfedcba9876543210
  tlsSans: [k3s.example.org, 192.168.1.10]
  artifacts:
    amd64: {urls: ["https://example.org/k3s"], sha256: )",
                                 sha, "}\n  config: {disable: [traefik, servicelb]}\n  env:\n");
  for (int i = 0; i < 20; ++i) {
    absl::StrAppend(&out, "    - {name: VAR_", i, ", value: \"value ", i, "\"}\n");
  }
  out += "  node:\n    labels:\n";
  for (int i = 0; i < 40; ++i)
    absl::StrAppend(&out, "      example.org/label-", i, ": value-", i, "\n");
  out += "  registries:\n    mirrors:\n";
  for (int i = 0; i < 16; ++i) {
    absl::StrAppend(&out, "      - name: r", i,
                    ".example.org\n        endpoints:\n          - https://m", i,
                    ".example.org:5000\n          - https://n", i, ".example.org\n");
  }
  out += "  images:\n";
  for (int i = 0; i < 16; ++i) {
    absl::StrAppend(
        &out, "    - name: image-", i,
        "\n      artifacts:\n        arm64:\n          urls: [\"https://example.org/image-", i,
        ".tar.zst\"]\n          sha256: ", sha, "\n");
  }
  out += "  manifests:\n    - name: extra\n      content: |\n";
  while (out.size() < 10 * 1024) out += "        kind: ConfigMap  # a line of a manifest\n";
  return out;
}

class NullHandler : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string& value) override {
    benchmark::DoNotOptimize(value.size());
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

void BM_YamlCppEvents(benchmark::State& state) {
  const std::string text = Config();
  for (auto _ : state) {
    std::istringstream in(text);
    YAML::Parser parser(in);
    NullHandler handler;
    parser.HandleNextDocument(handler);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(BM_YamlCppEvents);

void BM_Decode(benchmark::State& state) {
  const std::string text = Config();
  for (auto _ : state) {
    basalt::v1::MachineConfig config;
    benchmark::DoNotOptimize(basalt::yaml::Decode(text, "", config).ok());
  }
}
BENCHMARK(BM_Decode);

void BM_DecodeAndValidate(benchmark::State& state) {
  const std::string text = Config();
  for (auto _ : state) {
    auto config = basalt::validate::Load(text, "", basalt::validate::Stage::kComplete);
    if (!config.ok()) state.SkipWithError(std::string(config.status().message()).c_str());
  }
}
BENCHMARK(BM_DecodeAndValidate);

// The JSON Schema of a machine config from the descriptors, beside its floor: writing the same tree
// when it stands there ready.
void BM_WriteReadySchema(benchmark::State& state) {
  const auto tree = nlohmann::ordered_json::parse(
      basalt::docs::JsonSchema(*basalt::v1::MachineConfig::descriptor()));
  for (auto _ : state) benchmark::DoNotOptimize(tree.dump(2).size());
}
BENCHMARK(BM_WriteReadySchema);

void BM_JsonSchema(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        basalt::docs::JsonSchema(*basalt::v1::MachineConfig::descriptor()).size());
  }
}
BENCHMARK(BM_JsonSchema);

}  // namespace

// With --print-config it only writes the file, for benches of processes.
int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--print-config") {
    std::cout << Config();
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
