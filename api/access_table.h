// Who may call what, read from the method options of the services themselves (options.proto):
// the one table behind the server's check and `nodectl api-resources --access`. Immutable after
// construction, thread-safe. A method that is not in the table, or has no options, is open to
// nobody.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/options.pb.h"

namespace basalt::api {

// "deliver", "reader", "auditor", "operator", "admin"; empty for anything else.
absl::string_view RoleWord(v1::Role role);
// ROLE_UNSPECIFIED for a word that names no role. Exact, case-sensitive.
v1::Role RoleFromWord(absl::string_view word);
// The role and every role it builds on:
//   deliver   deliver
//   reader    reader
//   auditor   auditor reader
//   operator  operator reader deliver
//   admin     admin operator reader deliver
std::set<v1::Role> RoleClosure(v1::Role role);

struct MethodAccess {
  std::string path;             // "/basalt.v1.NodeService/Apply"
  std::vector<v1::Role> roles;  // the least ones, as declared
  bool anonymous = false;
  bool anonymous_unconfigured = false;
  bool anonymous_delivery = false;
};

// What the check looks at. `roles` is closed.
struct AccessQuery {
  bool authenticated = false;
  std::set<v1::Role> roles;
  bool configured = false;          // a config is committed or executing
  bool anonymous_delivery = false;  // api.anonymousDelivery
};

class AccessTable {
 public:
  // All services of basalt.v1.
  static const AccessTable& Get();

  // Sorted by path.
  const std::map<std::string, MethodAccess>& methods() const { return methods_; }

  // OK, or Unauthenticated/"certificate-needed", PermissionDenied/"needs-role" (names the roles
  // that would do), PermissionDenied/"unknown-method". Strangers learn nothing of unknown methods.
  absl::Status Check(absl::string_view path, const AccessQuery& query) const;

  // The path of the method that takes this message: each method has a request of its own. "" for
  // any other message.
  absl::string_view PathOf(const google::protobuf::Descriptor& request) const;

 private:
  AccessTable();
  std::map<std::string, MethodAccess> methods_;
  std::map<std::string, std::string> by_request_;  // full name of the request → path
};

}  // namespace basalt::api
