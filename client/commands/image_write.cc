// nodectl image write and medium: a disk that a node starts from, with its first config on it.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/image_copy.h"
#include "client/commands/inputs.h"
#include "client/commands/medium.h"
#include "client/commands/planning.h"
#include "client/commands/sealing.h"
#include "client/commands/signing.h"
#include "client/commands/target_disk.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/medium/fat.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/sign/document.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

// Where a node looks: server/first, noded-init.
constexpr char kTrust[] = "basalt/trust.json";
constexpr char kConfig[] = "basalt/config.json";
constexpr char kMediumId[] = "basalt/medium-id";
constexpr char kMediumKey[] = "basalt/medium.key";

absl::Status Usage(absl::string_view reason, const std::string& what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, reason, what, hint);
}

// Everything that goes onto the boot partition.
struct Seed {
  std::string trust_text;
  sign::VerifiedChain trust;
  Medium medium;
  std::optional<SignedConfig> config;
  bool sealed = false;  // the config's secrets, to the medium
  std::vector<std::string> files;
};

absl::Status ReadTrust(Session& session, const std::string& file, Seed& seed) {
  std::string path = file;
  if (path.empty()) {
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    path = (*context)->trust;
  }
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<v1::TrustChain> chain = sign::ChainFromJson(*text);
  if (!chain.ok()) return api::InFile(chain.status(), path);
  absl::StatusOr<sign::VerifiedChain> verified = sign::VerifyChain(*chain);
  if (!verified.ok()) return api::InFile(verified.status(), path);
  seed.trust_text = *std::move(text);
  seed.trust = *std::move(verified);
  return absl::OkStatus();
}

// A signed one goes on as it is, when it is for this medium or for a machine by its serial or MAC.
absl::StatusOr<SignedConfig> TakeSigned(Session& session, const Input& input, const Medium& medium,
                                        bool medium_given) {
  if (absl::Status s = CheckSignatures(session, input); !s.ok()) return s;
  absl::StatusOr<Document> read = ReadDocument(input);
  if (!read.ok()) return read.status();
  const v1::Target& target = read->config.target();
  const bool sealed = schema::HasSealedSecrets(read->config);
  if ((target.has_medium_id() || sealed) && !medium_given) {
    return Usage("which-medium",
                 absl::StrCat(input.file, " was signed for a medium, and nothing says which"),
                 "--medium FILE: what `nodectl image medium` made, and `sign --medium` was told");
  }
  if (target.has_medium_id() && target.medium_id() != medium.id) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "wrong-target",
                   absl::StrCat(input.file, " is for medium ", target.medium_id(),
                                ", and this one is ", medium.id),
                   "sign it for this one: nodectl sign --medium FILE"),
        "file", input.file);
  }
  SignedConfig out;
  out.config = std::move(read->config);
  out.document = std::move(read->envelope);
  out.digest = sign::DocumentDigest(out.document).ToString();
  return out;
}

absl::StatusOr<SignedConfig> SignSource(Session& session, const Input& input, const Medium& medium,
                                        const ImageWriteOptions& options) {
  absl::StatusOr<Document> source = ReadDocument(input);
  if (!source.ok()) return source.status();
  PrintViolations(session.io(), "warning", source->warnings);
  absl::Status opened = OpenSealed(session, options.signing.identities, input, *source);
  if (!opened.ok()) return opened;
  SigningOptions signing = options.signing;
  signing.medium_id = medium.id;
  signing.medium_recipient = medium.recipient;
  return SignConfig(session, input.file, source->config, nullptr, std::nullopt, signing);
}

