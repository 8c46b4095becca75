// A TPM, a mapper and a disk in memory. The TPM keeps what it was given below a policy of two
// registers and gives it back while they are the same: the rules of the real one, which one
// conformance suite checks. Single-threaded.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/unlock/blocks.h"
#include "server/unlock/mapper.h"
#include "server/unlock/status.h"
#include "server/unlock/tpm.h"

namespace basalt::unlock {

class FakeBlocks : public Blocks {
 public:
  explicit FakeBlocks(size_t size) : bytes(size, '\0') {}
  StatusOr<std::string> Read(uint64_t offset, size_t size) override {
    if (offset + size > bytes.size()) return UnavailableError("read");
    return bytes.substr(offset, size);
  }
  Status Write(uint64_t offset, absl::string_view data) override {
    if (writes_left == 0) return UnavailableError("the power is gone");
    --writes_left;
    ++writes;
    bytes.replace(offset, data.size(), data.data(), data.size());
    return OkStatus();
  }
  uint64_t size() const override { return bytes.size(); }
  uint32_t sector() const override { return sector_size; }

  std::string bytes;
  uint32_t sector_size = 512;
  size_t writes = 0, writes_left = SIZE_MAX;
};

class FakeMapper : public Mapper {
 public:
  Status Map(const Mapping& mapping, const seal::SecretBytes& key) override {
    auto there = mapped.find(mapping.name);
    if (there != mapped.end()) {
      return there->second.first.uuid == mapping.uuid
                 ? AlreadyExistsError("it is there")
                 : FailedPreconditionError("it is there, of another device");
    }
    mapped[mapping.name] = {mapping, std::string(key.view())};
    return OkStatus();
  }
  Status Unmap(const std::string& name) override {
    if (in_use) return FailedPreconditionError("in use");
    return mapped.erase(name) > 0 ? OkStatus() : NotFoundError("no such device");
  }
  std::map<std::string, std::pair<Mapping, std::string>> mapped;  // by name: and its key
  bool in_use = false;
};

// What outlives one FakeTpm: the machine.
struct FakeTpmState {
  std::string seed = "this TPM";
  std::string pcr7 = std::string(32, '7');
  std::string pcr11 = "image 1";
  bool locked = false;
  bool present = true;
  int fail_next_seals = 0;
};

class FakeTpm : public Tpm {
 public:
  explicit FakeTpm(FakeTpmState& state) : state_(state) {}
  StatusOr<Sealed> Seal(const seal::SecretBytes& secret,
                        const std::optional<PcrAuthority>& authority) override {
    if (state_.fail_next_seals > 0) {
      --state_.fail_next_seals;
      return UnavailableError("the TPM: seal: error 0x101");
    }
    if (state_.locked) {
      return FailedPreconditionError("the TPM was told already that the disks are open (PCR 15)");
    }
    return Sealed{.public_part = "policy",
                  .private_part = std::string(secret.view()),
                  .parent_name = state_.seed,
                  .pcr7 = state_.pcr7,
                  .public_key = authority.has_value() ? authority->public_key : ""};
  }
  StatusOr<seal::SecretBytes> Unseal(const Sealed& sealed,
                                     const std::optional<PcrAuthority>& authority) override {
    if (sealed.parent_name != state_.seed) {
      return PermissionDeniedError("this is not the TPM that the key was sealed in");
    }
    if (!sealed.public_key.empty() &&
        (!authority.has_value() || !absl::StrContains(authority->signatures, state_.pcr11))) {
      return PermissionDeniedError("nobody signed for this image (PCR 11)");
    }
    if (state_.locked) {
      return PermissionDeniedError("the disks were open in this boot already (PCR 15)");
    }
    if (sealed.pcr7 != state_.pcr7) {
      return PermissionDeniedError("Secure Boot's state or keys are not what they were (PCR 7)");
    }
    return seal::SecretBytes(sealed.private_part);
  }
  Status Lock() override {
    state_.locked = true;
    return OkStatus();
  }

 private:
  FakeTpmState& state_;
};

}  // namespace basalt::unlock
