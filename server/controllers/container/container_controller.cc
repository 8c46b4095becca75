#include "server/controllers/container/container_controller.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/network/names.h"
#include "server/dhcp/lease.h"
#include "server/fetch/outside.h"

namespace basalt::container {
namespace {

constexpr char kNoName[] = "localhost";  // of a container without a config

class ContainerController : public engine::Controller {
 public:
  ContainerController(host::Vfs& vfs, host::Kernel& kernel) : vfs_(vfs), kernel_(kernel) {}

  std::string name() const override { return "container"; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override {
    return PlanContainer(from, to);
  }
  void Prepare(const v1::MachineConfig& to, engine::OnProgress, engine::Done done) override {
    if (to.system().ca_certificates().empty()) return done(absl::OkStatus());
    // What the bundle begins with has to be there, or K3s would trust nobody but the config's own.
    done(vfs_.Read(fetch::kImageAuthorities).status());
  }
  void CancelPrepare() override {}
  void Execute(const v1::MachineConfig* to, engine::Done done) override {
    configured_ = to != nullptr;
    fault_ = Apply(to);
    on_change_();
    done(absl::OkStatus());
  }
  void Erase(engine::Done done) override { done(absl::OkStatus()); }
  std::vector<engine::Condition> Observe() const override {
    if (!configured_) return {};
    engine::Condition condition{
        .type = "ContainerConfigured", .holds = fault_.ok(), .reason = "AsConfigured"};
    if (!fault_.ok()) {
      condition.reason = "NotAsConfigured";
      condition.message = std::string(fault_.message());
      condition.code = "container-failed";
      condition.hopeless = true;
    }
    return {condition};
  }
  absl::Duration Deadline(const v1::MachineConfig&, const std::string&) const override {
    return absl::ZeroDuration();
  }
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override { return {}; }
  void CollectGarbage(const std::vector<const v1::MachineConfig*>&) override {}

 private:
  absl::Status Apply(const v1::MachineConfig* to) {
    const std::string name = to == nullptr ? kNoName : to->metadata().name();
    if (to != nullptr && kernel_.HostName() != name) {
      if (absl::Status status = kernel_.SetHostName(name); !status.ok()) {
        return api::Annotate(status, "metadata.name");
      }
    }
    if (absl::Status status = vfs_.MakeDirs("run/etc/ssl/certs", 0755); !status.ok()) return status;
    absl::Status status = Keep(kHostNameFile, absl::StrCat(name, "\n"));
    if (status.ok()) status = Keep(kHosts, network::HostsText(to));
    if (status.ok()) status = Keep(kResolvConf, ResolvConf(to));
    if (!status.ok()) return status;
    if (to == nullptr || to->system().ca_certificates().empty()) {
      return vfs_.Remove(fetch::kAuthorities);
    }
    absl::StatusOr<std::string> image = vfs_.Read(fetch::kImageAuthorities);
    if (!image.ok()) return api::Annotate(image.status(), "the image's authorities");
    return Keep(fetch::kAuthorities, fetch::AuthoritiesText(to->system(), *image));
  }

  std::string ResolvConf(const v1::MachineConfig* to) {
    const dhcp::Lease names = network::ConfiguredNames(to);
    if (names.servers.empty() && names.search.empty()) {
      return vfs_.Read(kGivenResolvConf).value_or("");
    }
    return dhcp::ResolvConf({names});
  }

  // A node at rest writes nothing.
  absl::Status Keep(const std::string& path, const std::string& text) {
    const absl::StatusOr<std::string> there = vfs_.Read(path);
    if (there.ok() && *there == text) return absl::OkStatus();
    return vfs_.ReplaceVolatile(path, text, 0644);
  }

  host::Vfs& vfs_;
  host::Kernel& kernel_;
  bool configured_ = false;
  absl::Status fault_;
  std::function<void()> on_change_ = [] {};
};

}  // namespace

std::unique_ptr<engine::Controller> MakeContainerController(host::Vfs& vfs, host::Kernel& kernel) {
  return std::make_unique<ContainerController>(vfs, kernel);
}

}  // namespace basalt::container
