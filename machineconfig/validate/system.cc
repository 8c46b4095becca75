// Rules for `system`: image, time, watchdog, proxy, maintenance. The kernel has a file of its own.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "machineconfig/format/net.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/format/time.h"
#include "machineconfig/format/udev.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

void CheckImages(const v1::System& system, Report& report) {
  std::map<std::string, std::string> digests;
  if (system.image().has_digest()) digests.emplace(system.image().digest(), "system.image");
  const std::vector<std::string> paths = Elements("system", system, "extensions");
  for (int i = 0; i < system.extensions_size(); ++i) {
    const v1::SystemExtension& extension = system.extensions(i);
    const std::string& path = paths[i];
    auto [it, fresh] = digests.try_emplace(extension.digest(), path);
    if (fresh || !extension.has_digest()) continue;
    report.Error(schema::Child(path, "digest"), "conflict",
                 absl::StrCat("is the digest of ", it->second, " as well"), "keep one of the two");
  }
}

void CheckTime(const v1::TimeSync& time, Report& report) {
  if (time.servers_size() == 2) {
    report.Warning("system.time.servers", "two-clocks",
                   "when two servers differ nobody knows which one is wrong",
                   "one that is trusted, or three and more");
  }
  const std::vector<std::string> paths = Elements("system.time", time, "servers");
  for (int i = 0; i < time.servers_size(); ++i) {
    const v1::TimeServer& server = time.servers(i);
    if (!server.nts() || !format::ParseIp(server.address()).ok()) continue;
    report.Warning(schema::Child(paths[i], "nts"), "no-name",
                   "NTS checks the name in the server's certificate, and this is an address",
                   "write the server's name, unless its certificate holds the address");
  }
}

void CheckDuration(absl::string_view text, absl::Duration least, absl::Duration most,
                   const std::string& path, Report& report) {
  const auto value = format::ParseDuration(text);
  if (!value.ok() || (*value >= least && *value <= most)) return;
  report.Error(path, "out-of-range",
               absl::StrCat(text, " is out of range; allowed: from ", absl::FormatDuration(least),
                            " to ", absl::FormatDuration(most)));
}

void CheckWatchdog(const v1::MachineConfig& config, Report& report) {
  const v1::Watchdog& watchdog = config.system().watchdog();
  CheckDuration(watchdog.timeout(), absl::Seconds(10), absl::Minutes(10), "system.watchdog.timeout",
                report);
  CheckDuration(watchdog.patience(), absl::Minutes(5), absl::Hours(24), "system.watchdog.patience",
                report);
  for (int i = 0; i < watchdog.also_size(); ++i) {
    if (watchdog.also(i) != "k3s" || config.has_k3s()) continue;
    report.Error(schema::Element("system.watchdog.also", i), "conflict",
                 "this node runs no K3s: it would be reset again and again", "remove it");
  }
  if (watchdog.has_patience() && watchdog.also().empty()) {
    report.Warning("system.watchdog.patience", "ignored", "has a meaning together with `also` only",
                   "also: [gateway], or remove it");
  }
}

// Who is reached without the proxy, as curl and Go read the list.
class Exempt {
 public:
  explicit Exempt(const v1::Proxy& proxy) : entries_(proxy.no_proxy()) {
    for (const std::string& entry : entries_) {
      if (auto network = format::ParseCidr(entry); network.ok()) networks_.push_back(*network);
      if (auto ip = format::ParseIp(entry); ip.ok()) addresses_.insert(ip->bytes);
    }
  }
  bool Holds(const format::IpAddress& ip) const {
    return addresses_.count(ip.bytes) > 0 ||
           std::any_of(networks_.begin(), networks_.end(),
                       [&](const format::Cidr& network) { return network.Contains(ip); });
  }
  bool Holds(absl::string_view host) const {
    if (const auto ip = format::ParseIp(host); ip.ok()) return Holds(*ip);
    return std::any_of(entries_.begin(), entries_.end(), [host](absl::string_view entry) {
      absl::ConsumePrefix(&entry, ".");
      const absl::string_view name = entry.substr(0, entry.find(':'));
      return host == name || absl::EndsWith(host, absl::StrCat(".", name));
    });
  }

