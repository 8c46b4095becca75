// A node that is a container: what is its own is done, what is the host's is refused by field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/controllers/container/container_controller.h"
#include "tests/support/kernel/fake_kernel.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::container {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

v1::MachineConfig Named(const std::string& name) {
  v1::MachineConfig config;
  config.mutable_metadata()->set_name(name);
  return config;
}

class ContainerTest : public ::testing::Test {
 protected:
  absl::Status Execute(const v1::MachineConfig* to) {
    absl::Status out = absl::UnknownError("not done");
    controller_->Execute(to, [&out](absl::Status status) { out = std::move(status); });
    return out;
  }
  testing::FakeVfs vfs_;
  testing::FakeKernel kernel_;
  std::unique_ptr<engine::Controller> controller_ = MakeContainerController(vfs_, kernel_);
};

TEST_F(ContainerTest, ItsNamesAreItsOwn) {
  v1::MachineConfig config = Named("n1");
  v1::HostEntry& host = *config.mutable_network()->add_hosts();
  host.set_ip("10.0.0.2");
  host.add_names("mirror.lan");
  ASSERT_TRUE(Execute(&config).ok());
  EXPECT_EQ(kernel_.host_name, "n1");
  EXPECT_EQ(*vfs_.Read(kHostNameFile), "n1\n");
  EXPECT_THAT(*vfs_.Read(kHosts), HasSubstr("10.0.0.2 mirror.lan"));
  ASSERT_EQ(controller_->Observe().size(), 1u);
  EXPECT_TRUE(controller_->Observe()[0].holds);
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_THAT(*vfs_.Read(kHosts), Not(HasSubstr("mirror.lan")));
  EXPECT_EQ(kernel_.host_name, "n1") << "nobody gave it another";
}

TEST_F(ContainerTest, ServersOfNamesAreTheConfigsElseTheHosts) {
  ASSERT_TRUE(vfs_.MakeDirs("run/host").ok());
  ASSERT_TRUE(vfs_.ReplaceVolatile(kGivenResolvConf, "nameserver 10.0.0.1\n", 0644).ok());
  v1::MachineConfig config = Named("n1");
  ASSERT_TRUE(Execute(&config).ok());
  EXPECT_EQ(*vfs_.Read(kResolvConf), "nameserver 10.0.0.1\n");
  config.mutable_network()->mutable_dns()->add_servers("10.9.9.9");
  ASSERT_TRUE(Execute(&config).ok());
  EXPECT_THAT(*vfs_.Read(kResolvConf), HasSubstr("nameserver 10.9.9.9"));
  EXPECT_THAT(*vfs_.Read(kResolvConf), Not(HasSubstr("10.0.0.1")));
}

// Each field of the three sections, so that a new one cannot be forgotten.
TEST_F(ContainerTest, WhatIsTheHostsIsRefusedByField) {
  v1::MachineConfig config = Named("n1");
  int refused = 0;
  for (const char* section : {"system", "network", "storage"}) {
    const auto* top = v1::MachineConfig::descriptor()->FindFieldByName(section);
    const auto* fields = top->message_type();
    for (int i = 0; i < fields->field_count(); ++i) {
      const auto* field = fields->field(i);
      if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
      const std::string path = std::string(section) + "." + field->json_name();
      v1::MachineConfig to = config;
      auto* body = to.GetReflection()->MutableMessage(&to, top);
      if (field->is_repeated()) {
        body->GetReflection()->AddMessage(body, field);
      } else {
        body->GetReflection()->MutableMessage(body, field);
      }
      const engine::ControllerPlan plan = PlanContainer(&config, to);
      const bool own = path == "system.caCertificates" || path == "system.proxy" ||
                       path == "network.hosts" || path == "network.dns";
      if (own) {
        for (const engine::PlanStep& step : plan.steps) EXPECT_THAT(step.unimplemented, IsEmpty());
        continue;
      }
      ASSERT_EQ(plan.steps.size(), 1u) << path;
      EXPECT_EQ(plan.steps[0].controller, path);
      EXPECT_THAT(plan.steps[0].unimplemented, Not(IsEmpty())) << path;
      ++refused;
      // What is said already and does not change is no step.
      EXPECT_THAT(PlanContainer(&to, to).steps, IsEmpty()) << path;
    }
  }
  EXPECT_GT(refused, 15);
}

TEST_F(ContainerTest, ANameThatTheKernelRefusesIsACondition) {
  v1::MachineConfig config = Named(std::string(65, 'n'));
  ASSERT_TRUE(Execute(&config).ok());
  ASSERT_EQ(controller_->Observe().size(), 1u);
  EXPECT_FALSE(controller_->Observe()[0].holds);
  EXPECT_EQ(controller_->Observe()[0].code, "container-failed");
}

}  // namespace
}  // namespace basalt::container
