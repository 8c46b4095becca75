#include "client/context/passphrase.h"

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "machineconfig/sign/openssh_key.h"

namespace basalt::client {
namespace {

constexpr size_t kMinimum = 8;
constexpr size_t kMaxTyped = 1024;

absl::Status Needed(const std::string& what) {
  return api::Coded(absl::StatusCode::kUnauthenticated, "passphrase-needed",
                    absl::StrCat(what, " needs a passphrase"),
                    "on a terminal nodectl asks; scripts set NODECTL_PASSPHRASE or give "
                    "--passphrase-file");
}

// The last character, all bytes of it.
void EraseCharacter(std::string& line) {
  while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0) == 0x80) line.pop_back();
  if (!line.empty()) line.pop_back();
}

// From the controlling terminal, so that input may be piped at the same time.
absl::StatusOr<std::string> Ask(const std::string& prompt, const std::string& what) {
  int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return Needed(what);
  auto close_fd = absl::MakeCleanup([fd] { close(fd); });
  termios before;
  if (tcgetattr(fd, &before) != 0) return Needed(what);
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  // Ctrl-C is a character here, not a signal: a terminal is never left without its echo.
  quiet.c_lflag &= ~static_cast<tcflag_t>(ISIG | ICANON);
  if (tcsetattr(fd, TCSAFLUSH, &quiet) != 0) return Needed(what);
  auto restore = absl::MakeCleanup([&] { tcsetattr(fd, TCSAFLUSH, &before); });
  auto say = [fd](absl::string_view text) { return write(fd, text.data(), text.size()) >= 0; };
  if (!say(prompt)) return Needed(what);
  std::string line;
  char c;
  bool interrupted = false;
  while (read(fd, &c, 1) == 1 && c != '\n' && c != '\r' && line.size() < kMaxTyped) {
    const cc_t typed = static_cast<cc_t>(c);
    if (typed == before.c_cc[VINTR] || typed == before.c_cc[VQUIT]) interrupted = true;
    if (interrupted || typed == before.c_cc[VEOF]) break;
    if (typed == before.c_cc[VERASE] || c == '\b' || c == 0x7f) {
      EraseCharacter(line);
    } else if (typed == before.c_cc[VKILL]) {
      line.clear();
    } else {
      line += c;
    }
  }
  say("\n");
  if (interrupted) {
    return api::Coded(absl::StatusCode::kCancelled, "interrupted", "nothing was done");
  }
  return line;
}

// The first line of the file or the environment; nullopt-like empty optional by `found`.
absl::StatusOr<std::string> Given(const PassphraseSource& source, bool& found) {
  found = true;
  if (!source.file.empty()) {
    absl::StatusOr<std::string> text = ReadFile(source.file, 4096);
    if (!text.ok()) return text.status();
    return text->substr(0, text->find('\n'));
  }
  if (const char* env = getenv("NODECTL_PASSPHRASE"); env != nullptr) return std::string(env);
  found = false;
  return std::string();
}

absl::Status TooShort() {
  return api::Coded(absl::StatusCode::kInvalidArgument, "weak-passphrase",
                    absl::StrCat("a passphrase has at least ", kMinimum, " characters"),
                    "--no-passphrase writes keys that only file permissions protect");
}

}  // namespace

absl::StatusOr<std::string> GetPassphrase(const PassphraseSource& source, const std::string& what) {
  bool found = false;
  absl::StatusOr<std::string> given = Given(source, found);
  if (!given.ok() || found) return given;
  if (!source.terminal) return Needed(what);
  return Ask(absl::StrCat("Passphrase of ", what, ": "), what);
}

absl::StatusOr<std::string> NewPassphrase(const PassphraseSource& source) {
  bool found = false;
  absl::StatusOr<std::string> first = Given(source, found);
  if (!first.ok()) return first;
  if (!found) {
    if (!source.terminal) return Needed("a new key");
    first = Ask("Passphrase for the new keys: ", "a new key");
    if (!first.ok()) return first;
    if (first->size() < kMinimum) return TooShort();
    absl::StatusOr<std::string> again = Ask("The same again: ", "a new key");
    if (!again.ok()) return again;
    if (*first != *again) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "passphrases-differ",
                        "the two passphrases differ", "run the command again");
    }
  }
  if (first->size() < kMinimum) return TooShort();
  return first;
}

absl::StatusOr<std::string> AskSecret(const std::string& prompt) {
  absl::StatusOr<std::string> value = Ask(prompt, "");
  if (value.status().code() == absl::StatusCode::kUnauthenticated) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "value-needed",
                      "there is no terminal to ask for the value", "pipe it in: ... < FILE");
  }
  if (value.ok() && value->size() >= kMaxTyped) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "too-large",
                      "that is more than can be typed in a line", "pipe it in: ... < FILE");
  }
  return value;
}

absl::StatusOr<sign::PrivateKey> LoadKey(const std::string& path, const PassphraseSource& source) {
  absl::StatusOr<std::string> pem = ReadFile(path, 64 << 10);
  if (!pem.ok()) return pem.status();
  absl::StatusOr<sign::PrivateKey> key = sign::LooksLikeOpenSshKey(*pem)
                                             ? sign::ReadOpenSshKey(*pem)
                                             : sign::PrivateKey::FromPem(*pem);
  if (!key.ok() && api::Reason(key.status()) == "passphrase-needed") {
    absl::StatusOr<std::string> passphrase = GetPassphrase(source, path);
    if (!passphrase.ok()) return passphrase.status();
    key = sign::PrivateKey::FromPem(*pem, *passphrase);
  }
  if (!key.ok()) return api::InFile(key.status(), path);
  return key;
}

absl::StatusOr<std::vector<sign::PrivateKey>> LoadKeys(const std::vector<std::string>& paths,
                                                       const PassphraseSource& source) {
  std::vector<sign::PrivateKey> out;
  for (const std::string& path : paths) {
    absl::StatusOr<sign::PrivateKey> key = LoadKey(path, source);
    if (!key.ok()) return key.status();
    out.push_back(*std::move(key));
  }
  return out;
}

}  // namespace basalt::client
