// What the controller does to files and processes below the node's root that the Vfs has no word
// for: links to images, K3s's extraction tree, what K3s left running. Blocking, for the pool;
// thread-safe.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace basalt::k3s {

// A file of K3s's extraction tree.
struct TreeEntry {
  int64_t size = 0;
  uint32_t mode = 0;
  std::string sha256;  // of a symlink: of its target
  bool operator==(const TreeEntry&) const = default;
};
// What a binary extracted: DATA-DIR/data/HASH.
struct TreeRecord {
  std::string hash;
  std::map<std::string, TreeEntry> files;  // relative path
  bool operator==(const TreeRecord&) const = default;
};
std::string Encode(const TreeRecord& record);
absl::StatusOr<TreeRecord> DecodeTree(const std::string& text);

class NodeFiles {
 public:
  virtual ~NodeFiles() = default;

  // Makes the images directory hold exactly these of ours (file name → path of the artifact).
  virtual absl::Status LinkImages(const std::string& dir,
                                  const std::map<std::string, std::string>& images) = 0;
  // Which tree process `pid` runs from, and with `contents` what is in it, all of it read. NotFound
  // when it runs from none, FailedPrecondition when it is one elsewhere on the machine.
  virtual absl::StatusOr<TreeRecord> ReadTree(const std::string& data_dir, int pid,
                                              bool contents) = 0;
  // The paths that differ from the record; a tree that is not there differs in nothing.
  virtual std::vector<std::string> CompareTree(const std::string& data_dir,
                                               const TreeRecord& record) = 0;
  virtual void RemoveTree(const std::string& data_dir, const std::string& hash) = 0;
  virtual std::vector<std::string> Trees(const std::string& data_dir) = 0;  // hashes
  // Removes every tree but these and those that a process runs from: the shims of pods that an
  // earlier release started need theirs as long as the pods live.
  virtual void KeepTrees(const std::string& data_dir, const std::set<std::string>& keep) = 0;
  // Removes these and all that is below them, following no link, and makes that durable.
  virtual absl::Status Erase(const std::vector<std::string>& places) = 0;
  // Ends every process that runs from `data_dir`, and what it started, and unmounts what is mounted
  // below it. `owns_namespaces`: also what K3s keeps elsewhere (full_stop.h): only where no other
  // node can be. Data is kept.
  virtual absl::Status CleanUp(const std::string& data_dir, bool owns_namespaces) = 0;
  // How long a durable write takes on the file system of `dir`: the median of some. Leaves nothing.
  virtual absl::StatusOr<absl::Duration> MeasureDisk(const std::string& dir) = 0;
  // "" when the port can be bound on the address now; else why not.
  virtual std::string PortTaken(const std::string& address, int port) = 0;
  // The first of the machine's resolv.conf files that pods can use; "" when none is.
  virtual std::string ResolvConf() = 0;
  // Addresses of the machine's interfaces, loopback and link-local left out.
  virtual std::vector<std::string> Addresses() = 0;
};

std::shared_ptr<NodeFiles> MakeNodeFiles();

}  // namespace basalt::k3s
