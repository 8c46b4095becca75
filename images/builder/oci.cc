#include "images/builder/oci.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "images/builder/formats/tar.h"
#include "images/builder/host.h"
#include "machineconfig/base/digest.h"

namespace basalt::image {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kArgv[] = {"/usr/bin/noded-init", "--pid1",   "--", "/usr/bin/noded", "serve",
                                 "--platform",          "container"};
constexpr char kPath[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

std::string Created(const ImageInfo& info) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", info.time, absl::UTCTimeZone());
}

absl::StatusOr<std::string> Layer(const Tree& tree, absl::Time time) {
  TarWriter tar(time);
  for (const auto& [path, n] : tree) {
    const absl::string_view relative = absl::string_view(path).substr(1);
    absl::Status done = absl::InvalidArgumentError(absl::StrCat("bad-path: ", path));
    if (n.type == Node::Type::kDirectory) done = tar.AddDirectory(relative, n.mode);
    if (n.type == Node::Type::kFile) done = tar.AddFile(relative, n.mode, n.content);
    if (n.type == Node::Type::kLink) done = tar.AddLink(relative, n.content);
    if (!done.ok()) return done;
  }
  return tar.Finish();
}

Json Descriptor(absl::string_view type, absl::string_view bytes) {
  return {{"mediaType", std::string(type)},
          {"digest", Sha256(bytes).ToString()},
          {"size", bytes.size()}};
}

Json Mount(const char* target, const char* type, const char* source,
           std::initializer_list<const char*> options) {
  return {{"destination", target}, {"type", type}, {"source", source}, {"options", Json(options)}};
}

}  // namespace

Tree ContainerTree(const Tree& root) {
  Tree out;
  for (const auto& [path, node] : root) {
    const bool kernels =
        absl::StartsWith(path, "/usr/lib/modules") || path == "/usr/lib/basalt/modules.list";
    if (!kernels) out[path] = node;
  }
  return out;
}

absl::StatusOr<std::string> MakeOciArchive(const Tree& tree, const OciOptions& o) {
  absl::StatusOr<std::string> layer = Layer(tree, o.info.time);
  if (!layer.ok()) return layer.status();
  Json argv = Json::array();
  for (const char* word : kArgv) argv.push_back(word);
  const std::string config =
      Json{{"created", Created(o.info)},
           {"architecture", o.architecture},
           {"os", "linux"},
           {"config",
            {{"Env", Json::array({kPath})},
             {"Entrypoint", argv},
             {"Volumes", {{"/state", Json::object()}, {"/data", Json::object()}}},
             {"ExposedPorts", {{"6050/tcp", Json::object()}}},
             {"StopSignal", "SIGTERM"},
             {"Labels", {{"org.opencontainers.image.version", o.info.version}}}}},
           {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array({Sha256(*layer).ToString()})}}},
           {"history",
            Json::array({Json{{"created", Created(o.info)}, {"created_by", "image-builder"}}})}}
          .dump();
  const std::string manifest =
      Json{{"schemaVersion", 2},
           {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
           {"config", Descriptor("application/vnd.oci.image.config.v1+json", config)},
           {"layers", Json::array({Descriptor("application/vnd.oci.image.layer.v1.tar", *layer)})}}
          .dump();
  Json entry = Descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
  entry["platform"] = {{"architecture", o.architecture}, {"os", "linux"}};
  entry["annotations"] = {{"org.opencontainers.image.ref.name", o.info.version}};
  const std::string index = Json{
      {"schemaVersion", 2},
      {"mediaType", "application/vnd.oci.image.index.v1+json"},
      {"manifests",
       Json::array({entry})}}.dump();
  const auto blob = [](absl::string_view bytes) {
    return absl::StrCat("blobs/sha256/", Sha256(bytes).Hex());
  };
  // Older dockers know this one alone.
  const std::string docker =
      Json::array({Json{{"Config", blob(config)},
                        {"RepoTags", Json::array({absl::StrCat("basalt:", o.info.version)})},
                        {"Layers", Json::array({blob(*layer)})}}})
          .dump();
  TarWriter tar(o.info.time);
  absl::Status done = tar.AddDirectory("blobs", 0755);
  done.Update(tar.AddDirectory("blobs/sha256", 0755));
  for (absl::string_view bytes :
       {absl::string_view(config), absl::string_view(manifest), absl::string_view(*layer)}) {
    done.Update(tar.AddFile(blob(bytes), 0644, bytes));
  }
  done.Update(tar.AddFile("index.json", 0644, index));
  done.Update(tar.AddFile("manifest.json", 0644, docker));
  done.Update(tar.AddFile("oci-layout", 0644, "{\"imageLayoutVersion\":\"1.0.0\"}"));
  if (!done.ok()) return done;
  return tar.Finish();
}

std::string BundleConfig(const OciOptions& o) {
  Json argv = Json::array();
  for (const char* word : kArgv) argv.push_back(word);
  // To change the owner of what it keeps, to have a name and mounts of its own, and to end.
  const Json rights = {"CAP_CHOWN",    "CAP_DAC_OVERRIDE", "CAP_FOWNER",    "CAP_FSETID",
                       "CAP_KILL",     "CAP_SETGID",       "CAP_SETUID",    "CAP_SETPCAP",
                       "CAP_SYS_BOOT", "CAP_SYS_ADMIN",    "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"};
  Json mounts = {
      Mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      // Never the host's: a device of it that appears here would be one that this node may write.
      Mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      Mount("/dev/pts", "devpts", "devpts",
            {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}),
      Mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      Mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      Mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
      Mount("/run", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=755", "size=20%"}),
      Mount("/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=1777", "size=20%"}),
      Mount("/state", "bind", "state", {"rbind", "nosuid", "nodev", "noexec"}),
      Mount("/data", "bind", "data", {"rbind", "nosuid", "nodev"}),
  };
  if (o.trust) {
    mounts.push_back(Mount("/run/trust.json", "bind", "trust.json", {"bind", "ro", "nosuid"}));
  }
  Json config = {
      {"ociVersion", "1.0.0"},
      {"process",
       {{"terminal", false},
        {"user", {{"uid", 0}, {"gid", 0}}},
        {"args", argv},
        {"env", Json::array({kPath})},
        {"cwd", "/"},
        {"capabilities", {{"bounding", rights}, {"effective", rights}, {"permitted", rights}}},
        {"noNewPrivileges", true}}},
      {"root", {{"path", "rootfs"}, {"readonly", true}}},
      {"hostname", "localhost"},
      {"mounts", mounts},
      {"linux",
       {{"namespaces",
         {{{"type", "pid"}},
          {{"type", "network"}},
          {{"type", "mount"}},
          {{"type", "uts"}},
          {{"type", "ipc"}},
          {{"type", "cgroup"}}}},
        {"maskedPaths",
         {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/scsi"}},
        {"readonlyPaths",
         {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}}}};
  return config.dump(2) + "\n";
}

absl::Status WriteBundle(const Tree& tree, const OciOptions& options, const std::string& trust,
                         const std::string& directory) {
  absl::Status done = MakeDirectories(directory);
  done.Update(WriteTree(tree, directory + "/rootfs"));
  for (const char* volume : {"/state", "/data"}) done.Update(MakeDirectories(directory + volume));
  if (!trust.empty()) done.Update(WriteWhole(directory + "/trust.json", trust));
  done.Update(WriteWhole(directory + "/config.json", BundleConfig(options)));
  return done;
}

}  // namespace basalt::image
