// Several files under one signature. Each has been read, completed and checked before anything here
// runs; then the ConfigSet above them is signed once, whoever signs, and one file a node is
// written. Files that are part of a set already get one more signature, all of them the same. Not
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/commands/session.h"
#include "client/commands/signing.h"

namespace basalt::client {

// Several files, a part of a set, the ConfigSet of --payload-only, or a directory as -o.
bool IsForSet(const std::vector<Input>& inputs, const SignOptions& options);

// What can be refused before a file is looked into: sources beside signed files, no directory to
// write to, sources that would be overwritten. Takes the ConfigSet that --payload-only wrote out of
// `inputs`. Reasons: mixed-input, output-needed, same-directory, set-without-files.
absl::Status PrepareSet(const SignOptions& options, std::vector<Input>& inputs,
                        std::optional<Input>& set_file);

// The nodes of a fleet that do not answer are not all waited for: this long for all of them.
class Patience {
 public:
  bool left() const { return left_ > absl::ZeroDuration(); }
  void Spend(absl::Duration waited) { left_ -= waited; }

 private:
  absl::Duration left_ = absl::Seconds(10);
};

struct SetItem {
  std::string file;  // where it came from
  bool signed_before = false;
  SignedConfig made;
};

// The rest of the way. Reasons also: two-for-one-node, two-for-one-file, other-set (the files are
// not those of the ConfigSet), which-set (--attach and --payload-only are about one), those of
// signing.
absl::Status SignSet(Session& session, const SignOptions& options, std::vector<SetItem> items,
                     const std::optional<Input>& set_file);

}  // namespace basalt::client
