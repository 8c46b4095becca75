// Firmware as a test says it is. Single-threaded.
#pragma once

#include <map>
#include <string>

#include "server/host/firmware.h"

namespace basalt::testing {

class FakeFirmware : public host::Firmware {
 public:
  host::SecureBoot secure_boot() const override { return state; }
  absl::StatusOr<std::string> SignatureList(const std::string& variable) const override {
    if (!broken.ok()) return broken;
    const auto it = lists.find(variable);
    return it == lists.end() ? "" : it->second;
  }
  std::string Pcr(int index) const override {
    const auto it = pcrs.find(index);
    return it == pcrs.end() ? "" : it->second;
  }

  host::SecureBoot state = host::SecureBoot::kUnsupported;
  std::map<std::string, std::string> lists;  // "db", "dbx"
  std::map<int, std::string> pcrs;           // 64 hex digits
  absl::Status broken;                       // what reading the lists says
};

}  // namespace basalt::testing
