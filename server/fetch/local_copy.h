// file:// URLs: a copy into the target, because the original may be on a stick that is pulled out.
#pragma once

#include <string>

#include "server/fetch/target_file.h"

namespace basalt::fetch {

// Overwrites what the target holds. `error` says why when the outcome is not kOk.
Outcome CopyLocal(const std::string& url, TargetFile& target, std::string* error);
// "file:///a%20b" → "/a b"; "" when it is no local file URL.
std::string LocalPath(const std::string& url);

}  // namespace basalt::fetch
