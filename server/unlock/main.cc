// noded-unlock: makes and opens encrypted partitions, then ends. Run by noded-init at boot for
// STATE and DATA, and for noded, which never has the key of a volume.
//
//   noded-unlock format --device D --name N --key tpm2|node|state|passphrase [FURTHER]
//   noded-unlock open --device D --name N [--check-keys] [FURTHER]
//   noded-unlock passphrase --device D [FURTHER]        another one, from descriptor 3; empty: none
//   noded-unlock close --name N
//   noded-unlock lock                                   from now on the TPM gives out no key
//
//   FURTHER   --state-key FILE       64 random bytes; with --make-state-key it is made when missing
//             --passphrase-fd 3      a passphrase, read to its end; one newline at the end is not
//             it
//             --passphrase-file F    the same from a file, which is overwritten and removed when it
//                                    has opened the device
//
// Nothing secret is ever an argument. Exit codes: layout.h. One line on stderr says why not.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/unlock/layout.h"
#include "server/unlock/orders.h"

namespace basalt::unlock {
namespace {

constexpr size_t kStateKeySize = 64;
constexpr size_t kMostPassphrase = 4096;
constexpr size_t kMostAuthority = 64 << 10;
constexpr char kSignatures[] = "/run/basalt/tpm2-pcr-signature.json";
constexpr char kPublicKey[] = "/run/basalt/tpm2-pcr-public-key.pem";

struct Options {
  std::string verb, device, name, key, state_key, passphrase_file;
  int passphrase_fd = -1;
  bool make_state_key = false, check_keys = false;
};

bool Parse(int argc, char** argv, Options* options) {
  if (argc < 2) return false;
  options->verb = argv[1];
  for (int i = 2; i < argc; ++i) {
    const absl::string_view word = argv[i];
    if (word == "--make-state-key") {
      options->make_state_key = true;
      continue;
    }
    if (word == "--check-keys") {
      options->check_keys = true;
      continue;
    }
    if (++i == argc) return false;
    const std::string value = argv[i];
    if (word == "--device") {
      options->device = value;
    } else if (word == "--name") {
      options->name = value;
    } else if (word == "--key") {
      options->key = value;
    } else if (word == "--state-key") {
      options->state_key = value;
    } else if (word == "--passphrase-file") {
      options->passphrase_file = value;
    } else if (word != "--passphrase-fd" || !absl::SimpleAtoi(value, &options->passphrase_fd)) {
      return false;
    }
  }
  // A name becomes a path below /dev/mapper.
  return options->name.size() < 64 && options->name.find('/') == std::string::npos &&
         options->name.find('.') == std::string::npos;
}

StatusOr<SecretBytes> ReadFd(int fd, size_t most) {
  SecretBytes buffer(most + 1);
  size_t size = 0;
  for (;;) {
    const ssize_t n = read(fd, buffer.data() + size, most + 1 - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return UnavailableError(strerror(errno));
    if (n == 0) break;
    size += static_cast<size_t>(n);
    if (size > most) return InvalidArgumentError("longer than what is allowed");
  }
  return SecretBytes(buffer.view().substr(0, size));
}

StatusOr<SecretBytes> ReadFile(const std::string& path, size_t most) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    const std::string text = absl::StrCat(path, ": ", strerror(errno));
    return errno == ENOENT ? NotFoundError(text) : UnavailableError(text);
  }
  auto bytes = ReadFd(fd, most);
  close(fd);
  return bytes;
}

StatusOr<SecretBytes> MakeStateKey(const std::string& path) {
  SecretBytes key = RandomSecret(kStateKeySize);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  const bool written = fd >= 0 &&
                       write(fd, key.data(), key.size()) == static_cast<ssize_t>(key.size()) &&
                       fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!written) return UnavailableError(absl::StrCat(path, ": ", strerror(error)));
  return key;
}

SecretBytes WithoutNewline(SecretBytes bytes) {
  absl::string_view text = bytes.view();
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  return SecretBytes(text);
}

// What a FAT keeps of it afterwards is zeros.
void Destroy(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat info = {};
  if (fd >= 0 && fstat(fd, &info) == 0) {
    const std::string zeros(static_cast<size_t>(std::min<off_t>(info.st_size, 1 << 20)), '\0');
    if (write(fd, zeros.data(), zeros.size()) < 0 || fsync(fd) != 0) {
      std::fprintf(stderr, "noded-unlock: %s could not be overwritten\n", path.c_str());
    }
  }
  if (fd >= 0) close(fd);
  unlink(path.c_str());  // ignoring: what is left of it is zeros
}

