// A difference shown by a program of the user's choice, as kubectl does with KUBECTL_EXTERNAL_DIFF.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/output/io.h"

namespace basalt::client {

// What it compares: texts of one name, redacted by the caller. An empty text is a file that is not
// there.
struct Compared {
  std::string name;  // "n1.yaml"
  std::string before;
  std::string after;
};

// $NODECTL_EXTERNAL_DIFF; empty when it is not set. A program and its arguments, split at spaces;
// no shell sees them.
std::string ExternalDiffCommand();

// Runs `command BEFORE AFTER` on two directories that are removed again, with our output streams.
// Its exit code: 0 no difference, 1 differences; more is an error: Unavailable/
// "external-diff-failed".
absl::StatusOr<int> RunExternalDiff(Io& io, const std::string& command,
                                    const std::vector<Compared>& files);

}  // namespace basalt::client
