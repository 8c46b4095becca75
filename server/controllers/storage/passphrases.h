// The passphrases of encrypted partitions: apart from the config while they are needed, overwritten
// after. Which one a partition has is known by a salted digest on STATE, so that a start does not
// have to try it, which takes seconds and much memory.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "basalt/v1/storage.pb.h"
#include "server/controllers/storage/facts.h"
#include "server/host/vfs.h"

namespace basalt::storage {

inline constexpr char kAppliedPath[] = "state/passphrases";

// By the name of the volume; of STATE and DATA "".
class Passphrases {
 public:
  Passphrases() = default;
  ~Passphrases() { Clear(); }
  Passphrases(Passphrases&& other) noexcept : by_name_(std::move(other.by_name_)) {
    other.by_name_.clear();
  }
  Passphrases& operator=(Passphrases&& other) noexcept;
  void Add(const std::string& name, std::string passphrase);
  // "" when there is none.
  const std::string& Of(const std::string& name) const;

 private:
  void Clear();
  std::map<std::string, std::string> by_name_;
};

// Out of the section, which has none after.
Passphrases TakePassphrases(v1::Storage* storage);

// One that has to be set, or taken away ("").
struct Passphrase {
  std::string name;    // "STATE", "DATA" or of the volume
  std::string device;  // of the partition
  std::string from;    // of Passphrases
  bool operator==(const Passphrase&) const = default;
};

// By "STATE", "DATA" or the name of a volume: "SALT HEX".
using Applied = std::map<std::string, std::string>;
Applied ParseApplied(absl::string_view text);
Applied LoadApplied(host::Vfs& vfs);
absl::Status StoreApplied(host::Vfs& vfs, const Applied& applied);
std::string DigestOf(absl::string_view salt, absl::string_view passphrase);
bool IsApplied(const Applied& applied, const std::string& name, absl::string_view passphrase);

// Of the partitions that are encrypted and there. Pure.
std::deque<Passphrase> ToChange(const Passphrases& secrets, const v1::Storage& wanted,
                                const StorageFacts& facts, const Applied& applied);

}  // namespace basalt::storage
