// Firewall and tunnels: what the kernel is told beside links and addresses.
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/network/controller_impl.h"
#include "server/controllers/network/firewall.h"
#include "server/controllers/network/tunnels.h"

namespace basalt::network {
namespace {

constexpr absl::Duration kResolveAgain = absl::Seconds(30);

}  // namespace

absl::Status ControllerImpl::SetFirewall() {
  const bool wanted = config_ && config_->network().has_firewall();
  absl::StatusOr<std::string> mark = deps_.filter.Mark();
  if (!mark.ok()) {
    // A kernel without nftables has no firewall to remove.
    return wanted ? mark.status() : absl::OkStatus();
  }
  if (!wanted) return mark->empty() ? absl::OkStatus() : deps_.filter.Remove();
  host::FilterPolicy policy = PolicyOf(config_->network().firewall());
  if (config_->api().discoverable()) policy.rules.push_back(DiscoveryRule());
  return *mark == host::MarkOf(policy) ? absl::OkStatus() : deps_.filter.Set(policy);
}

absl::StatusOr<std::string> ControllerImpl::PrivateKey(const v1::Interface& interface) {
  if (interface.wireguard().has_private_key()) {
    const std::string key = KeyBytes(interface.wireguard().private_key().plain());
    if (!key.empty()) return key;
  }
  const std::string path = absl::StrCat(kKeyDir, "/", interface.name(), ".key");
  absl::StatusOr<std::string> kept = deps_.vfs.Read(path, 256);
  if (kept.ok()) {
    const std::string key = KeyBytes(kept->substr(0, kept->find('\n')));
    if (!key.empty()) return key;
    // Its peers know the old one: a new one would be another node to them.
    return api::Coded(absl::StatusCode::kDataLoss, "wireguard-key-damaged",
                      absl::StrCat(path, " holds no key"),
                      "give the tunnel a privateKey in the config");
  }
  if (!absl::IsNotFound(kept.status())) return kept.status();
  const std::string key = NewKey(deps_.random);
  absl::Status status = deps_.vfs.MakeDirs(kKeyDir);
  if (status.ok()) status = deps_.vfs.Replace(path, absl::StrCat(KeyText(key), "\n"));
  if (!status.ok()) return status;
  return key;
}

absl::Status ControllerImpl::SetTunnels() {
  public_keys_.clear();
  if (!config_) return absl::OkStatus();
  absl::Status all;
  std::set<std::string> missing;
  for (const v1::Interface& interface : config_->network().interfaces()) {
    if (!interface.has_wireguard() || last_.state.Find(interface.name()) == nullptr) continue;
    absl::StatusOr<std::string> key = PrivateKey(interface);
    absl::Status status = key.status();
    if (key.ok()) {
      public_keys_[interface.name()] = KeyText(PublicKeyOf(*key));
      status =
          deps_.wireguard.Set(interface.name(), TunnelOf(interface.wireguard(), *key, resolved_));
    }
    if (all.ok() && !status.ok()) all = api::Annotate(status, interface.name());
    for (const std::string& name : NamesOf(interface.wireguard())) {
      if (resolved_.count(name) == 0) missing.insert(name);
    }
  }
  if (!missing.empty()) Resolve(std::move(missing));
  return all;
}

// DNS may be behind a link that was just set up: nobody waits for it.
void ControllerImpl::Resolve(std::set<std::string> names) {
  if (std::exchange(resolving_, true)) return;
  auto found = std::make_shared<std::map<std::string, std::string>>();
  const bool queued = deps_.executor.RunBlocking(
      [found, names, resolve = deps_.resolve] {
        for (const std::string& name : names) {
          if (std::string ip = resolve(name); !ip.empty()) (*found)[name] = ip;
        }
      },
      [this, found, all = names.size()] {
        resolving_ = false;
        for (auto& [name, ip] : *found) resolved_[name] = ip;
        if (found->size() < all) ResolveLater();
        if (found->empty() || busy_ > 0) return;
        tunnel_status_ = SetTunnels();
        Changed();
      });
  if (queued) return;
  resolving_ = false;
  ResolveLater();
}

void ControllerImpl::ResolveLater() {
  if (resolve_timer_ != 0) return;
  resolve_timer_ = deps_.executor.After(kResolveAgain, [this] {
    resolve_timer_ = 0;
    if (busy_ == 0) tunnel_status_ = SetTunnels();
  });
}

}  // namespace basalt::network
