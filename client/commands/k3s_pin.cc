// nodectl k3s pin: version, URLs and sha256 of a K3s release, or of a file, into a config.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/commands/child.h"
#include "client/commands/commands.h"
#include "client/commands/yaml_edit.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/format/format.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

constexpr absl::string_view kReleases = "https://github.com/k3s-io/k3s/releases/download";
constexpr size_t kMaxSums = 64 << 10;

struct Architecture {
  const char* name;   // of the config and of sha256sum-NAME.txt
  const char* asset;  // of the release
};
constexpr Architecture kArchitectures[] = {
    {"amd64", "k3s"}, {"arm64", "k3s-arm64"}, {"arm", "k3s-armhf"}};

v1::Artifact* ArtifactOf(v1::K3sArtifacts& artifacts, absl::string_view architecture) {
  if (architecture == "amd64") return artifacts.mutable_amd64();
  if (architecture == "arm64") return artifacts.mutable_arm64();
  return artifacts.mutable_arm();
}

// "<hex>  <name>" a line.
std::string SumOf(absl::string_view sums, absl::string_view asset) {
  for (absl::string_view line : absl::StrSplit(sums, '\n')) {
    std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r*"), absl::SkipEmpty());
    if (words.size() == 2 && words[1] == asset && Digest::Parse(words[0]).ok()) {
      return std::string(words[0]);
    }
  }
  return "";
}

// noded-fetch ends with one line "error CODE what happened"; what it says before is about each URL.
std::string Cause(const absl::Status& status) {
  absl::string_view text = status.message();
  const size_t last = text.rfind("\nerror ");
  if (last == absl::string_view::npos) return std::string(text);
  text.remove_prefix(last + 7);
  const size_t code = text.find(' ');
  return std::string(code == absl::string_view::npos ? text : text.substr(code + 1));
}

absl::StatusOr<v1::K3s> PinRelease(Session& session, const K3sPinOptions& options) {
  if (!format::Check(v1::FORMAT_K3S_VERSION, options.version).ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-version",
                      absl::StrCat("'", options.version, "' is not the name of a K3s release"),
                      "like v1.30.4+k3s1");
  }
  absl::StatusOr<std::string> fetch = FindSibling("noded-fetch");
  if (!fetch.ok()) return fetch.status();
  v1::K3s pin;
  pin.set_version(options.version);
  const std::string base = absl::StrCat(options.base_url.empty() ? kReleases : options.base_url,
                                        "/", absl::StrReplaceAll(options.version, {{"+", "%2B"}}));
  absl::Status failure;
  for (const Architecture& architecture : kArchitectures) {
    const std::string url = absl::StrCat(base, "/sha256sum-", architecture.name, ".txt");
    std::string temporary = "/tmp/nodectl-sums.XXXXXX";
    int fd = mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "file-error",
                        absl::StrCat(temporary, ": ", strerror(errno)));
    }
    auto remove = absl::MakeCleanup([&] {
      close(fd);
      unlink(temporary.c_str());
    });
    // Limit, size (unknown), seconds of stall; the bytes go to descriptor 3.
    absl::StatusOr<std::string> ran =
        RunChild({*fetch, absl::StrCat(kMaxSums), "0", "30", url}, absl::Minutes(2), kMaxSums, fd);
    absl::StatusOr<std::string> sums =
        ran.ok() ? ReadFile(temporary, kMaxSums) : absl::StatusOr<std::string>(ran.status());
    if (!sums.ok()) {
      failure = api::Coded(absl::StatusCode::kUnavailable, "release-unreachable",
                           absl::StrCat(url, ": ", Cause(sums.status())),
                           "does that release exist? Without a network: --file PATH");
      continue;
    }
    const std::string sum = SumOf(*sums, architecture.asset);
    if (sum.empty()) {
      failure = api::Coded(absl::StatusCode::kDataLoss, "no-checksum",
                           absl::StrCat(url, " does not list ", architecture.asset));
      continue;
    }
    v1::Artifact* artifact = ArtifactOf(*pin.mutable_artifacts(), architecture.name);
    artifact->add_urls(absl::StrCat(base, "/", architecture.asset));
    artifact->set_sha256(sum);
  }
  if (!pin.has_artifacts()) return failure;
  if (!failure.ok()) PrintWarning(session.io(), failure.message());
  return pin;
}

absl::StatusOr<std::string> ArchitectureOf(const std::string& path, absl::string_view header) {
  auto unknown = [&](absl::string_view why) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "not-a-program",
                      absl::StrCat(path, " ", why), "an ELF program for amd64, arm64 or arm");
  };
  Elf64_Ehdr elf;
  if (header.size() < sizeof elf || memcmp(header.data(), ELFMAG, SELFMAG) != 0) {
    return unknown("is not an ELF program");
  }
  memcpy(&elf, header.data(), sizeof elf);  // e_machine lies at the same place in 32-bit files
  switch (elf.e_machine) {
    case EM_X86_64:
      return std::string("amd64");
    case EM_AARCH64:
      return std::string("arm64");
    case EM_ARM:
      return std::string("arm");
    default:
      return unknown(absl::StrCat("is for machine ", elf.e_machine));
  }
}

