// Who may have what probed, and what of it comes back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/access_table.h"
#include "api/coded_status.h"
#include "server/diagnose/address_policy.h"
#include "server/diagnose/diagnoser.h"

namespace basalt::diagnose {
namespace {

using ::testing::HasSubstr;

engine::Caller Who(v1::Role role) {
  return {.authenticated = true,
          .name = "carol",
          .roles = api::RoleClosure(role),
          .peer = "192.168.1.7:51234"};
}

v1::ProbeRequest Ask(v1::ProbeKind kind, const std::string& target) {
  v1::ProbeRequest request;
  request.set_kind(kind);
  request.set_target(target);
  return request;
}

TEST(AddressPolicy, WhatOnlyTheNodeReachesIsClosed) {
  for (const char* ip : {"127.0.0.1",
                         "127.8.8.8",
                         "0.0.0.0",
                         "169.254.169.254",
                         "169.254.170.2",
                         "224.0.0.1",
                         "255.255.255.255",
                         "100.100.100.200",
                         "168.63.129.16",
                         "192.0.0.192",
                         "::",
                         "::1",
                         "fe80::1",
                         "ff02::1",
                         "fd00:ec2::254",
                         "::ffff:127.0.0.1",
                         "::ffff:169.254.169.254",
                         "64:ff9b::a9fe:a9fe",
                         "2002:7f00:1::",
                         "::7f00:1",
                         "",
                         "localhost",
                         "1.2.3"}) {
    EXPECT_NE(WhyClosed(ip), "") << ip;
  }
  for (const char* ip : {"192.168.1.1", "10.0.0.1", "8.8.8.8", "100.64.0.1", "fd00::1",
                         "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"}) {
    EXPECT_EQ(WhyClosed(ip), "") << ip;
  }
}

TEST(ProbeTask, TargetsAreWhatTheirKindWants) {
  const engine::Caller carol = Who(v1::ROLE_OPERATOR);
  auto task = TaskOf(carol, Ask(v1::PROBE_KIND_HTTP, "https://get.k3s.io/x?y=1"));
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->host, "get.k3s.io");
  EXPECT_EQ(task->port, 443);
  EXPECT_TRUE(task->tls);
  EXPECT_EQ(task->path, "/x?y=1");
  EXPECT_FALSE(task->any_address);
  EXPECT_EQ(TaskOf(carol, Ask(v1::PROBE_KIND_TLS, "[fd00::1]:6443"))->host, "fd00::1");
  EXPECT_EQ(TaskOf(carol, Ask(v1::PROBE_KIND_DNS, "example.org"))->host, "example.org");
  for (const auto& [kind, target] : std::vector<std::pair<v1::ProbeKind, std::string>>{
           {v1::PROBE_KIND_DNS, "a b"},
           {v1::PROBE_KIND_DNS, "-x"},
           {v1::PROBE_KIND_TCP, "example.org"},
           {v1::PROBE_KIND_TCP, "example.org:0"},
           {v1::PROBE_KIND_TCP, ":80"},
           {v1::PROBE_KIND_TLS, "https://x"},
           {v1::PROBE_KIND_HTTP, "file:///etc/passwd"},
           {v1::PROBE_KIND_HTTP, "gopher://x"},
           {v1::PROBE_KIND_HTTP, "http://x/\r\nHost: y"},
           {v1::PROBE_KIND_UNSPECIFIED, "x"}}) {
    EXPECT_EQ(api::Reason(TaskOf(carol, Ask(kind, target)).status()), "bad-target") << target;
  }
}

TEST(ProbeTask, OnlyAnAdminMayHaveEveryAddressProbed) {
  v1::ProbeRequest request = Ask(v1::PROBE_KIND_TCP, "127.0.0.1:6443");
  request.set_any_address(true);
  EXPECT_EQ(api::Reason(TaskOf(Who(v1::ROLE_OPERATOR), request).status()), "needs-role");
  EXPECT_TRUE(TaskOf(Who(v1::ROLE_ADMIN), request)->any_address);
}

TEST(ProbeTask, TimeIsBounded) {
  v1::ProbeRequest request = Ask(v1::PROBE_KIND_TCP, "a.b:1");
  request.set_timeout_ms(30001);
  EXPECT_EQ(api::Reason(TaskOf(Who(v1::ROLE_OPERATOR), request).status()), "bad-timeout");
  request.set_timeout_ms(-1);
  EXPECT_EQ(api::Reason(TaskOf(Who(v1::ROLE_OPERATOR), request).status()), "bad-timeout");
}

TEST(ProbeTask, IsReadBackFromItsArguments) {
  const ProbeTask task = {.kind = ProbeTask::Kind::kHttp,
                          .host = "h",
                          .port = 8443,
                          .tls = true,
                          .path = "/a b",
                          .server_name = "s",
                          .timeout_ms = 5,
                          .any_address = true};
  EXPECT_EQ(FromArguments(ToArguments(task)), task);
  EXPECT_FALSE(FromArguments({}));
}

ProbeResult Sample() {
  return {.reached = true,
          .steps = {{"resolve", 1200}, {"connect", 900}},
          .addresses = {"10.0.0.1"},
          .peer = "10.0.0.1:443",
          .tls_version = "TLSv1.3",
          .tls_cipher = "TLS_AES_256_GCM_SHA384",
          .tls_fault = "self-signed certificate",
          .certificates = {{.subject = "CN=x",
                            .issuer = "CN=y",
                            .sha256 = "aa",
                            .names = {"x.example.org"},
                            .not_before = 1795400000,
                            .not_after = 1795500000}},
          .http_status = 200,
          .http_location = "",
          .http_type = "text/html",
          .http_bytes = 7};
}

TEST(ProbeResult, IsReadBackAndWhatAStrangerChoseIsHarmless) {
  ProbeResult result = Sample();
  EXPECT_EQ(UnpackResult(Pack(result)), result);
  const std::string packed = Pack(result);
  for (size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(UnpackResult(packed.substr(0, size))) << size;
  }
  result.certificates[0].subject = "CN=\x1b[2J";
  EXPECT_EQ(UnpackResult(Pack(result))->certificates[0].subject, "CN=?[2J");
}

TEST(ProbeReply, DaysAreWholeAndBelowZeroOnceACertificateHasExpired) {
  const ProbeResult result = Sample();
  auto days = [&](int64_t before_end) {
    return ReplyOf(result, absl::FromUnixSeconds(1795500000 - before_end))
        .certificates(0)
        .days_left();
  };
  EXPECT_EQ(days(10 * 86400 + 5), 10);
  EXPECT_EQ(days(5), 0);
  EXPECT_EQ(days(-1), -1);
  EXPECT_EQ(days(-86400), -1);
  EXPECT_EQ(days(-86401), -2);
  EXPECT_FALSE(ReplyOf(result, absl::UnixEpoch()).tls_verified());
}

TEST(CaptureTask, IsBoundedAndReadBack) {
  v1::CaptureRequest request;
  request.set_interface("eth0");
  v1::CaptureFilter& filter = *request.add_filters();
  filter.set_link_type(1);
  v1::BpfInstruction& one = *filter.add_instructions();
  one.set_code(6);
  one.set_k(262144);
  auto task = TaskOf(Who(v1::ROLE_OPERATOR), request);
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->peer, "192.168.1.7:51234");
  EXPECT_FALSE(task->loopback);
  EXPECT_EQ(UnpackTask(Pack(*task)), *task);
  EXPECT_TRUE(TaskOf(Who(v1::ROLE_ADMIN), request)->loopback);
  auto refused = [&](auto change) {
    v1::CaptureRequest other = request;
    change(other);
    return api::Reason(TaskOf(Who(v1::ROLE_OPERATOR), other).status());
  };
  EXPECT_EQ(refused([](auto& r) { r.set_duration_ms(600001); }), "bad-timeout");
  EXPECT_EQ(refused([](auto& r) { r.set_max_bytes(1); }), "bad-size");
  EXPECT_EQ(refused([](auto& r) { r.set_max_bytes(int64_t{1} << 40); }), "bad-size");
  EXPECT_EQ(refused([](auto& r) { r.set_interface("../x"); }), "bad-target");
  EXPECT_EQ(refused([](auto& r) { r.add_filters(); }), "bad-filter");
  EXPECT_EQ(
      refused([](auto& r) { r.mutable_filters(0)->mutable_instructions(0)->set_code(70000); }),
      "bad-filter");
}

TEST(DefaultInterface, IsThatOfTheFirstDefaultRoute) {
  const char* const kRoutes =
      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
      "cni0\t00002A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
      "eth1\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
  EXPECT_EQ(DefaultInterface(kRoutes), "eth1");
  EXPECT_EQ(DefaultInterface(""), "");
  EXPECT_EQ(DefaultInterface("a\tb\n"), "");
}

}  // namespace
}  // namespace basalt::diagnose