 private:
  const google::protobuf::RepeatedPtrField<std::string>& entries_;
  std::vector<format::Cidr> networks_;
  std::set<std::string> addresses_;
};

void CheckProxy(const v1::MachineConfig& config, Report& report) {
  const v1::Proxy& proxy = config.system().proxy();
  for (const auto& [url, path] : {std::make_pair(&proxy.http(), "system.proxy.http"),
                                  std::make_pair(&proxy.https(), "system.proxy.https")}) {
    if (absl::StartsWith(*url, "file:")) {
      report.Error(path, "bad-format", "a proxy is reached by http:// or https://",
                   "for example http://proxy.example.org:3128");
    }
  }
  if (!proxy.has_http() && !proxy.has_https()) {
    report.Error("system.proxy", "required", "names no proxy", "https, http or both");
    return;
  }
  const bool password = proxy.password().value_case() != v1::Secret::VALUE_NOT_SET;
  if (proxy.has_username() != password) {
    report.Error(absl::StrCat("system.proxy.", password ? "username" : "password"), "required",
                 "user name and password go together");
  }
  for (int i = 0; i < proxy.no_proxy_size(); ++i) {
    const std::string& entry = proxy.no_proxy(i);
    if (!absl::StrContains(entry, '/') || absl::StrContains(entry, "://")) continue;
    if (const auto network = format::ParseCidr(entry); !network.ok()) {
      report.Error(schema::Element("system.proxy.noProxy", i), "bad-format",
                   network.status().message());
    }
  }
  for (const v1::EnvVar& variable : config.k3s().env()) {
    const std::string name = absl::AsciiStrToLower(variable.name());
    if (name != "http_proxy" && name != "https_proxy" && name != "no_proxy") continue;
    report.Error(schema::Child(schema::Element("k3s.env", variable.name()), "name"), "conflict",
                 "noded sets it from system.proxy", "remove one of the two");
  }
  const Exempt exempt(proxy);
  // K3s exempts the networks of the cluster itself; where its nodes are it cannot know.
  if (const auto server = format::ParseUrl(config.k3s().cluster().server());
      server.ok() && !exempt.Holds(server->host)) {
    report.Warning("system.proxy.noProxy", "proxied",
                   absl::StrCat("K3s would ask the proxy for its own server, ", server->host),
                   absl::StrCat("add ", server->host, ", or the network of the nodes"));
  }
  for (const v1::Interface& interface : config.network().interfaces()) {
    for (const std::string& text : interface.addresses()) {
      const auto ip = format::ParseIpPrefix(text);
      if (!ip.ok() || exempt.Holds(ip->address)) continue;
      report.Warning("system.proxy.noProxy", "proxied",
                     absl::StrCat("other nodes in the network of `", interface.name(),
                                  "` would be reached by the proxy"),
                     absl::StrCat("add ", ip->Network().network.ToString(), "/", ip->prefix));
    }
  }
}

void CheckMaintenance(const v1::Maintenance& maintenance, Report& report) {
  const std::vector<std::string> paths = Elements("system.maintenance", maintenance, "windows");
  for (int i = 0; i < maintenance.windows_size(); ++i) {
    const v1::MaintenanceWindow& window = maintenance.windows(i);
    const std::string& path = paths[i];
    const auto from = format::ParseTimeOfDay(window.from());
    const auto to = format::ParseTimeOfDay(window.to());
    if (!from.ok() || !to.ok()) continue;
    if (*from == *to) {
      report.Error(schema::Child(path, "to"), "out-of-range", "the window ends when it begins",
                   "for a whole day from: 00:00 and to: 23:59");
      continue;
    }
    const int minutes = (*to - *from + 1440) % 1440;
    if (minutes < 30) {
      report.Warning(
          path, "short-window",
          absl::StrCat("has ", minutes, " minutes; a reboot with K3s and its gate may take longer"),
          "an hour is enough for most nodes");
    }
  }
  if (maintenance.has_time_zone() && maintenance.windows().empty()) {
    report.Warning("system.maintenance.timeZone", "ignored",
                   "has a meaning together with windows only",
                   "windows: [{name: nights, from: 02:00, to: 05:00}]");
  }
}

