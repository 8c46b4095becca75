// Gives a node that has no config the first one that it finds and that is signed for it. Loop
// thread only.
//
// Round after round while no config is committed, whoever brings one: each source in its order,
// each document of it through the same way as an Apply, gated by health alone, since nobody called.
// Rounds wait longer and longer (5 s to 10 min). What was refused stands in the condition
// FirstConfigRefused with its code, and is said once on the console, not each round.
//
//   asking ── document ──► applying ── committed ──► done: the medium's key is wiped
//     ▲                        │
//     └── next round ◄─────────┴── refused, reverted, nothing found
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/engine/executor.h"
#include "server/engine/node.h"
#include "server/first/asker.h"
#include "server/first/media.h"
#include "server/first/sources.h"

namespace basalt::first {

class FirstConfig {
 public:
  static constexpr absl::Duration kFirstWait = absl::Seconds(5);
  static constexpr absl::Duration kLongestWait = absl::Minutes(10);
  static constexpr absl::Duration kLookEvery = absl::Seconds(5);  // has somebody else brought one?
  static constexpr int kQuietRounds = 3;  // a network takes its time: nobody answers is no news

  struct Parts {
    engine::Executor& executor;
    engine::Node& node;
    Media& media;
    Asker& asker;
    std::vector<Source> sources;
    std::string metadata = kLinkLocal;
  };
  explicit FirstConfig(Parts parts) : parts_(std::move(parts)) {}
  FirstConfig(const FirstConfig&) = delete;
  FirstConfig& operator=(const FirstConfig&) = delete;

  void Start();
  bool over() const { return over_; }

 private:
  struct Refusal {
    std::string code, message;
    bool operator==(const Refusal&) const = default;
  };
  class Watcher;

  bool Configured() const;
  void Round();
  void NextSource();
  void Ask();
  void Submit();
  void Ended(absl::Status status);  // of a document
  void Refused(const std::string& where, const absl::Status& why);
  void EndRound();
  void Wait();
  void Finish();
  void Wipe();

  const Parts parts_;
  bool over_ = false;
  int round_ = 0;
  absl::Duration wait_ = kFirstWait;
  absl::Duration waited_;
  size_t source_ = 0;
  std::optional<Conversation> conversation_;
  std::vector<Found> found_;
  size_t document_ = 0;
  std::map<std::string, Refusal> refused_;  // of this round, by where
  std::string told_;
  int wipes_failed_ = 0;
};

}  // namespace basalt::first