absl::Status MakeConfig(Session& session, const ImageWriteOptions& options, Seed& seed) {
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs({options.config});
  if (!inputs.ok()) return inputs.status();
  if (inputs->size() != 1) {
    return Usage("one-at-a-time", absl::StrCat(options.config, " holds several configs"),
                 "a medium has the config of one node");
  }
  const Input& input = inputs->front();
  absl::StatusOr<SignedConfig> made =
      input.is_envelope ? TakeSigned(session, input, seed.medium, !options.medium.empty())
                        : SignSource(session, input, seed.medium, options);
  if (!made.ok()) return made.status();
  // By the chain that the medium itself brings: what the node will go by.
  const std::string name = made->config.metadata().name();
  if (absl::Status good = VerifyLocally(seed.trust, made->document, made->config); !good.ok()) {
    return AtNode(good, name);
  }
  if (made->config.target().has_machine_id()) {
    return AtNode(
        api::Coded(
            absl::StatusCode::kFailedPrecondition, "not-for-a-first-config",
            "target.machineId names a node that exists already, and a medium makes a new one",
            "leave target out: the medium is its target"),
        name);
  }
  seed.sealed = schema::HasSealedSecrets(made->config);
  seed.config = *std::move(made);
  return absl::OkStatus();
}

absl::Status PutSeed(medium::Bytes& disk, const std::vector<medium::Partition>& partitions,
                     Seed& seed) {
  auto esp = std::find_if(partitions.begin(), partitions.end(),
                          [](const medium::Partition& p) { return p.name == "ESP"; });
  if (esp == partitions.end()) {
    return Usage("not-an-image", "the image has no boot partition (ESP)",
                 "the image as it is built, .raw");
  }
  medium::PartBytes part(disk, esp->start, esp->size);
  absl::StatusOr<medium::Fat> fat = medium::Fat::Open(part);
  if (!fat.ok()) return fat.status();
  std::vector<std::pair<const char*, std::string>> files = {{kTrust, seed.trust_text}};
  if (seed.config) files.push_back({kConfig, sign::ToDsseJson(seed.config->document)});
  if (seed.config || !seed.medium.key.empty()) {
    files.push_back({kMediumId, absl::StrCat(seed.medium.id, "\n")});
  }
  // A key that nothing is sealed to is one that could be lost for nothing.
  if (seed.sealed) files.push_back({kMediumKey, absl::StrCat(seed.medium.key, "\n")});
  for (const auto& [path, content] : files) {
    if (absl::Status s = fat->WriteFile(path, content); !s.ok()) return api::Annotate(s, path);
    seed.files.push_back(path);
  }
  return absl::OkStatus();
}

Progress ShowProgress(Io& io) {
  return [&io, last = -1](bool verifying, uint64_t done, uint64_t total) mutable {
    const int percent = total == 0 ? 100 : static_cast<int>(done * 100 / total);
    const int step = percent + (verifying ? 1000 : 0);
    // A line that is written over on a terminal; in a pipe one each quarter.
    if (step == last || (!io.err_terminal && percent % 25 != 0)) return;
    last = step;
    io.err << (io.err_terminal ? "\r" : "") << (verifying ? "reading back " : "writing ") << percent
           << "% of " << Gigabytes(total) << (io.err_terminal && percent < 100 ? "   " : "\n")
           << std::flush;
  };
}

void Report(Io& io, const TargetDisk& disk, const Seed& seed, uint64_t written, uint64_t size) {
  if (io.json()) {
    nlohmann::ordered_json out;
    out["disk"] = disk.path;
    out["bytesWritten"] = written;
    out["bytesOfImage"] = size;
    out["verified"] = true;
    out["files"] = seed.files;
    if (seed.config) {
      out["node"] = seed.config->config.metadata().name();
      out["generation"] = seed.config->config.metadata().generation();
      out["digest"] = seed.config->digest;
      out["mediumId"] = seed.medium.id;
      out["sealedToMedium"] = seed.sealed;
    }
    io.out << out.dump() << "\n";
    return;
  }
  io.out << disk.path << ": written and read back, " << Gigabytes(written) << " of "
         << Gigabytes(size) << "\n";
  io.out << "  trust policy of " << seed.trust.policy.cluster() << ", version "
         << seed.trust.policy.version() << "\n";
  if (!seed.config) {
    io.out << "  no config: the node waits for `nodectl apply` of a signed one\n";
    return;
  }
  const std::string name = seed.config->config.metadata().name();
  io.out << "  config of " << Escape(name) << ", generation "
         << seed.config->config.metadata().generation() << ", " << seed.config->digest << "\n";
  io.out << "  medium " << seed.medium.id
         << (seed.sealed
                 ? ", with the one-time key that its secrets are sealed to: whoever has the "
                   "medium before its first boot can read them\n"
                 : ", no secrets\n");
  io.out << "When the node has started: nodectl discover, nodectl pin " << Escape(name)
         << " --node HOST:6050 --fingerprint FINGERPRINT (the console shows it)";
  io.out << (seed.sealed ? ", and nodectl apply once more seals the secrets to the node itself\n"
                         : "\n");
}

}  // namespace

