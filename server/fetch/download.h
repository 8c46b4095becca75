// One artifact from the first of several URLs that has it, over libcurl: resumes what is there,
// tries an URL again while it makes progress, then the next. The digest is checked by noded; here
// only size, speed and redirects are bounded. Not thread-safe; blocks.
#pragma once

#include <functional>
#include <string>

#include "server/fetch/fetch_protocol.h"

namespace basalt::fetch {

struct Hooks {
  std::function<void(Progress)> progress;
  // An attempt was given up.
  std::function<void(Outcome, const std::string& url, const std::string& why)> failed;
  // Waits between attempts at one URL.
  std::function<void(int seconds)> pause;
  // The URL (counted from 0) that had the artifact.
  std::function<void(int index)> from;
  // What a server answered, whatever came of it; may be null.
  std::function<void(int status)> status = nullptr;
};

// The outcome of the whole: kOk, the outcome that all URLs share, or kFailed. A full or read-only
// disk ends it at once. `why` is the last URL's reason.
Outcome Download(const Arguments& arguments, int fd, const Hooks& hooks, std::string* why,
                 const Asking& asking = {});

}  // namespace basalt::fetch
