// mke2fs, e2fsck, resize2fs and noded-unlock over a FakeBlock: at once, or when the test says so.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "server/controllers/storage/tools.h"
#include "server/unlock/layout.h"
#include "server/unlock/luks_header.h"
#include "tests/support/block/fake_block.h"

namespace basalt::storage {

class FakeTools : public Tools {
 public:
  explicit FakeTools(testing::FakeBlock& block) : block_(block) {}
  void Run(std::vector<std::string> argv, std::string secret, absl::Duration, Done done) override {
    runs.push_back(absl::StrJoin(argv, " "));
    if (!secret.empty()) secrets.push_back(secret);
    for (const auto& [name, code] : codes) {
      if (absl::StrContains(argv[0], name)) return done(ToolResult{code, "it says why\n"});
    }
    if (block_.writes_left == 0) return done(ToolResult{1, "Input/output error"});
    if (argv[0] == unlock::kProgram) return done(Unlock(argv, secret));
    uint64_t blocks = 0;
    const bool makes = absl::StrContains(argv[0], "mke2fs");
    if (makes || absl::StrContains(argv[0], "resize2fs")) {
      (void)absl::SimpleAtoi(argv.back(), &blocks);
      block_.MakeExt4(argv[argv.size() - 2], blocks);
    }
    done(ToolResult{});
  }
  void OnServiceEvent(const host::ServiceEvent&) override {}

  bool Ran(absl::string_view what) const {
    for (const std::string& run : runs) {
      if (absl::StrContains(run, what)) return true;
    }
    return false;
  }

  // A header as noded-unlock would write it, with keys that open nothing.
  void Lock(const std::string& device, const std::string& name,
            const std::vector<unlock::Token>& keys) {
    unlock::Header header = *unlock::MakeHeader({.uuid = "u-" + name,
                                                 .label = name,
                                                 .digest = std::string(32, 'd'),
                                                 .digest_salt = std::string(32, 's'),
                                                 .digest_iterations = 1000});
    for (const unlock::Token& key : keys) AddKey(&header, key);
    Write(device, header);
  }

  std::vector<std::string> runs;
  std::vector<std::string> secrets;  // in the order of the runs that had one
  std::map<std::string, int> codes;  // what fails, by a part of its name

 private:
  static void AddKey(unlock::Header* header, const unlock::Token& key) {
    *header =
        *unlock::WithKey(*header, *unlock::FreeKeyslot(*header),
                         {.type = "pbkdf2", .iterations = 1000, .salt = std::string(32, 'k')}, key);
  }
  void Write(const std::string& device, const unlock::Header& header) {
    block_.Write(device, 0, *unlock::RenderHeader(header, std::string(128, 'r'))).IgnoreError();
  }
  ToolResult Unlock(const std::vector<std::string>& argv, const std::string& secret) {
    auto after = [&](const std::string& word) {
      for (size_t i = 0; i + 1 < argv.size(); ++i) {
        if (argv[i] == word) return argv[i + 1];
      }
      return std::string();
    };
    const std::string verb = argv[1], device = after("--device"), name = after("--name");
    const bool has_state_key = !after("--state-key").empty();
    if (verb == "close") return {block_.Unmap(name).ok() ? 0 : 1};
    if (verb == "format") {
      std::vector<unlock::Token> keys;
      if (after("--key") == "node") keys.push_back({.type = unlock::kNodeToken});
      if (has_state_key) keys.push_back({.type = unlock::kStateToken});
      if (!secret.empty()) keys.push_back({.type = unlock::kPassphraseToken});
      Lock(device, name, keys);
    }
    auto bytes = block_.Read(device, 0, unlock::kBothHeaders);
    auto header = unlock::ParseHeader(bytes.value_or(""));
    if (!header.ok()) return {unlock::kExitDamaged, "noded-unlock: no LUKS2 header\n"};
    if (verb == "passphrase") {
      if (secret.empty()) {
        *header = *unlock::WithoutKey(*header, unlock::kPassphraseToken);
      } else {
        AddKey(&*header, {.type = unlock::kPassphraseToken});
      }
      Write(device, *header);
      return {};
    }
    return {block_.Map(name, device, unlock::kDataOffset).ok() ? 0 : 1};
  }

  testing::FakeBlock& block_;
};

}  // namespace basalt::storage