// "k3s version v1.30.4+k3s1 (98262b5d)" from the program itself.
absl::StatusOr<std::string> VersionOf(const std::string& path) {
  absl::StatusOr<std::string> text = RunChild({path, "--version"}, absl::Seconds(10), 64 << 10);
  if (text.ok()) {
    for (absl::string_view word : absl::StrSplit(*text, absl::ByAnyChar(" \n"))) {
      if (word.size() > 2 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9') {
        return std::string(word);
      }
    }
  }
  return api::Coded(absl::StatusCode::kInvalidArgument, "unknown-version",
                    absl::StrCat(path, " does not say which version it is"),
                    "--version vX.Y.Z+k3sN");
}

absl::StatusOr<v1::K3s> PinFile(const K3sPinOptions& options) {
  char resolved[PATH_MAX];
  if (realpath(options.binary.c_str(), resolved) == nullptr) {
    return api::Coded(absl::StatusCode::kNotFound, "no-such-file",
                      absl::StrCat(options.binary, ": ", strerror(errno)));
  }
  std::ifstream in(resolved, std::ios::binary);
  Sha256Stream sha;
  std::string header;
  int64_t size = 0;
  std::vector<char> buffer(1 << 20);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    absl::string_view part(buffer.data(), static_cast<size_t>(in.gcount()));
    if (header.empty()) header = std::string(part.substr(0, 64));
    sha.Update(part);
    size += in.gcount();
  }
  if (!in.eof()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "file-error",
                      absl::StrCat("cannot read ", resolved, ": ", strerror(errno)),
                      "--file is one K3s binary of this machine");
  }
  absl::StatusOr<std::string> architecture = ArchitectureOf(resolved, header);
  if (!architecture.ok()) return architecture.status();
  absl::StatusOr<std::string> version =
      options.version.empty() ? VersionOf(resolved) : absl::StatusOr<std::string>(options.version);
  if (!version.ok()) return version.status();
  v1::K3s pin;
  pin.set_version(*version);
  v1::Artifact* artifact = ArtifactOf(*pin.mutable_artifacts(), *architecture);
  artifact->add_urls(absl::StrCat("file://", resolved));
  artifact->set_sha256(sha.Finish().Hex());
  artifact->set_size(size);
  return pin;
}

}  // namespace

absl::StatusOr<int> RunK3sPin(Session& session, const K3sPinOptions& options) {
  if (options.binary.empty() && options.version.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "nothing-to-pin", "which K3s?",
                      "--version V of a release, or --file PATH");
  }
  absl::StatusOr<std::string> text = ReadFile(options.file);
  if (!text.ok()) return text.status();
  absl::StatusOr<v1::K3s> pin =
      options.binary.empty() ? PinRelease(session, options) : PinFile(options);
  if (!pin.ok()) return pin.status();
  absl::StatusOr<std::string> changed = EditK3sPin(*text, options.file, *pin);
  if (!changed.ok()) return changed.status();
  Io& io = session.io();
  // From standard input it is a filter: the config goes on, and what was done is said beside it.
  const bool filter = options.file == "-";
  std::ostream& said = filter ? io.err : io.out;
  if (filter) {
    MakeOutputPrivate(io);
    io.out << *changed << std::flush;
  } else if (*changed != *text) {
    if (absl::Status s = EditFileAtomically(options.file, *changed); !s.ok()) return s;
  }
  const bool structured = io.json() || io.format == Format::kYaml;
  nlohmann::ordered_json out;
  out["file"] = options.file;
  out["version"] = pin->version();
  v1::K3sArtifacts& artifacts = *pin->mutable_artifacts();
  for (const Architecture& architecture : kArchitectures) {
    const absl::string_view name = architecture.name;
    if ((name == "amd64" && !artifacts.has_amd64()) ||
        (name == "arm64" && !artifacts.has_arm64()) || (name == "arm" && !artifacts.has_arm())) {
      continue;
    }
    const v1::Artifact& artifact = *ArtifactOf(artifacts, name);
    out["artifacts"][architecture.name] = artifact.sha256();
    if (!structured) {
      said << (filter ? "pinned" : options.file) << ": K3s " << pin->version() << " " << name
           << " sha256 " << artifact.sha256().substr(0, 16) << "... " << artifact.urls(0) << "\n";
    }
  }
  if (io.json()) said << out.dump() << "\n";
  if (io.format == Format::kYaml) said << JsonToYaml(out.dump());
  return 0;
}

}  // namespace basalt::client
