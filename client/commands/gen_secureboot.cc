// nodectl gen secureboot: the keys of an owner's Secure Boot, and signed writes that rotate and
// revoke them. What exists is never overwritten.
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/sealing.h"
#include "client/context/files.h"
#include "client/context/passphrase.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/sign/efi_signature.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

// Firmware looks at no dates, and a certificate in it cannot be renewed by anybody but its owner.
constexpr absl::Duration kLife = absl::Hours(24 * 365 * 30);
constexpr absl::Duration kSkew = absl::Minutes(5);
constexpr size_t kMostProgram = 256 << 20;

struct NewFile {
  std::string name;
  std::string bytes;
  mode_t mode = 0644;
};

absl::StatusOr<sign::EfiSigner> NewSigner(const std::string& name, absl::Time now) {
  sign::EfiKey key = sign::EfiKey::Generate();
  absl::StatusOr<sign::EfiCertificate> certificate =
      sign::SelfSignEfi(name, key, now - kSkew, now + kLife);
  if (!certificate.ok()) return certificate.status();
  return sign::MakeEfiSigner(std::move(key), *std::move(certificate));
}

// A random GUID (RFC 4122, version 4): whose entries of the lists these are.
absl::StatusOr<sign::EfiGuid> NewOwner() {
  std::string bytes(16, '\0');
  if (!RandomBytes(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size())) {
    return api::Coded(absl::StatusCode::kUnavailable, "no-randomness",
                      "the system has no random numbers");
  }
  bytes[7] = static_cast<char>((bytes[7] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  return sign::EfiGuid{bytes};
}

void AddPair(std::vector<NewFile>& files, const std::string& name, const sign::EfiSigner& signer,
             const std::string& passphrase) {
  files.push_back({name + ".key", signer.key.Pem(passphrase), 0600});
  files.push_back({name + ".crt", sign::EfiCertificatePem(signer.certificate)});
}

absl::StatusOr<std::vector<NewFile>> NewKeys(const std::string& cluster,
                                             const std::string& passphrase) {
  const absl::Time now = absl::Now();
  absl::StatusOr<sign::EfiGuid> owner = NewOwner();
  if (!owner.ok()) return owner.status();
  std::vector<NewFile> files = {
      {".gitignore", "# What is secret. The rest is public, and firmware gets it.\n*.key\n"},
      {"owner.guid", owner->ToString() + "\n"}};
  std::vector<sign::EfiSigner> made;
  for (const char* name : {"PK", "KEK", "db"}) {
    absl::StatusOr<sign::EfiSigner> signer =
        NewSigner(absl::StrCat("basalt ", cluster, cluster.empty() ? "" : " ", name), now);
    if (!signer.ok()) return signer.status();
    AddPair(files, name, *signer, passphrase);
    made.push_back(*std::move(signer));
  }
  // PK signs itself and KEK, KEK signs db: as firmware asks once PK is there.
  const std::pair<const char*, int> writes[] = {{"PK", 0}, {"KEK", 0}, {"db", 1}};
  for (int i = 0; i < 3; ++i) {
    const std::string list = sign::EfiListOf(made[static_cast<size_t>(i)].certificate.der, *owner);
    files.push_back({absl::StrCat(writes[i].first, ".esl"), list});
    files.push_back({absl::StrCat(writes[i].first, ".auth"),
                     sign::SignEfiUpdate({.name = writes[i].first, .time = now, .content = list},
                                         made[static_cast<size_t>(writes[i].second)])});
  }
  // Empties PK: the way back into setup mode, without a visit to the firmware's menu. One second
  // later than what it takes away.
  files.push_back({"remove-PK.auth",
                   sign::SignEfiUpdate({.name = "PK", .time = now + absl::Seconds(1)}, made[0])});
  const sign::EfiKey pcr = sign::EfiKey::Generate();
  files.push_back({"pcr.key", pcr.Pem(passphrase), 0600});
  files.push_back({"pcr.pub", pcr.PublicPem()});
  return files;
}

absl::StatusOr<sign::EfiSigner> OpenSigner(Session& session, const std::string& directory,
                                           const std::string& name) {
  const std::string file = JoinPath(directory, name + ".key");
  absl::StatusOr<std::string> pem = ReadFile(file);
  if (!pem.ok()) return pem.status();
  absl::StatusOr<sign::EfiKey> key = sign::EfiKey::FromPem(*pem);
  if (!key.ok() && api::Reason(key.status()) == "passphrase-needed") {
    absl::StatusOr<std::string> passphrase = GetPassphrase(session.passphrase(), file);
    if (!passphrase.ok()) return passphrase.status();
    key = sign::EfiKey::FromPem(*pem, *passphrase);
  }
  if (!key.ok()) return api::InFile(key.status(), file);
  const std::string cert_file = JoinPath(directory, name + ".crt");
  absl::StatusOr<std::string> cert_pem = ReadFile(cert_file);
  if (!cert_pem.ok()) return cert_pem.status();
  absl::StatusOr<sign::EfiCertificate> certificate = sign::ReadEfiCertificatePem(*cert_pem);
  if (!certificate.ok()) return api::InFile(certificate.status(), cert_file);
  absl::StatusOr<sign::EfiSigner> signer =
      sign::MakeEfiSigner(*std::move(key), *std::move(certificate));
  return signer.ok() ? signer : api::InFile(signer.status(), cert_file);
}

absl::StatusOr<sign::EfiGuid> ReadOwner(const std::string& directory) {
  const std::string file = JoinPath(directory, "owner.guid");
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  sign::EfiGuid owner = sign::EfiGuid::Parse(text->substr(0, text->find('\n')));
  if (!owner.bytes.empty()) return owner;
  return api::InFile(api::Coded(absl::StatusCode::kInvalidArgument, "bad-guid", "no GUID in it"),
                     file);
}

// db-2, revoke-1: the first number that no file has.
std::string FreeName(const std::string& directory, const std::string& stem, int first,
                     absl::string_view end) {
  for (int n = first;; ++n) {
    const std::string name = absl::StrCat(stem, "-", n);
    if (!Exists(JoinPath(directory, absl::StrCat(name, end)))) return name;
  }
}

// What dbx gets so that this is never started again: a certificate, or the digest of a program.
absl::StatusOr<std::string> RevocationOf(const std::string& file, const sign::EfiGuid& owner) {
  absl::StatusOr<std::string> bytes = ReadFile(file, kMostProgram);
  if (!bytes.ok()) return bytes.status();
  if (absl::StrContains(*bytes, "-----BEGIN CERTIFICATE-----")) {
    absl::StatusOr<sign::EfiCertificate> certificate = sign::ReadEfiCertificatePem(*bytes);
    if (!certificate.ok()) return api::InFile(certificate.status(), file);
    return sign::EfiListOf(certificate->der, owner);
  }
  const sign::ReadBytes read = sign::ReadingOf(*bytes);
  absl::StatusOr<sign::EfiProgram> program = sign::InspectEfiProgram(read, bytes->size());
  absl::StatusOr<Digest> digest =
      program.ok() ? sign::AuthenticodeDigest(read, *program) : program.status();
  if (!digest.ok()) return api::InFile(digest.status(), file);
  return sign::EfiListOf(*digest, owner);
}

absl::StatusOr<std::vector<NewFile>> MoreFiles(Session& session,
                                               const GenSecureBootOptions& options,
                                               const std::string& cluster) {
  const std::string& directory = options.directory;
  absl::StatusOr<sign::EfiGuid> owner = ReadOwner(directory);
  if (!owner.ok()) return owner.status();
  absl::StatusOr<sign::EfiSigner> kek = OpenSigner(session, directory, "KEK");
  if (!kek.ok()) return kek.status();
  const absl::Time now = absl::Now();
  std::vector<NewFile> files;
  if (!options.revoke.empty()) {
    absl::StatusOr<std::string> list = RevocationOf(options.revoke, *owner);
    if (!list.ok()) return list.status();
    files.push_back({FreeName(directory, "dbx", 1, ".auth") + ".auth",
                     sign::SignEfiUpdate(
                         {.name = "dbx", .time = now, .append = true, .content = *list}, *kek)});
    return files;
  }
  std::string passphrase;
  if (!options.no_passphrase) {
    absl::StatusOr<std::string> chosen = NewPassphrase(session.passphrase());
    if (!chosen.ok()) return chosen.status();
    passphrase = *chosen;
  }
  const std::string name = FreeName(directory, "db", 2, ".key");
  absl::StatusOr<sign::EfiSigner> db =
      NewSigner(absl::StrCat("basalt ", cluster, cluster.empty() ? "" : " ", name), now);
  if (!db.ok()) return db.status();
  AddPair(files, name, *db, passphrase);
  const std::string list = sign::EfiListOf(db->certificate.der, *owner);
  files.push_back({name + ".esl", list});
  files.push_back(
      {name + ".auth",
       sign::SignEfiUpdate({.name = "db", .time = now, .append = true, .content = list}, *kek)});
  return files;
}

void Say(Io& io, const GenSecureBootOptions& options, const std::vector<NewFile>& files) {
  if (io.json() || io.format == Format::kYaml) {
    nlohmann::ordered_json out{{"directory", options.directory}};
    for (const NewFile& file : files) out["files"].push_back(file.name);
    io.out << (io.json() ? out.dump() + "\n" : JsonToYaml(out.dump()));
    return;
  }
  io.out << "Made in " << options.directory << ":\n";
  for (const NewFile& file : files) {
    io.out << "  " << file.name << (file.mode == 0600 ? "  (secret)" : "") << "\n";
  }
  const std::string key = files.front().name;
  if (!options.revoke.empty()) {
    io.out << "Append " << key << " to dbx in the firmware of each machine.\n";
  } else if (options.rotate) {
    io.out << "Append " << files.back().name << " to db in the firmware of each machine; then\n"
           << "  ./dev image --secureboot-key " << JoinPath(options.directory, key)
           << " --secureboot-cert " << JoinPath(options.directory, files[1].name) << " --pcr-key "
           << JoinPath(options.directory, "pcr.key") << "\n";
  } else {
    io.out << "Keep PK.key and KEK.key away from this machine: they are needed to change which "
              "keys firmware takes.\nNext:\n  ./dev image --secureboot-key "
           << options.directory << "\n";
  }
}

}  // namespace

absl::StatusOr<int> RunGenSecureBoot(Session& session, const GenSecureBootOptions& given) {
  GenSecureBootOptions options = given;
  std::string cluster;
  absl::StatusOr<const Context*> context = session.context();
  if (context.ok()) cluster = (*context)->cluster;
  if (options.directory.empty()) {
    if (!context.ok()) return context.status();
    options.directory = JoinPath((*context)->directory, "secureboot");
  }
  const bool more = options.rotate || !options.revoke.empty();
  if (!more && Exists(options.directory) &&
      (!IsDirectory(options.directory) || !IsEmptyDirectory(options.directory))) {
    return api::Coded(
        absl::StatusCode::kAlreadyExists, "not-empty",
        absl::StrCat(options.directory, " exists and is not empty; nothing was changed"),
        "another directory; or --rotate, --revoke with the keys that are there");
  }
  absl::StatusOr<std::vector<NewFile>> files = std::vector<NewFile>();
  if (more) {
    files = MoreFiles(session, options, cluster);
  } else {
    std::string passphrase;
    if (!options.no_passphrase) {
      absl::StatusOr<std::string> chosen = NewPassphrase(session.passphrase());
      if (!chosen.ok()) return chosen.status();
      passphrase = *chosen;
    }
    files = NewKeys(cluster, passphrase);
    if (files.ok()) {
      if (absl::Status s = MakeDirectory(options.directory, 0700); !s.ok()) return s;
    }
  }
  if (!files.ok()) return files.status();
  for (const NewFile& file : *files) {
    absl::Status s = WriteNewFile(JoinPath(options.directory, file.name), file.bytes, file.mode);
    if (!s.ok()) return s;
  }
  if (options.no_passphrase && options.revoke.empty()) {
    PrintWarning(session.io(), "the keys have no passphrase: only file permissions protect them");
  }
  Say(session.io(), options, *files);
  return 0;
}

}  // namespace basalt::client