void CheckFirmware(const v1::Firmware& firmware, Report& report) {
  for (int i = 0; i < firmware.raspberry_pi_size(); ++i) {
    const std::string path = schema::Element("system.firmware.raspberryPi", i);
    const std::string& line = firmware.raspberry_pi(i);
    const absl::string_view name = absl::string_view(line).substr(0, line.find_first_of("=:"));
    for (absl::string_view ours :
         {"kernel", "initramfs", "ramfsfile", "ramfsaddr", "cmdline", "start_file", "fixup_file",
          "os_prefix", "overlay_prefix", "include", "arm_64bit", "auto_initramfs", "boot_partition",
          "device_tree", "boot_ramdisk", "tryboot"}) {
      if (name == ours) {
        report.Error(path, "reserved-name",
                     absl::StrCat("noded itself writes `", name,
                                  "`: with another value the signed image "
                                  "would not start"),
                     "remove it");
      }
    }
    if (name == "dtoverlay") {
      report.Error(
          path, "conflict", "overlays have a field of their own",
          absl::StrCat("system.firmware.overlays: [\"", line.substr(line.find('=') + 1), "\"]"));
    }
    if (line.size() > 98) {
      report.Error(path, "out-of-range", "the firmware reads no more than 98 characters of a line");
    }
  }
}

void CheckUdev(const v1::System& system, Report& report) {
  const std::vector<std::string> paths = Elements("system", system, "udevRules");
  for (int i = 0; i < system.udev_rules_size(); ++i) {
    const format::UdevRules rules = format::ParseUdevRules(system.udev_rules(i).rules());
    for (const format::UdevFault& fault : rules.faults) {
      report.Error(schema::Child(paths[i], "rules"), "refused",
                   absl::StrCat("line ", fault.line, " of the rules: ", fault.message),
                   "rules that match a device and link it or set its mode are taken");
    }
  }
}

}  // namespace

void CheckDiskSelector(const v1::DiskSelector& disk, const std::string& path, Report& report) {
  if (disk.ByteSizeLong() == 0) {
    return report.Error(
        path, "required", "says nothing by which a disk is found",
        "id, serial, wwn, model, type, path or sizes; {type: nvme} where there is one");
  }
  const auto least = format::ParseQuantity(disk.min_size());
  const auto most = format::ParseQuantity(disk.max_size());
  if (least.ok() && most.ok() && *least > *most) {
    report.Error(schema::Child(path, "maxSize"), "out-of-range",
                 "is less than minSize: no disk is so");
  }
  if (disk.has_path() && !disk.has_id() && !disk.has_serial() && !disk.has_wwn()) {
    report.Warning(schema::Child(path, "path"), "unstable-name",
                   "which disk is called so may change from one boot to the next",
                   "id or serial says the same for ever");
  }
}

void CheckSystem(const v1::MachineConfig& config, Report& report) {
  const v1::System& system = config.system();
  CheckImages(system, report);
  if (system.install().has_disk())
    CheckDiskSelector(system.install().disk(), "system.install.disk", report);
  CheckKernel(config, report);
  CheckFirmware(system.firmware(), report);
  CheckUdev(system, report);
  CheckTime(system.time(), report);
  CheckDuration(system.time().boot_timeout(), absl::Seconds(10), absl::Hours(1),
                "system.time.bootTimeout", report);
  CheckWatchdog(config, report);
  if (system.has_proxy()) CheckProxy(config, report);
  const std::vector<std::string> sinks = Elements("system.logs", system.logs(), "sinks");
  for (int i = 0; i < system.logs().sinks_size(); ++i) {
    CheckSink(system.logs().sinks(i), sinks[i], report);
  }
  CheckRetention(system.logs().retention(), "system.logs.retention", report);
  CheckMaintenance(system.maintenance(), report);
}

}  // namespace basalt::validate