std::optional<PcrAuthority> ReadAuthority() {
  auto read = [](const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(file), {});
    return text.size() <= kMostAuthority ? text : "";
  };
  PcrAuthority authority{.public_key = read(kPublicKey), .signatures = read(kSignatures)};
  if (authority.public_key.empty() || authority.signatures.empty()) return std::nullopt;
  return authority;
}

Status UseDevice(const Options& options) {
  auto blocks = OpenBlocks(options.device);
  if (!blocks.ok()) return blocks.status();
  Order order{.device = options.device, .name = options.name, .check_keys = options.check_keys};
  SecretBytes state_key, passphrase;
  if (!options.state_key.empty()) {
    auto key = ReadFile(options.state_key, kStateKeySize);
    const bool none = IsNotFound(key.status()) || (key.ok() && key->size() != kStateKeySize);
    if (none && options.make_state_key) key = MakeStateKey(options.state_key);
    if (key.ok() && key->size() == kStateKeySize) {
      state_key = *std::move(key);
      order.state_key = &state_key;
    } else if (!none) {
      return key.status();
    }
  }
  if (options.passphrase_fd >= 0 || !options.passphrase_file.empty()) {
    auto text = options.passphrase_fd >= 0 ? ReadFd(options.passphrase_fd, kMostPassphrase)
                                           : ReadFile(options.passphrase_file, kMostPassphrase);
    if (!text.ok()) return text.status();
    passphrase = WithoutNewline(*std::move(text));
    if (passphrase.size() > 0) order.passphrase = &passphrase;
  }
  struct sysinfo memory = {};
  sysinfo(&memory);
  std::unique_ptr<Mapper> mapper = KernelMapper();
  const Parts parts{.blocks = **blocks,
                    .mapper = *mapper,
                    .tpm = &OpenTpm,
                    .authority = ReadAuthority(),
                    .memory_total = uint64_t{memory.totalram} * memory.mem_unit};
  if (options.verb == "passphrase") return ChangePassphrase(parts, order);
  if (options.verb == "open") {
    std::string renewed;
    Status status = Open(parts, order, &renewed);
    if (status.ok() && !renewed.empty()) {
      std::fprintf(stderr, "noded-unlock: %s: keys made anew: %s\n", options.name.c_str(),
                   renewed.c_str());
    }
    if (status.ok() && !options.passphrase_file.empty()) Destroy(options.passphrase_file);
    return status;
  }
  if (options.key == "tpm2") {
    order.key = KeyKind::kTpm2;
  } else if (options.key == "node") {
    order.key = KeyKind::kNode;
  } else if (options.key == "passphrase") {
    order.key = KeyKind::kPassphrase;
  } else if (options.key != "state") {
    return InvalidArgumentError("--key: tpm2, node, state or passphrase");
  }
  return Format(parts, order);
}

Status Do(const Options& options) {
  if (options.verb == "lock") {
    auto tpm = OpenTpm();
    if (IsNotFound(tpm.status())) return OkStatus();
    return tpm.ok() ? (*tpm)->Lock() : tpm.status();
  }
  if (options.verb == "close" && !options.name.empty()) return KernelMapper()->Unmap(options.name);
  const bool known =
      options.verb == "format" || options.verb == "open" || options.verb == "passphrase";
  if (!known || options.device.empty() || (options.name.empty() && options.verb != "passphrase")) {
    return InvalidArgumentError("what to do? the top of server/unlock/main.cc says it");
  }
  return UseDevice(options);
}

int ExitCode(const Options& options, const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return kExitDone;
    case StatusCode::kInvalidArgument:
      return kExitUsage;
    case StatusCode::kPermissionDenied:
      return kExitLocked;
    case StatusCode::kDataLoss:
    case StatusCode::kUnimplemented:
      return kExitDamaged;
    case StatusCode::kNotFound:
      return options.verb == "format"  ? kExitNoTpm
             : options.verb == "close" ? kExitFailed
                                       : kExitDamaged;
    default:
      return kExitFailed;
  }
}

}  // namespace
}  // namespace basalt::unlock

int main(int argc, char** argv) {
  using namespace basalt::unlock;
  // Keys stay in memory: no core, no other process, no swap. Ignoring: a system without it is none
  // that keeps anything.
  const rlimit none = {};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  mlockall(MCL_CURRENT | MCL_FUTURE);
  setenv("TSS2_LOG", "all+none", 1);  // its lines say less than ours
  Options options;
  Status status = Parse(argc, argv, &options)
                      ? Do(options)
                      : InvalidArgumentError("these arguments are not understood");
  if (!status.ok()) {
    std::fprintf(stderr, "noded-unlock: %s%s%s\n", options.name.c_str(),
                 options.name.empty() ? "" : ": ", std::string(status.message()).c_str());
  }
  return ExitCode(options, status);
}
