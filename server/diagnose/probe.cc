#include "server/diagnose/probe.h"

#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/diagnose/address_policy.h"
#include "server/wire/drop.h"
#include "server/wire/fault.h"
#include "server/wire/http_head.h"
#include "server/wire/net.h"
#include "server/wire/tls.h"

namespace basalt::diagnose {
namespace {

constexpr size_t kMaxBody = 1 << 20;
constexpr size_t kRead = 16 << 10;
constexpr size_t kTries = 4;  // addresses of one name

class Run {
 public:
  explicit Run(const ProbeTask& task)
      : task_(task), deadline_(absl::Now() + absl::Milliseconds(task.timeout_ms)) {}

  ProbeResult Do() {
    absl::Status status = Steps();
    out_.reached = status.ok();
    if (!status.ok()) {
      const std::string reason = wire::FaultReason(status);
      out_.code = absl::StrCat("probe-", reason.empty() ? "failed" : reason);
      out_.error = std::string(status.message());
    }
    return std::move(out_);
  }

 private:
  template <typename Fn>
  auto Step(const char* name, Fn fn) {
    const absl::Time begin = absl::Now();
    auto result = fn();
    out_.steps.push_back({name, absl::ToInt64Microseconds(absl::Now() - begin)});
    return result;
  }

  absl::Status Steps() {
    using Addresses = absl::StatusOr<std::vector<wire::Address>>;
    Addresses addresses = Step("resolve", [this]() -> Addresses {
      return wire::Resolve(task_.host, task_.port, /*datagram=*/false);
    });
    if (!addresses.ok()) return addresses.status();
    for (const wire::Address& address : *addresses) out_.addresses.push_back(address.Ip());
    if (task_.kind == ProbeTask::Kind::kDns) return absl::OkStatus();
    absl::StatusOr<host::UniqueFd> fd = Connect(*addresses);
    if (!fd.ok()) return fd.status();
    if (task_.kind == ProbeTask::Kind::kTcp) return absl::OkStatus();
    std::unique_ptr<wire::Stream> stream;
    if (task_.kind == ProbeTask::Kind::kTls || task_.tls) {
      absl::StatusOr<std::unique_ptr<wire::Stream>> tls = Handshake(*std::move(fd));
      if (!tls.ok()) return tls.status();
      stream = *std::move(tls);
    } else {
      stream = wire::ClearStream(*std::move(fd));
    }
    return task_.kind == ProbeTask::Kind::kHttp ? Fetch(*stream) : absl::OkStatus();
  }

  // What is gone to is the address that was looked at, not the name again.
  absl::StatusOr<host::UniqueFd> Connect(const std::vector<wire::Address>& addresses) {
    absl::Status last = wire::Fault(absl::StatusCode::kNotFound, "no-such-name", "no address");
    std::vector<wire::Address> open;
    for (const wire::Address& address : addresses) {
      const std::string why = task_.any_address ? "" : WhyClosed(address.Ip());
      if (why.empty()) {
        open.push_back(address);
        continue;
      }
      last = wire::Fault(absl::StatusCode::kPermissionDenied, "address-closed",
                         absl::StrCat(address.Ip(), " is ", why,
                                      ": only an admin may have it probed (--any-address)"));
    }
    if (open.size() > kTries) open.resize(kTries);
    for (const wire::Address& address : open) {
      using Fd = absl::StatusOr<host::UniqueFd>;
      Fd fd = Step("connect", [&]() -> Fd { return wire::ConnectTcp(address, deadline_); });
      if (fd.ok()) {
        out_.peer = address.Text();
        return fd;
      }
      last = fd.status();
    }
    return last;
  }

  absl::StatusOr<std::unique_ptr<wire::Stream>> Handshake(host::UniqueFd fd) {
    const std::string& name = task_.server_name.empty() ? task_.host : task_.server_name;
    absl::StatusOr<std::unique_ptr<wire::TlsContext>> context =
        wire::TlsContext::Make({.name = name, .verify = false});
    if (!context.ok()) return context.status();
    wire::TlsPeer peer;
    using Stream = absl::StatusOr<std::unique_ptr<wire::Stream>>;
    Stream stream = Step("handshake", [&]() -> Stream {
      return (*context)->Handshake(std::move(fd), deadline_, &peer);
    });
    out_.tls_fault = peer.fault;
    for (const std::string& der : peer.chain) out_.certificates.push_back(Describe(der));
    if (!stream.ok()) return stream;
    out_.tls_version = peer.version;
    out_.tls_cipher = peer.cipher;
    return stream;
  }

