// What k3s.hardening, k3s.kubelet and k3s.snapshots.s3 become in K3s's own files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/validate/validate.h"
#include "server/k3s/component_args.h"
#include "server/k3s/plan.h"
#include "tests/unit/server/k3s/configs.h"

namespace basalt::k3s {
namespace {

using testing::AgentConfig;
using ::testing::Contains;
using testing::Facts;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ServerConfig;

v1::MachineConfig Hardened(v1::MachineConfig config) {
  config.mutable_k3s()->mutable_hardening()->set_profile("cis");
  return schema::Resolve(config);
}

std::string FileOf(const Rendered& rendered, absl::string_view path) {
  for (const RenderedFile& file : rendered.files) {
    if (file.path == path) return file.content;
  }
  return "";
}

// The value of NAME=VALUE in the rendered list of a key, as the component takes it: the last one.
std::string Flag(const Rendered& rendered, absl::string_view key, absl::string_view name) {
  std::string found = "(absent)";
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(rendered.config_yaml, '\n')) {
    if (absl::StartsWith(line, "\""))
      inside = absl::StartsWith(line, absl::StrCat("\"", key, "\":"));
    const std::string head = absl::StrCat("  - \"", name, "=");
    if (inside && absl::StartsWith(line, head)) {
      found = std::string(line.substr(head.size(), line.size() - head.size() - 1));
    }
  }
  return found;
}

struct Check {
  const char* id;  // of the CIS benchmark for Kubernetes
  const char* key;
  const char* name;
  const char* value;  // a trailing * stands for any rest
};
constexpr Check kServerChecks[] = {
    {"1.2.1", "kube-apiserver-arg", "anonymous-auth", "false"},
    {"1.2.9", "kube-apiserver-arg", "enable-admission-plugins", "NodeRestriction,EventRateLimit*"},
    {"1.2.15", "kube-apiserver-arg", "profiling", "false"},
    {"1.2.16", "kube-apiserver-arg", "audit-log-path", "/n/data/k3s/server/logs/audit.log"},
    {"1.2.17", "kube-apiserver-arg", "audit-log-maxage", "30"},
    {"1.2.18", "kube-apiserver-arg", "audit-log-maxbackup", "10"},
    {"1.2.19", "kube-apiserver-arg", "audit-log-maxsize", "100"},
    {"1.2.20", "kube-apiserver-arg", "request-timeout", "300s"},
    {"1.2.21", "kube-apiserver-arg", "service-account-lookup", "true"},
    {"1.3.1", "kube-controller-manager-arg", "terminated-pod-gc-threshold", "100"},
    {"1.3.2", "kube-controller-manager-arg", "profiling", "false"},
    {"1.3.3", "kube-controller-manager-arg", "use-service-account-credentials", "true"},
    {"1.4.1", "kube-scheduler-arg", "profiling", "false"},
    {"3.2.1", "kube-apiserver-arg", "audit-policy-file", "/n/etc/rancher/k3s/hardening/*"},
    {"5.2.1", "kube-apiserver-arg", "admission-control-config-file", "/n/etc/rancher/k3s/*"},
};
constexpr Check kNodeChecks[] = {
    {"4.2.1", "kubelet-arg", "anonymous-auth", "false"},
    {"4.2.2", "kubelet-arg", "authorization-mode", "Webhook"},
    {"4.2.4", "kubelet-arg", "read-only-port", "0"},
    {"4.2.5", "kubelet-arg", "streaming-connection-idle-timeout", "5m"},
    {"4.2.7", "kubelet-arg", "make-iptables-util-chains", "true"},
    {"4.2.12", "kubelet-arg", "tls-cipher-suites", "TLS_ECDHE_*"},
};

void ExpectChecks(const Rendered& rendered, absl::Span<const Check> checks) {
  for (const Check& check : checks) {
    std::string value = Flag(rendered, check.key, check.name);
    std::string want = check.value;
    if (absl::EndsWith(want, "*")) {
      want.pop_back();
      value = value.substr(0, want.size());
    }
    EXPECT_EQ(value, want) << check.id << " " << check.key << " " << check.name;
  }
}

TEST(Hardening, K7_TheCisProfileIsWhatIsRendered) {
  const auto server = Render(Hardened(ServerConfig()), Facts());
  ASSERT_TRUE(server.ok()) << server.status();
  ExpectChecks(*server, kServerChecks);
  ExpectChecks(*server, kNodeChecks);
  EXPECT_THAT(server->config_yaml, HasSubstr("\"protect-kernel-defaults\": true\n"));  // 4.2.6
  const auto agent = Render(Hardened(AgentConfig()), Facts());
  ASSERT_TRUE(agent.ok()) << agent.status();
  ExpectChecks(*agent, kNodeChecks);
  EXPECT_THAT(agent->config_yaml, HasSubstr("\"protect-kernel-defaults\": true\n"));
  EXPECT_THAT(agent->config_yaml, Not(HasSubstr("kube-apiserver-arg")));
  EXPECT_EQ(FileOf(*agent, kAdmissionPath), "");
}

// No flag that K3s is given opens the read-only port or lets strangers in, hardened or not; and a
// config that would is warned of, or refused beside the profile.
TEST(Hardening, K7_NoDoorIsOpenedByDefault) {
  for (const v1::MachineConfig& config :
       {ServerConfig(), AgentConfig(), Hardened(ServerConfig()), Hardened(AgentConfig())}) {
    const auto rendered = Render(config, Facts());
    ASSERT_TRUE(rendered.ok());
    for (const char* open : {"anonymous-auth=true", "read-only-port=10255", "AlwaysAllow",
                             "profiling=true", "insecure-port"}) {
      EXPECT_THAT(rendered->config_yaml, Not(HasSubstr(open)));
    }
  }
  for (const char* flag :
       {"anonymous-auth=true", "read-only-port=10255", "authorization-mode=AlwaysAllow"}) {
    v1::MachineConfig config = ServerConfig();
    (*config.mutable_k3s()->mutable_config())["kubelet-arg"].mutable_list()->add_values(flag);
    auto reasons = [](const std::vector<api::Violation>& list, absl::string_view reason) {
      return std::any_of(list.begin(), list.end(), [&](const api::Violation& v) {
        return v.reason == reason && v.path == "k3s.config[kubelet-arg][0]";
      });
    };
    EXPECT_TRUE(reasons(validate::Validate(config, validate::Stage::kSource).warnings, "insecure"))
        << flag;
    EXPECT_TRUE(
        reasons(validate::Validate(Hardened(config), validate::Stage::kSource).errors, "conflict"))
        << flag;
  }
}

TEST(Hardening, PodSecurityHoldsForAllButTheSystemAndWhatIsNamed) {
  v1::MachineConfig config = ServerConfig();
  v1::K3sHardening& hardening = *config.mutable_k3s()->mutable_hardening();
  hardening.set_profile("cis");
  hardening.set_pod_security("baseline");
  hardening.add_exempt_namespaces("longhorn-system");
  (*config.mutable_k3s()->mutable_config())["servicelb-namespace"].set_text("lb");
  const auto rendered = Render(schema::Resolve(config), Facts());
  ASSERT_TRUE(rendered.ok());
  const std::string admission = FileOf(*rendered, kAdmissionPath);
  EXPECT_THAT(admission, HasSubstr("        enforce: \"baseline\"\n"));
  EXPECT_THAT(admission, HasSubstr("        namespaces:\n          - \"kube-system\"\n"
                                   "          - \"lb\"\n          - \"longhorn-system\"\n"));
  EXPECT_THAT(admission, HasSubstr("type: Server"));
  EXPECT_THAT(FileOf(*rendered, kAuditPolicyPath), HasSubstr("level: Metadata"));

  config.mutable_k3s()->mutable_hardening()->set_audit_policy("kind: Policy\nrules: []\n");
  const auto own = Render(schema::Resolve(config), Facts());
  EXPECT_EQ(FileOf(*own, kAuditPolicyPath), "kind: Policy\nrules: []\n");
  EXPECT_NE(own->tag, rendered->tag) << "the apiserver reads the policy at its start";
}

TEST(Hardening, ThePlanSaysWhatTheKubeletDemandsOfTheKernel) {
  const MachineSize big = {.memory = int64_t{8} << 30, .cpus = 4, .free_bytes = int64_t{64} << 30};
  v1::MachineConfig config = Hardened(ServerConfig());
  auto& sysctls = *config.mutable_system()->mutable_kernel()->mutable_sysctls();
  for (const auto& [key, value] :
       {std::pair{"vm.overcommit_memory", "1"}, std::pair{"vm.panic_on_oom", "0"},
        std::pair{"kernel.panic", "10"}, std::pair{"kernel.panic_on_oops", "1"},
        std::pair{"kernel.keys.root_maxkeys", "1000000"}}) {
    sysctls[key] = value;
  }
  auto plan = PlanK3s(nullptr, config, Facts(), big);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->warnings, Contains(HasSubstr("kernel.keys.root_maxbytes=25000000:")));
  EXPECT_THAT(absl::StrJoin(plan->warnings, " "), Not(HasSubstr("kernel.panic=10")));
  sysctls["kernel.keys.root_maxbytes"] = "25000000";
  EXPECT_THAT(absl::StrJoin(PlanK3s(nullptr, config, Facts(), big)->warnings, " "),
              Not(HasSubstr("hardening")));
  // Turned on later: a restart that names the section.
  const v1::MachineConfig before = ServerConfig();
  const auto later = PlanK3s(&before, config, Facts(), big);
  ASSERT_TRUE(later.ok());
  ASSERT_FALSE(later->steps.empty());
  EXPECT_THAT(later->steps[0].description, HasSubstr("changed: hardening"));
}

