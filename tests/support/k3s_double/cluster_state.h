// What a server remembers: Node objects and node passwords, kept in server/db/state.json. Locked
// inside.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace basalt::k3s_double {

class ClusterState {
 public:
  explicit ClusterState(std::string file);

  // The first password of a name is kept; false: another one than that.
  bool CheckNodePassword(const std::string& node, const std::string& password);
  // Makes or refreshes the Node: labels are added, taints count at registration only.
  void Register(const std::string& node, const std::string& address,
                const std::vector<std::string>& labels, const std::vector<std::string>& taints);
  void Heartbeat(const std::string& node, bool ready);
  // JSON of v1.Node; "" when there is none.
  std::string Get(const std::string& node);
  std::string List();
  // Merge patch of metadata.labels, metadata.annotations and spec. False: no such node, or `patch`
  // is no JSON object.
  bool Patch(const std::string& node, const std::string& patch);
  void Delete(const std::string& node);

 private:
  void Save();

  std::mutex mutex_;
  std::string file_;
  std::map<std::string, std::string> nodes_;      // JSON without status
  std::map<std::string, std::string> passwords_;  // sha256
  struct Beat {
    bool ready = false;
    int64_t at = 0;  // seconds, monotonic
  };
  std::map<std::string, Beat> beats_;
};

}  // namespace basalt::k3s_double
