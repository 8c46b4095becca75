// The text of a source with its sealed secrets opened, for an editor, and back. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/commands/session.h"
#include "machineconfig/seal/keys.h"

namespace basalt::client {

struct OpenedText {
  std::string text;
  std::map<std::string, std::string> values;  // path → what was sealed there
};

// InvalidArgument with every value that does not open. A source without sealed values stays as it
// is.
absl::StatusOr<OpenedText> OpenText(const std::string& text, const std::string& file,
                                    const std::vector<seal::Identity>& identities);

// `edited` is `opened` after a person changed it; `original` is where that came from. A value that
// is the same is sealed with the very bytes that it had; one that is another, or that is new, is
// sealed to the recipients. What stood in the clear in `original` may go on to. `sealed` gets the
// paths of what was sealed anew; `load_recipients` is asked only when there are any.
absl::StatusOr<std::string> SealText(
    const std::string& original, const OpenedText& opened, const std::string& edited,
    const std::string& file,
    const std::function<absl::StatusOr<std::vector<seal::Recipient>>()>& load_recipients,
    std::vector<std::string>& sealed);

}  // namespace basalt::client
