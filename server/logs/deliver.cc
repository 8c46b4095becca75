#include "server/logs/deliver.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/logs/encode.h"
#include "server/wire/fault.h"
#include "server/wire/http_head.h"
#include "server/wire/net.h"
#include "server/wire/tls.h"

namespace basalt::logs {
namespace {

constexpr size_t kRead = 16 << 10;
constexpr int64_t kMaxAnswer = 1 << 20;

// A stream to the sink, made when there is none that is good.
class Connection {
 public:
  Connection(const SinkSpec& spec, bool tls) : spec_(spec), tls_(tls) {}

  absl::StatusOr<wire::Stream*> Get(absl::Time deadline) {
    if (stream_ != nullptr && !stream_->Stale()) return stream_.get();
    stream_.reset();
    absl::StatusOr<std::vector<wire::Address>> addresses =
        wire::Resolve(spec_.host, spec_.port, /*datagram=*/false);
    if (!addresses.ok()) return addresses.status();
    absl::Status last = absl::UnavailableError("it has no address");
    for (const wire::Address& address : *addresses) {
      absl::StatusOr<host::UniqueFd> fd = wire::ConnectTcp(address, deadline);
      if (!fd.ok()) {
        last = fd.status();
        continue;
      }
      if (!tls_) {
        stream_ = wire::ClearStream(*std::move(fd));
        return stream_.get();
      }
      if (absl::Status s = MakeContext(); !s.ok()) return s;
      absl::StatusOr<std::unique_ptr<wire::Stream>> stream =
          context_->Handshake(*std::move(fd), deadline, nullptr);
      if (!stream.ok()) return stream.status();
      stream_ = *std::move(stream);
      return stream_.get();
    }
    return last;
  }
  void Drop() { stream_.reset(); }

 private:
  absl::Status MakeContext() {
    if (context_ != nullptr) return absl::OkStatus();
    absl::StatusOr<std::unique_ptr<wire::TlsContext>> made =
        wire::TlsContext::Make({.ca_pem = spec_.ca,
                                .certificate_pem = spec_.certificate,
                                .key_pem = spec_.key,
                                .name = spec_.host});
    // Not InvalidArgument: the records are not what is wrong.
    if (!made.ok()) return absl::FailedPreconditionError(made.status().message());
    context_ = *std::move(made);
    return absl::OkStatus();
  }

  const SinkSpec& spec_;
  const bool tls_;
  std::unique_ptr<wire::TlsContext> context_;
  std::unique_ptr<wire::Stream> stream_;
};

class StreamSyslog : public Delivery {
 public:
  StreamSyslog(const SinkSpec& spec, std::string host_name)
      : spec_(spec),
        host_name_(std::move(host_name)),
        connection_(spec_, spec.transport == Transport::kTls) {}

  absl::Status Deliver(const std::vector<Record>& records) override {
    const absl::Time deadline = absl::Now() + kPatience;
    absl::StatusOr<wire::Stream*> stream = connection_.Get(deadline);
    if (!stream.ok()) return stream.status();
    std::string bytes;
    for (const Record& record : records) bytes += Framed(Syslog(record, host_name_));
    absl::Status status = (*stream)->Write(bytes, deadline);
    if (!status.ok()) connection_.Drop();
    return status;
  }

 private:
  const SinkSpec spec_;
  const std::string host_name_;
  Connection connection_;
};

class DatagramSyslog : public Delivery {
 public:
  DatagramSyslog(const SinkSpec& spec, std::string host_name)
      : spec_(spec), host_name_(std::move(host_name)) {}

  absl::Status Deliver(const std::vector<Record>& records) override {
    if (!fd_.valid()) {
      absl::StatusOr<std::vector<wire::Address>> addresses =
          wire::Resolve(spec_.host, spec_.port, /*datagram=*/true);
      if (!addresses.ok()) return addresses.status();
      if (addresses->empty()) return absl::UnavailableError("it has no address");
      absl::StatusOr<host::UniqueFd> fd = wire::ConnectUdp(addresses->front());
      if (!fd.ok()) return fd.status();
      fd_ = *std::move(fd);
    }
    for (const Record& record : records) {
      const std::string message = Syslog(record, host_name_).substr(0, kMaxDatagram);
      if (send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
        const int error = errno;
        // Asked for its address anew: a name may have moved.
        fd_.reset();
        return wire::Fault(absl::StatusCode::kUnavailable, "unreachable", strerror(error));
      }
    }
    return absl::OkStatus();
  }

 private:
  const SinkSpec spec_;
  const std::string host_name_;
  host::UniqueFd fd_;
};

class Post : public Delivery {
 public:
  Post(const SinkSpec& spec, std::string host_name)
      : spec_(spec),
        host_name_(std::move(host_name)),
        connection_(spec_, spec.transport == Transport::kHttps) {}

  absl::Status Deliver(const std::vector<Record>& records) override {
    const absl::Time deadline = absl::Now() + kPatience;
    absl::StatusOr<wire::Stream*> stream = connection_.Get(deadline);
    if (!stream.ok()) return stream.status();
    absl::Status status =
        (*stream)->Write(PostRequest(spec_, Encode(spec_.encoding, records, host_name_)), deadline);
    bool keep = false;
    if (status.ok()) status = Answer(**stream, deadline, &keep);
    if (!keep) connection_.Drop();
    return status;
  }

 private:
  absl::Status Answer(wire::Stream& stream, absl::Time deadline, bool* keep) {
    std::string text;
    std::optional<wire::HttpHead> head;
    bool bad = false;
    while (!head) {
      absl::StatusOr<std::string> some = stream.Read(kRead, deadline);
      if (!some.ok()) return some.status();
      if (some->empty()) return absl::UnavailableError("the sink ended the connection");
      text += *some;
      head = wire::ParseHttpHead(text, &bad);
      if (bad) return absl::UnavailableError("the sink does not speak HTTP");
      // 100 Continue and the like stand before the answer.
      if (head && head->status < 200) {
        text.erase(0, head->size);
        head = wire::ParseHttpHead(text, &bad);
      }
    }
    *keep = head->keep_alive && head->length <= kMaxAnswer;
    std::string body = text.substr(head->size);
    while (*keep && static_cast<int64_t>(body.size()) < head->length) {
      absl::StatusOr<std::string> some = stream.Read(kRead, deadline);
      if (!some.ok() || some->empty()) {
        *keep = false;
        break;
      }
      body += *some;
    }
    if (head->status / 100 == 2) return absl::OkStatus();
    const std::string message =
        absl::StrCat("the sink answered ", head->status, ": ", body.substr(0, 200));
    const bool later = head->status == 408 || head->status == 425 || head->status == 429 ||
                       head->status == 401 || head->status == 403 || head->status / 100 != 4;
    // Who we are may be mended with the next config; what we send will not be.
    if (later) return absl::UnavailableError(message);
    return absl::InvalidArgumentError(message);
  }

  const SinkSpec spec_;
  const std::string host_name_;
  Connection connection_;
};

}  // namespace

std::unique_ptr<Delivery> MakeDelivery(const SinkSpec& spec, const std::string& host_name) {
  switch (spec.transport) {
    case Transport::kTls:
    case Transport::kTcp:
      return std::make_unique<StreamSyslog>(spec, host_name);
    case Transport::kUdp:
      return std::make_unique<DatagramSyslog>(spec, host_name);
    case Transport::kHttps:
    case Transport::kHttp:
      break;
  }
  return std::make_unique<Post>(spec, host_name);
}

}  // namespace basalt::logs
