#include "api/access_table.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "basalt/v1/diagnose_service.pb.h"
#include "basalt/v1/node_service.pb.h"
#include "basalt/v1/resource_service.pb.h"
#include "basalt/v1/schema_service.pb.h"

namespace basalt::api {
namespace {

constexpr v1::Role kRoles[] = {v1::ROLE_DELIVER, v1::ROLE_READER, v1::ROLE_AUDITOR,
                               v1::ROLE_OPERATOR, v1::ROLE_ADMIN};

std::string Words(const std::set<v1::Role>& roles) {
  return absl::StrJoin(
      roles, ", ", [](std::string* out, v1::Role role) { absl::StrAppend(out, RoleWord(role)); });
}

// Every role that has one of `least` in its closure.
std::set<v1::Role> RolesThatMay(const std::vector<v1::Role>& least) {
  std::set<v1::Role> out;
  for (v1::Role role : kRoles) {
    std::set<v1::Role> closure = RoleClosure(role);
    for (v1::Role needed : least) {
      if (closure.count(needed) > 0) out.insert(role);
    }
  }
  return out;
}

}  // namespace

absl::string_view RoleWord(v1::Role role) {
  switch (role) {
    case v1::ROLE_DELIVER:
      return "deliver";
    case v1::ROLE_READER:
      return "reader";
    case v1::ROLE_AUDITOR:
      return "auditor";
    case v1::ROLE_OPERATOR:
      return "operator";
    case v1::ROLE_ADMIN:
      return "admin";
    default:
      return "";
  }
}

v1::Role RoleFromWord(absl::string_view word) {
  for (v1::Role role : kRoles) {
    if (word == RoleWord(role)) return role;
  }
  return v1::ROLE_UNSPECIFIED;
}

std::set<v1::Role> RoleClosure(v1::Role role) {
  switch (role) {
    case v1::ROLE_DELIVER:
      return {v1::ROLE_DELIVER};
    case v1::ROLE_READER:
      return {v1::ROLE_READER};
    case v1::ROLE_AUDITOR:
      return {v1::ROLE_AUDITOR, v1::ROLE_READER};
    case v1::ROLE_OPERATOR:
      return {v1::ROLE_OPERATOR, v1::ROLE_READER, v1::ROLE_DELIVER};
    case v1::ROLE_ADMIN:
      return {v1::ROLE_ADMIN, v1::ROLE_OPERATOR, v1::ROLE_READER, v1::ROLE_DELIVER};
    default:
      return {};
  }
}

const AccessTable& AccessTable::Get() {
  static const AccessTable* table = new AccessTable();
  return *table;
}

AccessTable::AccessTable() {
  for (const google::protobuf::FileDescriptor* file :
       {v1::HelloRequest::descriptor()->file(), v1::GetRequest::descriptor()->file(),
        v1::GetSchemaRequest::descriptor()->file(), v1::ProbeRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const google::protobuf::ServiceDescriptor* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        const google::protobuf::MethodDescriptor* method = service->method(m);
        if (!method->options().HasExtension(v1::access)) continue;
        const v1::Access& access = method->options().GetExtension(v1::access);
        MethodAccess entry;
        entry.path = absl::StrCat("/", service->full_name(), "/", method->name());
        for (int role : access.roles()) entry.roles.push_back(static_cast<v1::Role>(role));
        entry.anonymous = access.anonymous();
        entry.anonymous_unconfigured = access.anonymous_unconfigured();
        entry.anonymous_delivery = access.anonymous_delivery();
        by_request_[method->input_type()->full_name()] = entry.path;
        methods_[entry.path] = std::move(entry);
      }
    }
  }
}

absl::string_view AccessTable::PathOf(const google::protobuf::Descriptor& request) const {
  auto it = by_request_.find(request.full_name());
  return it == by_request_.end() ? absl::string_view() : it->second;
}

absl::Status AccessTable::Check(absl::string_view path, const AccessQuery& query) const {
  auto it = methods_.find(std::string(path));
  if (it != methods_.end()) {
    const MethodAccess& method = it->second;
    if (method.anonymous) return absl::OkStatus();
    if (method.anonymous_unconfigured && !query.configured) return absl::OkStatus();
    if (method.anonymous_delivery && query.configured && query.anonymous_delivery) {
      return absl::OkStatus();
    }
    if (query.authenticated) {
      for (v1::Role role : method.roles) {
        if (query.roles.count(role) > 0) return absl::OkStatus();
      }
    }
  }
  if (!query.authenticated) {
    return Coded(absl::StatusCode::kUnauthenticated, "certificate-needed",
                 query.configured
                     ? "this call needs a client certificate of an authority that the node's "
                       "config names in api.clientCas"
                     : "this call needs a client certificate, and the node has no config yet that "
                       "could name an authority for one",
                 query.configured ? "name one in context.yaml: certificate, certificateKey"
                                  : "`nodectl status` shows what such a node tells; give it a "
                                    "config first: nodectl apply -f FILE");
  }
  if (it == methods_.end()) {
    return Coded(absl::StatusCode::kPermissionDenied, "unknown-method",
                 "the node has no such call; is nodectl newer than the node?");
  }
  std::set<v1::Role> may = RolesThatMay(it->second.roles);
  if (may.empty()) {
    return Coded(absl::StatusCode::kPermissionDenied, "needs-role", "this call is open to nobody");
  }
  return Coded(
      absl::StatusCode::kPermissionDenied, "needs-role",
      absl::StrCat("this call needs one of the roles: ", Words(may),
                   "; the certificate has: ", query.roles.empty() ? "none" : Words(query.roles)));
}

}  // namespace basalt::api
