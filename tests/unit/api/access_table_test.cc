#include "api/access_table.h"

#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "basalt/v1/diagnose_service.pb.h"
#include "basalt/v1/node_service.pb.h"
#include "basalt/v1/resource_service.pb.h"
#include "basalt/v1/schema_service.pb.h"

namespace basalt::api {
namespace {

TEST(AccessTable, EveryMethodIsOpenToSomebodyAndNoneToAnEmptyRoleSet) {
  for (const auto& [path, method] : AccessTable::Get().methods()) {
    EXPECT_FALSE(method.roles.empty()) << path;
    AccessQuery nobody{.authenticated = true, .configured = true};
    EXPECT_EQ(AccessTable::Get().Check(path, nobody).ok(), method.anonymous) << path;
    AccessQuery admin = nobody;
    admin.roles = RoleClosure(v1::ROLE_ADMIN);
    EXPECT_TRUE(AccessTable::Get().Check(path, admin).ok()) << path;
  }
}

TEST(AccessTable, UnknownMethodsAreDeniedAndStrangersLearnNothing) {
  AccessQuery admin{
      .authenticated = true, .roles = RoleClosure(v1::ROLE_ADMIN), .configured = true};
  for (const char* path : {"", "/", "/basalt.v1.NodeService/Nope", "/grpc.health.v1.Health/Check",
                           "/basalt.v1.NodeService/hello", "basalt.v1.NodeService/Hello"}) {
    EXPECT_EQ(Reason(AccessTable::Get().Check(path, admin)), "unknown-method") << path;
    EXPECT_EQ(AccessTable::Get().Check(path, {.configured = true}),
              AccessTable::Get().Check("/basalt.v1.NodeService/History", {.configured = true}));
  }
}

TEST(AccessTable, TheRequestTellsTheMethod) {
  std::set<std::string> found;
  for (const auto* service : {v1::HelloRequest::descriptor()->file()->service(0),
                              v1::GetRequest::descriptor()->file()->service(0),
                              v1::GetSchemaRequest::descriptor()->file()->service(0),
                              v1::ProbeRequest::descriptor()->file()->service(0)}) {
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string path = "/" + service->full_name() + "/" + service->method(i)->name();
      EXPECT_EQ(AccessTable::Get().PathOf(*service->method(i)->input_type()), path);
      found.insert(path);
    }
  }
  EXPECT_EQ(found.size(), AccessTable::Get().methods().size());
  EXPECT_EQ(AccessTable::Get().PathOf(*v1::HelloReply::descriptor()), "");
}

TEST(AccessTable, RolesAreClosedDownwards) {
  EXPECT_EQ(RoleClosure(v1::ROLE_AUDITOR), (std::set<v1::Role>{v1::ROLE_AUDITOR, v1::ROLE_READER}));
  EXPECT_EQ(RoleClosure(v1::ROLE_ADMIN).count(v1::ROLE_AUDITOR), 0u);
  EXPECT_EQ(RoleClosure(v1::ROLE_ADMIN).size(), 4u);
  EXPECT_TRUE(RoleClosure(v1::ROLE_UNSPECIFIED).empty());
  EXPECT_EQ(RoleFromWord("Admin"), v1::ROLE_UNSPECIFIED);
  EXPECT_EQ(RoleFromWord(""), v1::ROLE_UNSPECIFIED);
}

}  // namespace
}  // namespace basalt::api
