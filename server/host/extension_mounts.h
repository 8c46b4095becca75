// Add-ons of the image: files with a hash tree, each behind a device of its own that verifies what
// is read, laid over /usr together. Real: extension_mounts.cc. Fake with a memory:
// tests/support/extension_mounts.
//
// A wrong block is an error of that read (EIO) and is remembered by the device: unlike the root, an
// add-on that goes bad must not take the machine down. Calls may block; one at a time, any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

struct ExtensionSource {
  std::string name;  // "iscsi": letters, digits, dashes and dots
  std::string file;  // absolute
  std::string root;  // "HEX64:BLOCKS"
  std::string salt;  // lower hex
};
// What an extension is known by while it is attached: two builds of one name are two.
std::string ExtensionId(const ExtensionSource& source);

struct AttachedExtension {
  std::string id;
  bool shown = false;    // below /usr
  bool corrupt = false;  // a block was read that is not what was signed
  bool operator==(const AttachedExtension&) const = default;
};

class ExtensionMounts {
 public:
  virtual ~ExtensionMounts() = default;
  // What is attached, whoever did it: also by a noded before this one. By id.
  virtual absl::StatusOr<std::vector<AttachedExtension>> List() = 0;
  // Verified and mounted, not shown yet. OK when it is there already. NotFound: no such file;
  // DataLoss: not a file system of that root; Unavailable with errno's text.
  virtual absl::Status Attach(const ExtensionSource& source) = 0;
  // Exactly these below /usr, over what the root has; none: the root's own. Programs that run keep
  // what they have open.
  virtual absl::Status Show(const std::vector<std::string>& ids) = 0;
  // One that is not shown. OK when it is not there. FailedPrecondition: something still uses it; it
  // goes with the last user, or with the machine's restart.
  virtual absl::Status Detach(const std::string& id) = 0;
  // Which of these the root itself has.
  virtual std::vector<std::string> OfRoot(const std::vector<std::string>& paths) = 0;
};

std::unique_ptr<ExtensionMounts> MakeExtensionMounts();

// The ids that /proc/self/mountinfo tells of. Pure.
std::vector<AttachedExtension> ParseExtensionMounts(absl::string_view mountinfo);

}  // namespace basalt::host
