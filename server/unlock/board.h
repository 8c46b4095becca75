// The key of a board: what a disk that is thrown away does not take with it. Who has the machine,
// or is root on it, has the key.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "machineconfig/seal/secret_bytes.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

// What the board is told from others by: "product_uuid", and what it says.
struct BoardId {
  std::string kind, value;
};

// Below `root` ("" on a machine). `kind`: the one to look for; "" for the first that is there.
// FailedPrecondition: this board has nothing that is its own.
StatusOr<BoardId> ReadBoardId(const std::string& root, absl::string_view kind);

// Is this something that the maker filled in, and for this board alone?
bool IsUnique(absl::string_view value);

seal::SecretBytes BoardKey(const BoardId& id, absl::string_view salt);

}  // namespace basalt::unlock
