#include "api/access_table.h"

#include <gtest/gtest.h>

#include "api/coded_status.h"

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
