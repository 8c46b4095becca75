#include "server/wire/drop.h"

#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace basalt::wire {

absl::Status DropRights() {
  prctl(PR_SET_DUMPABLE, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return absl::InternalError(absl::StrCat("no_new_privs: ", strerror(errno)));
  }
  if (geteuid() != 0) return absl::OkStatus();
  // Leaving the user id takes every capability along.
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0 || geteuid() == 0) {
    return absl::InternalError(absl::StrCat("giving up root: ", strerror(errno)));
  }
  prctl(PR_SET_DUMPABLE, 0);  // setresuid has set it anew
  return absl::OkStatus();
}

}  // namespace basalt::wire
