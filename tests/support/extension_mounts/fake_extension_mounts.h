// ExtensionMounts with a memory: what is attached and shown outlives a noded, not a boot. It keeps
// the rules of the header; the real one needs a device-mapper, which only a machine of its own has
// (tests/system/image/extension_test.cc holds that one to them). Single-threaded.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/host/extension_mounts.h"

namespace basalt::testing {

class FakeExtensionMounts : public host::ExtensionMounts {
 public:
  absl::StatusOr<std::vector<host::AttachedExtension>> List() override {
    std::vector<host::AttachedExtension> out;
    for (const auto& [id, source] : attached) {
      out.push_back({.id = id,
                     .shown = std::count(shown.begin(), shown.end(), id) > 0,
                     .corrupt = corrupt.count(id) > 0});
    }
    return out;
  }
  absl::Status Attach(const host::ExtensionSource& source) override {
    const std::string id = host::ExtensionId(source);
    if (attached.count(id) > 0) return absl::OkStatus();
    if (!file_exists(source.file)) return absl::NotFoundError(source.file);
    if (damaged.count(source.file) > 0) return absl::DataLossError(source.file);
    if (!Step()) return Dead();
    attached[id] = source;
    return absl::OkStatus();
  }
  absl::Status Show(const std::vector<std::string>& ids) override {
    if (ids == shown) return absl::OkStatus();
    for (const std::string& id : ids) {
      if (attached.count(id) == 0) return absl::NotFoundError(id);
    }
    if (!Step()) return Dead();
    shown = ids;
    ++shows;
    return absl::OkStatus();
  }
  absl::Status Detach(const std::string& id) override {
    if (attached.count(id) == 0) return absl::OkStatus();
    if (std::count(shown.begin(), shown.end(), id) > 0 || busy.count(id) > 0) {
      return absl::FailedPreconditionError(absl::StrCat(id, " is in use"));
    }
    if (!Step()) return Dead();
    attached.erase(id);
    return absl::OkStatus();
  }
  std::vector<std::string> OfRoot(const std::vector<std::string>& paths) override {
    std::vector<std::string> out;
    for (const std::string& path : paths) {
      if (root_files.count(path) > 0) out.push_back(path);
    }
    return out;
  }

  // Another boot: nothing of it is left.
  void Reboot() {
    attached.clear();
    shown.clear();
    busy.clear();
    corrupt.clear();
    cut_after = -1;
  }
  // The power goes after so many changes: the next one is not made.
  void CutAfter(int changes) { cut_after = changes; }
  bool cut() const { return cut_after == 0 && tried_after_cut; }

  std::map<std::string, host::ExtensionSource> attached;
  std::vector<std::string> shown;
  std::set<std::string> busy, corrupt;  // ids
  std::set<std::string> damaged;        // files
  std::set<std::string> root_files;
  std::function<bool(const std::string&)> file_exists = [](const std::string&) { return true; };
  int shows = 0;

 private:
  bool Step() {
    if (cut_after == 0) {
      tried_after_cut = true;
      return false;
    }
    if (cut_after > 0) --cut_after;
    return true;
  }
  static absl::Status Dead() { return absl::UnavailableError("no power"); }
  int cut_after = -1;
  bool tried_after_cut = false;
};

}  // namespace basalt::testing