absl::StatusOr<int> RunImageMedium(Session& session, const ImageMediumOptions& options) {
  absl::StatusOr<Medium> medium = MakeMedium(options.id);
  if (!medium.ok()) return medium.status();
  absl::Status written = WriteNewFile(options.output_file, MediumText(*medium), 0600);
  if (!written.ok()) return written;
  session.io().err << options.output_file << ": medium " << medium->id
                   << ", secrets for it are sealed to " << medium->recipient
                   << "\nnodectl sign --medium " << options.output_file
                   << " signs for it, nodectl image write --medium " << options.output_file
                   << " writes it; the file is of no use after the node's first boot\n";
  return 0;
}

absl::StatusOr<int> RunImageWrite(Session& session, const ImageWriteOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::unique_ptr<ImageFile>> image = ImageFile::Open(options.image);
  if (!image.ok()) return image.status();
  absl::StatusOr<TargetDisk> disk = LookAt(options.disk);
  if (!disk.ok()) return disk.status();
  std::error_code error;
  if (disk->exists && std::filesystem::equivalent(options.image, options.disk, error)) {
    return Usage("same-file", absl::StrCat(options.disk, " is the image itself"),
                 "write to a disk, or to another file");
  }
  if (absl::Status s = CheckTarget(*disk, (*image)->size()); !s.ok()) return s;

  Seed seed;
  if (absl::Status s = ReadTrust(session, options.trust, seed); !s.ok()) return s;
  absl::StatusOr<Medium> medium =
      options.medium.empty() ? MakeMedium(options.medium_id) : ReadMedium(options.medium);
  if (!medium.ok()) return medium.status();
  seed.medium = *std::move(medium);
  if (!options.config.empty()) {
    if (absl::Status s = MakeConfig(session, options, seed); !s.ok()) return s;
    for (const std::string& line : seed.config->filled_in) io.err << "  filled in " << line << "\n";
  } else if (options.medium.empty()) {
    seed.medium = {};
  }
  absl::StatusOr<std::vector<medium::Partition>> partitions = medium::ReadPartitions(**image);
  if (!partitions.ok()) return partitions.status();
  medium::OverlayBytes overlay(**image);
  if (absl::Status s = PutSeed(overlay, *partitions, seed); !s.ok()) return s;

  if (!disk->is_file || disk->exists) {
    const std::string question =
        absl::StrCat(disk->is_file ? "Overwrite " : "Erase everything on ", Describe(*disk), "?");
    if (absl::Status sure = Confirm(io, question, options.yes); !sure.ok()) return sure;
  }
  std::vector<Range> data = (*image)->Data();
  for (const auto& [number, block] : overlay.blocks()) {
    const uint64_t start = number * medium::OverlayBytes::kBlock;
    data.push_back({start, start + block.size()});
  }
  std::sort(data.begin(), data.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  const std::vector<Range> ranges =
      disk->is_file ? data : ToWrite((*image)->size(), data, *partitions);
  absl::Status copied = CopyImage(overlay, ranges, *disk, ShowProgress(io));
  if (!copied.ok()) return copied;
  if (seed.config && seed.config->opened.has_metadata()) {
    // The copy that `rollback` and the comparison of secrets read.
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    absl::Status kept = KeepCopy(**context, seed.config->config, seed.config->document);
    if (!kept.ok()) return kept;
  }
  uint64_t written = 0;
  for (const Range& r : ranges) written += r.end - r.start;
  Report(io, *disk, seed, written, (*image)->size());
  return 0;
}

}  // namespace basalt::client
