#include "machineconfig/format/format.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/format/cron.h"
#include "machineconfig/format/k3s_version.h"
#include "machineconfig/format/kernel.h"
#include "machineconfig/format/net.h"
#include "machineconfig/format/pem.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/format/time.h"

namespace basalt::format {
namespace {

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }
absl::Status Expect(bool ok, absl::string_view message) {
  return ok ? absl::OkStatus() : Bad(message);
}

bool LowerHex(absl::string_view text, size_t length) {
  return text.size() == length &&
         text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

absl::Status CheckSha256(absl::string_view text) {
  if (LowerHex(text, 64)) return absl::OkStatus();
  const std::string lower = absl::AsciiStrToLower(text);
  if (LowerHex(lower, 64)) return Bad("not a SHA-256: its hex digits are written in lower case");
  if (absl::StartsWith(lower, "sha256:")) {
    return Bad("not a SHA-256: 64 lower-case hex digits, here without `sha256:` before them");
  }
  if (LowerHex(lower, lower.size())) {
    return Bad(absl::StrCat("not a SHA-256: 64 lower-case hex digits, these are ", text.size()));
  }
  return Bad("not a SHA-256: 64 lower-case hex digits");
}

// The name part of a Kubernetes label: at most 63, ends in letters or digits.
bool IsLabelName(absl::string_view text) {
  if (text.empty() || text.size() > 63) return false;
  if (!absl::ascii_isalnum(text.front()) || !absl::ascii_isalnum(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

bool IsLabelKey(absl::string_view text) {
  const size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return IsLabelName(text);
  return IsDnsName(text.substr(0, slash)) && IsLabelName(text.substr(slash + 1));
}

bool IsTaint(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return false;
  const absl::string_view effect = text.substr(colon + 1);
  if (effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute") return false;
  const absl::string_view head = text.substr(0, colon);
  const size_t equals = head.find('=');
  if (equals == absl::string_view::npos) return IsLabelKey(head);
  const absl::string_view value = head.substr(equals + 1);
  return IsLabelKey(head.substr(0, equals)) && (value.empty() || IsLabelName(value));
}

bool IsFileName(absl::string_view text) {
  if (text.empty() || text.size() > 128 || text.front() == '.' || text.front() == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

bool IsEnvName(absl::string_view text) {
  if (text.empty() || text.size() > 128 || absl::ascii_isdigit(text[0])) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

// One line or one PEM block; whether it is a good key is decided where keys are parsed.
bool IsPublicKey(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  if (absl::StartsWith(text, "-----BEGIN PUBLIC KEY-----\n")) {
    return absl::EndsWith(text, "\n-----END PUBLIC KEY-----") && text.size() < 1024;
  }
  if (absl::StrContains(text, '\n') || text.size() > 1024) return false;
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
  if (words.size() >= 2 && (words[0] == "ssh-ed25519" || words[0] == "ecdsa-sha2-nistp256" ||
                            words[0] == "sk-ssh-ed25519@openssh.com" ||
                            words[0] == "sk-ecdsa-sha2-nistp256@openssh.com")) {
    return absl::StartsWith(words[1], "AAAA") && Base64DecodeStrict(words[1]).ok();
  }
  // minisign: "Ed", 8 bytes of key number, 32 bytes of key.
  if (words.size() != 1) return false;
  const auto raw = Base64DecodeStrict(words[0]);
  return raw.ok() && raw->size() == 42 && absl::StartsWith(*raw, "Ed");
}

}  // namespace

absl::StatusOr<int64_t> ParseQuantity(absl::string_view text) {
  const auto bad =
      Bad("not an amount of bytes: a whole number with k, M, G, T, Ki, Mi, Gi or Ti, "
          "such as 512Mi");
  size_t digits = 0;
  while (digits < text.size() && absl::ascii_isdigit(text[digits])) ++digits;
  int64_t value = 0;
  if (digits == 0 || !absl::SimpleAtoi(text.substr(0, digits), &value)) return bad;
  const absl::string_view suffix = text.substr(digits);
  constexpr absl::string_view kDecimal[] = {"", "k", "M", "G", "T"};
  constexpr absl::string_view kBinary[] = {"", "Ki", "Mi", "Gi", "Ti"};
  for (int power = 0; power < 5; ++power) {
    if (suffix != kDecimal[power] && suffix != kBinary[power]) continue;
    const int64_t base = suffix == kBinary[power] ? 1024 : 1000;
    for (int i = 0; i < power; ++i) {
      if (value > std::numeric_limits<int64_t>::max() / base) return Bad("the amount is too large");
      value *= base;
    }
    return value;
  }
  return bad;
}

absl::Status Check(v1::Format format, absl::string_view text) {
  switch (format) {
    case v1::FORMAT_DURATION:
      return ParseDuration(text).status();
    case v1::FORMAT_QUANTITY:
      return ParseQuantity(text).status();
    case v1::FORMAT_CIDR:
      return ParseCidr(text).status();
    case v1::FORMAT_IP:
      return ParseIp(text).status();
    case v1::FORMAT_HOSTNAME:
      return Expect(
          IsDnsLabel(text),
          "not a name: 1 to 63 lower-case letters, digits and `-`, neither first nor last "
          "a `-`, such as pi-server-0");
    case v1::FORMAT_DNS_NAME:
      return Expect(IsDnsName(text),
                    "not a DNS name: lower-case letters, digits, `-` and `.`, at most 253, such as "
                    "node-1.example.org");
    case v1::FORMAT_URL:
      return ParseUrl(text).status();
    case v1::FORMAT_HTTPS_URL: {
      if (!absl::StartsWith(text, "https://")) {
        return Bad("the URL must start with https://, such as https://pi-server-0:6443");
      }
      return ParseUrl(text).status();
    }
    case v1::FORMAT_HOST_PORT:
      return ParseHostPort(text).status();
    case v1::FORMAT_TIMESTAMP:
      return ParseTimestamp(text).status();
    case v1::FORMAT_SHA256:
      return CheckSha256(text);
    case v1::FORMAT_DIGEST:
      return Expect(absl::ConsumePrefix(&text, "sha256:") && LowerHex(text, 64),
                    "not a digest: `sha256:` and 64 lower-case hex digits");
    case v1::FORMAT_PEM_CERTS:
      return CheckPemCertificates(text);
    case v1::FORMAT_PUBLIC_KEY:
      return Expect(IsPublicKey(text),
                    "not a public key: PEM (-----BEGIN PUBLIC KEY-----), an OpenSSH line "
                    "(ssh-ed25519 AAAA...) or a minisign line");
    case v1::FORMAT_K3S_VERSION:
      return ParseK3sVersion(text).status();
    case v1::FORMAT_LABEL_KEY:
      return Expect(IsLabelKey(text),
                    "not a label key: [DNS-NAME/]NAME with letters, digits, `-`, `_` and `.`, such "
                    "as topology.kubernetes.io/zone");
    case v1::FORMAT_LABEL_VALUE:
      return Expect(
          text.empty() || IsLabelName(text),
          "not a label value: at most 63 letters, digits, `-`, `_` and `.`, first and last "
          "a letter or digit");
    case v1::FORMAT_TAINT:
      return Expect(IsTaint(text),
                    "not a taint: KEY=VALUE:EFFECT or KEY:EFFECT with the effect NoSchedule, "
                    "PreferNoSchedule or NoExecute, such as dedicated=db:NoSchedule");
    case v1::FORMAT_FILE_NAME:
      return Expect(
          IsFileName(text),
          "not a file name: 1 to 128 letters, digits, `-`, `_` and `.`, first neither `.` "
          "nor `-`, such as traefik-config");
    case v1::FORMAT_CRON:
      return CheckCron(text);
    case v1::FORMAT_ENV_NAME:
      return Expect(IsEnvName(text),
                    "not the name of an environment variable: letters, digits and `_`, not first a "
                    "digit, such as HTTPS_PROXY");
    case v1::FORMAT_IP_OR_DNS:
      return Expect(
          ParseIp(text).ok() ||
              (IsDnsName(text) && text.find_first_not_of("0123456789.") != absl::string_view::npos),
          "neither an IP address nor a DNS name, such as 192.168.1.10 or k3s.example.org");
    case v1::FORMAT_IP_PREFIX:
      return ParseIpPrefix(text).status();
    case v1::FORMAT_MAC:
      return CheckMac(text);
    case v1::FORMAT_INTERFACE:
      return CheckInterfaceName(text);
    case v1::FORMAT_ROUTE: {
      if (text == "default") return absl::OkStatus();
      const absl::Status status = ParseCidr(text).status();
      // What a Cidr says of bits behind its prefix helps; that it is no network is half the truth.
      if (status.ok() || absl::StrContains(text, '/')) return status;
      return Bad("neither a network, such as 10.20.0.0/16 or fd00::/64, nor `default`");
    }
    case v1::FORMAT_PORTS:
      return ParsePorts(text).status();
    case v1::FORMAT_WIREGUARD_KEY: {
      const auto key = Base64DecodeStrict(text);
      return Expect(key.ok() && key->size() == 32,
                    "not a WireGuard key: 32 bytes in base64, 44 characters of which the last is "
                    "`=`, as `wg genkey` prints them");
    }
    case v1::FORMAT_SYSCTL:
      return CheckSysctl(text);
    case v1::FORMAT_LINE:
      return Expect(
          text.size() <= 4096 && std::none_of(text.begin(), text.end(), absl::ascii_iscntrl),
          "must be one line without control characters, at most 4096 bytes");
    case v1::FORMAT_KERNEL_ARGUMENT:
      return CheckKernelArgument(text);
    case v1::FORMAT_MODULE:
      return CheckModuleName(text);
    case v1::FORMAT_PATH:
      return CheckPath(text);
    case v1::FORMAT_TIME_OF_DAY:
      return ParseTimeOfDay(text).status();
    case v1::FORMAT_TIME_ZONE:
      return CheckTimeZone(text);
    case v1::FORMAT_SINK_URL:
      return ParseSinkUrl(text).status();
    case v1::FORMAT_UNSPECIFIED:
    default:
      return absl::OkStatus();
  }
}

}  // namespace basalt::format
