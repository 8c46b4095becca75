// How programs reach the outside: proxies and authorities of the config, as environment.
#include "server/fetch/outside.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basalt::fetch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Outside, WhatTheConfigDoesNotSayIsNotSet) {
  EXPECT_THAT(OutsideEnvironment({}, ""), IsEmpty());
  v1::System system;
  system.mutable_proxy()->set_https("http://proxy.example.org:3128");
  EXPECT_THAT(OutsideEnvironment(system, ""),
              ElementsAre(Pair("HTTPS_PROXY", "http://proxy.example.org:3128"),
                          Pair("NO_PROXY", "localhost,127.0.0.0/8,::1")));
}

TEST(Outside, TheMachineItselfAndWhatIsExemptAreReachedDirectly) {
  v1::System system;
  system.mutable_proxy()->set_http("http://p:1");
  system.mutable_proxy()->add_no_proxy(".lan");
  system.mutable_proxy()->add_no_proxy("192.168.1.0/24");
  EXPECT_EQ(OutsideEnvironment(system, "")["NO_PROXY"],
            "localhost,127.0.0.0/8,::1,.lan,192.168.1.0/24");
}

TEST(Outside, UserAndPasswordStandEscapedInTheUrl) {
  v1::System system;
  v1::Proxy& proxy = *system.mutable_proxy();
  proxy.set_https("http://proxy.example.org:3128/");
  proxy.set_username("basalt node");
  proxy.mutable_password()->set_plain("p@ss:/\xc3\xa9-._~%");
  EXPECT_EQ(OutsideEnvironment(system, "")["HTTPS_PROXY"],
            "http://basalt%20node:p%40ss%3A%2F%C3%A9-._~%25@proxy.example.org:3128/");
}

TEST(Outside, AuthoritiesOfTheConfigAreFoundByTheUsualVariable) {
  v1::System system;
  system.add_ca_certificates()->set_certificate("A");
  EXPECT_THAT(OutsideEnvironment(system, "/n"),
              ElementsAre(Pair("SSL_CERT_FILE", "/n/run/etc/ssl/certs/ca-certificates.crt")));
  system.add_ca_certificates()->set_certificate("B\n");
  EXPECT_EQ(AuthoritiesText(system, "IMAGE"), "IMAGE\nA\nB\n");
}

}  // namespace
}  // namespace basalt::fetch