TEST(Hardening, FlagsOfTheReleaseAlone) {
  v1::MachineConfig config = Hardened(ServerConfig());
  const std::string flag = "service-account-extend-token-expiration";
  EXPECT_EQ(Flag(*Render(config, Facts()), "kube-apiserver-arg", flag), "false");
  config.mutable_k3s()->set_version("v1.28.9+k3s1");
  EXPECT_EQ(Flag(*Render(config, Facts()), "kube-apiserver-arg", flag), "(absent)");
}

TEST(Kubelet, TypedSettingsBecomeFlagsBeforeThoseOfTheOwner) {
  v1::MachineConfig config = AgentConfig();
  v1::K3sKubelet& kubelet = *config.mutable_k3s()->mutable_kubelet();
  kubelet.set_max_pods(60);
  (*kubelet.mutable_system_reserved())["memory"] = "256Mi";
  (*kubelet.mutable_system_reserved())["cpu"] = "200m";
  (*kubelet.mutable_eviction_hard())["memory.available"] = "100Mi";
  (*kubelet.mutable_eviction_hard())["nodefs.available"] = "10%";
  (*config.mutable_k3s()->mutable_config())["kubelet-arg"].mutable_list()->add_values("v=4");
  const auto rendered = Render(config, Facts());
  ASSERT_TRUE(rendered.ok());
  EXPECT_THAT(rendered->config_yaml,
              HasSubstr("\"kubelet-arg\":\n"
                        "  - \"volume-plugin-dir=/var/lib/kubelet/volumeplugins\"\n"
                        "  - \"max-pods=60\"\n"
                        "  - \"system-reserved=cpu=200m,memory=256Mi\"\n"
                        "  - \"eviction-hard=memory.available<100Mi,nodefs.available<10%\"\n"
                        "  - \"v=4\"\n"));
}