  absl::Status Fetch(wire::Stream& stream) {
    const std::string& name = task_.server_name.empty() ? task_.host : task_.server_name;
    const bool v6 = name.find(':') != std::string::npos;
    const bool standard = task_.port == (task_.tls ? 443 : 80);
    const std::string request =
        absl::StrCat("GET ", task_.path.empty() || task_.path[0] != '/' ? "/" : "", task_.path,
                     " HTTP/1.1\r\nHost: ", v6 ? "[" : "", name, v6 ? "]" : "",
                     standard ? "" : absl::StrCat(":", task_.port),
                     "\r\nUser-Agent: basalt-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    std::string text;
    absl::Status status = Step("answer", [&]() -> absl::Status {
      if (absl::Status sent = stream.Write(request, deadline_); !sent.ok()) return sent;
      bool bad = false;
      while (true) {
        absl::StatusOr<std::string> some = stream.Read(kRead, deadline_);
        if (!some.ok()) return some.status();
        text += *some;
        const std::optional<wire::HttpHead> head = wire::ParseHttpHead(text, &bad);
        if (head && head->status >= 200) {
          out_.http_status = head->status;
          out_.http_location = head->location;
          out_.http_type = head->type;
          length_ = head->length;
          text.erase(0, head->size);
          return absl::OkStatus();
        }
        if (head) text.erase(0, head->size);
        if (bad || some->empty()) {
          return wire::Fault(absl::StatusCode::kUnavailable, "no-http",
                             "what came back is no answer of HTTP/1");
        }
      }
    });
    if (!status.ok()) return status;
    return Step("body", [&]() -> absl::Status {
      size_t read = text.size();
      while (read < kMaxBody && (length_ < 0 || static_cast<int64_t>(read) < length_)) {
        absl::StatusOr<std::string> some = stream.Read(kRead, deadline_);
        if (!some.ok()) return some.status();
        if (some->empty()) break;
        read += some->size();
      }
      out_.http_bytes = static_cast<int64_t>(std::min(read, kMaxBody));
      return absl::OkStatus();
    });
  }

  static std::string Name(const X509_NAME* name) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return std::string(text, static_cast<size_t>(std::max<long>(size, 0)));
  }

  static int64_t Unix(const ASN1_TIME* time) {
    tm parts = {};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
  }

  static ProbeCertificate Describe(const std::string& der) {
    ProbeCertificate out;
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    std::unique_ptr<X509, decltype(&X509_free)> cert(
        d2i_X509(nullptr, &bytes, static_cast<long>(der.size())), &X509_free);
    if (cert == nullptr) return out;
    out.subject = Name(X509_get_subject_name(cert.get()));
    out.issuer = Name(X509_get_issuer_name(cert.get()));
    out.not_before = Unix(X509_get0_notBefore(cert.get()));
    out.not_after = Unix(X509_get0_notAfter(cert.get()));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (X509_digest(cert.get(), EVP_sha256(), digest, &size) == 1) {
      out.sha256 =
          absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
    }
    auto* names = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(cert.get(), NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
      const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
      if (name->type == GEN_DNS) {
        out.names.emplace_back(
            reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
            static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
      } else if (name->type == GEN_IPADD) {
        wire::Address address;
        const int bytes_of = ASN1_STRING_length(name->d.iPAddress);
        address.storage.ss_family = bytes_of == 16 ? AF_INET6 : AF_INET;
        // Behind family, port and (of IPv6) flow the address stands.
        char* at = reinterpret_cast<char*>(&address.storage) + (bytes_of == 16 ? 8 : 4);
        if (bytes_of != 4 && bytes_of != 16) continue;
        std::copy_n(ASN1_STRING_get0_data(name->d.iPAddress), bytes_of, at);
        out.names.push_back(address.Ip());
      }
    }
    GENERAL_NAMES_free(names);
    return out;
  }

  const ProbeTask task_;
  const absl::Time deadline_;
  ProbeResult out_;
  int64_t length_ = -1;
};

}  // namespace

ProbeResult RunProbe(const ProbeTask& task) { return Run(task).Do(); }

int ProbeMain(const std::vector<std::string>& arguments) {
  const std::optional<ProbeTask> task = FromArguments(arguments);
  if (!task) return 64;
  if (absl::Status dropped = wire::DropRights(); !dropped.ok()) {
    std::fprintf(stderr, "noded-wire: %s\n", std::string(dropped.message()).c_str());
    return 1;
  }
  const std::string result = Pack(RunProbe(*task));
  return write(kResultFd, result.data(), result.size()) == static_cast<ssize_t>(result.size()) ? 0
                                                                                               : 1;
}

}  // namespace basalt::diagnose
