// nodectl probe and nodectl pcap: how the network looks from a node.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/packet_filter.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/table.h"

namespace basalt::client {
namespace {

constexpr int64_t kSoonDays = 14;

absl::StatusOr<v1::ProbeKind> KindOf(const std::string& word) {
  if (word == "dns") return v1::PROBE_KIND_DNS;
  if (word == "tcp") return v1::PROBE_KIND_TCP;
  if (word == "tls") return v1::PROBE_KIND_TLS;
  if (word == "http") return v1::PROBE_KIND_HTTP;
  return api::Coded(absl::StatusCode::kInvalidArgument, "usage",
                    absl::StrCat("'", word, "' is no kind of probe"), "dns, tcp, tls or http");
}

std::string Millis(int64_t micros) {
  return absl::StrFormat("%.1f ms", static_cast<double>(micros) / 1000);
}

std::string Day(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d", absl::FromUnixSeconds(time.seconds()), absl::UTCTimeZone());
}

// How it is meant: a certificate that nobody trusts is no success of `probe tls`.
bool Succeeded(const v1::ProbeReply& reply, v1::ProbeKind kind) {
  if (!reply.reached()) return false;
  return kind != v1::PROBE_KIND_TLS || reply.tls_verified();
}

void PrintProbe(Io& io, const std::string& node, const std::string& target, v1::ProbeKind kind,
                const v1::ProbeReply& reply) {
  auto line = [&io](absl::string_view name, const std::string& value) {
    io.out << absl::StrFormat("  %-12s %s\n", name, Escape(value));
  };
  io.out << node << ": " << Escape(target) << ": "
         << (reply.reached() ? Green(io, "reached")
                             : Red(io, absl::StrCat("not reached: ", Escape(reply.error()), " [",
                                                    Escape(reply.error_code()), "]")))
         << "\n";
  if (!reply.addresses().empty()) line("addresses", absl::StrJoin(reply.addresses(), ", "));
  if (!reply.peer().empty()) line("connected to", reply.peer());
  std::vector<std::string> steps;
  for (const v1::ProbeStep& step : reply.steps()) {
    steps.push_back(absl::StrCat(step.name(), " ", Millis(step.micros())));
  }
  if (!steps.empty()) line("time", absl::StrJoin(steps, ", "));
  if (!reply.tls_version().empty()) {
    line("TLS", absl::StrCat(reply.tls_version(), ", ", reply.tls_cipher()));
  }
  if (!reply.certificates().empty()) {
    line("trusted", reply.tls_verified() ? "yes" : absl::StrCat("no: ", reply.tls_fault()));
  }
  for (const v1::ProbeCertificate& certificate : reply.certificates()) {
    std::string left = certificate.days_left() < 0
                           ? Red(io, "expired")
                           : absl::StrCat(certificate.days_left(), " days left");
    if (certificate.days_left() >= 0 && certificate.days_left() < kSoonDays) {
      left = Yellow(io, left);
    }
    io.out << "  certificate  " << Escape(certificate.subject()) << "\n               until "
           << Day(certificate.not_after()) << ", " << left << "; by "
           << Escape(certificate.issuer()) << "\n";
    if (!certificate.names().empty()) {
      io.out << "               for " << Escape(absl::StrJoin(certificate.names(), ", ")) << "\n";
    }
  }
  if (kind == v1::PROBE_KIND_HTTP && reply.http_status() > 0) {
    line("status", absl::StrCat(reply.http_status(), ", ", reply.http_bytes(), " bytes",
                                reply.http_type().empty() ? "" : ", ", reply.http_type()));
    if (!reply.http_location().empty()) {
      line("redirect", absl::StrCat(reply.http_location(), " (not followed)"));
    }
  }
}

// Where packets go. They may hold anything: nobody else reads the file.
class PacketFile {
 public:
  ~PacketFile() {
    if (fd_ > STDERR_FILENO) close(fd_);
  }
  absl::Status Open(const std::string& path, const Io& io) {
    if (path.empty() || path == "-") {
      if (io.out_terminal) {
        return api::Coded(absl::StatusCode::kInvalidArgument, "usage",
                          "packets are nothing for a terminal", "-o FILE, or `| tcpdump -nr -`");
      }
      out_ = &io.out;
      return absl::OkStatus();
    }
    fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd_ >= 0) return absl::OkStatus();
    return api::Coded(absl::StatusCode::kFailedPrecondition, "cannot-write",
                      absl::StrCat(path, ": ", strerror(errno)));
  }
  bool Write(absl::string_view bytes) {
    if (out_ != nullptr) {
      out_->write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      out_->flush();
      return out_->good();
    }
    while (!bytes.empty()) {
      const ssize_t n = write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

 private:
  int fd_ = -1;
  std::ostream* out_ = nullptr;
};

}  // namespace

absl::StatusOr<int> RunProbe(Session& session, const ProbeOptions& options) {
  Io& io = session.io();
  absl::StatusOr<v1::ProbeKind> kind = KindOf(options.kind);
  if (!kind.ok()) return kind.status();
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  v1::ProbeRequest request;
  request.set_kind(*kind);
  request.set_target(options.target);
  request.set_server_name(options.server_name);
  request.set_any_address(options.any_address);
  request.set_timeout_ms(absl::ToInt64Milliseconds(options.timeout));
  absl::StatusOr<v1::ProbeReply> reply = (*client)->Probe(request);
  if (!reply.ok()) return AtNode(reply.status(), node->name);
  if (io.json()) {
    io.out << ToPrettyJson(*reply) << "\n";
  } else if (io.format == Format::kYaml) {
    io.out << ToYaml(*reply);
  } else {
    PrintProbe(io, node->name, options.target, *kind, *reply);
  }
  return Succeeded(*reply, *kind) ? 0 : 1;
}

absl::StatusOr<int> RunCapture(Session& session, const CaptureOptions& options) {
  Io& io = session.io();
  v1::CaptureRequest request;
  request.set_interface(options.interface);
  request.set_duration_ms(absl::ToInt64Milliseconds(options.duration));
  request.set_max_bytes(options.max_bytes);
  request.set_snap_length(options.snap_length);
  if (!options.filter.empty()) {
    auto filters = CompileFilter(options.filter, options.snap_length);
    if (!filters.ok()) return filters.status();
    *request.mutable_filters() = *std::move(filters);
  }
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  PacketFile file;
  if (absl::Status opened = file.Open(options.output_file, io); !opened.ok()) return opened;
  v1::CaptureSummary summary;
  bool ended = false, written = true;
  absl::Status status = (*client)->Capture(request, [&](const v1::CaptureReply& reply) {
    if (reply.has_summary()) {
      summary = reply.summary();
      ended = true;
    }
    written = file.Write(reply.data());
    return written;
  });
  if (!status.ok()) return AtNode(status, node->name);
  if (!written) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "cannot-write",
                      "the packets could not be written any more");
  }
  if (!ended) {
    return api::Coded(absl::StatusCode::kUnavailable, "capture-cut",
                      absl::StrCat(node->name, " ended the capture before its time"),
                      "what was written is whole packets");
  }
  io.err << node->name << ": " << summary.packets() << " packets of " << Escape(summary.interface())
         << ", " << summary.dropped() << " dropped by the kernel, " << summary.own()
         << " of this connection left out; ended by "
         << (summary.ended() == "interface-gone" ? "the end of the interface"
             : summary.ended() == "size"         ? "size"
                                                 : "time")
         << "\n";
  return 0;
}

}  // namespace basalt::client