TEST(S3, CredentialsGoThroughTheEnvironment) {
  v1::MachineConfig config = ServerConfig();
  config.mutable_k3s()->mutable_cluster()->set_init(true);
  v1::K3sS3& s3 = *config.mutable_k3s()->mutable_snapshots()->mutable_s3();
  s3.set_endpoint("s3.example.org");
  s3.set_bucket("snapshots");
  s3.set_folder("home");
  s3.mutable_access_key()->set_plain("AKIA-the-access-key");
  s3.mutable_secret_key()->set_plain("the-secret-key-of-s3");
  config = schema::Resolve(config);
  const auto rendered = Render(config, Facts());
  ASSERT_TRUE(rendered.ok());
  for (const char* line :
       {"\"etcd-s3\": true\n", "\"etcd-s3-endpoint\": \"s3.example.org\"\n",
        "\"etcd-s3-bucket\": \"snapshots\"\n", "\"etcd-s3-folder\": \"home\"\n"}) {
    EXPECT_THAT(rendered->config_yaml, HasSubstr(line));
  }
  EXPECT_THAT(rendered->config_yaml, Not(HasSubstr("secret-key")));
  EXPECT_THAT(rendered->config_yaml, Not(HasSubstr("AKIA")));
  EXPECT_THAT(absl::StrJoin(rendered->argv, " "), Not(HasSubstr("AKIA")));
  EXPECT_THAT(rendered->env, Contains("AWS_ACCESS_KEY_ID=AKIA-the-access-key"));
  EXPECT_THAT(rendered->env, Contains("AWS_SECRET_ACCESS_KEY=the-secret-key-of-s3"));
  // Without etcd nothing of it is rendered.
  config.mutable_k3s()->clear_cluster();
  EXPECT_THAT(Render(config, Facts())->config_yaml, Not(HasSubstr("etcd-s3")));
}

}  // namespace
}  // namespace basalt::k3s
