#include "server/diagnose/capture.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/diagnose/capture_task.h"
#include "server/diagnose/own_packets.h"
#include "server/diagnose/pcapng.h"
#include "server/host/fd.h"
#include "server/wire/drop.h"
#include "server/wire/fault.h"

namespace basalt::diagnose {
namespace {

constexpr size_t kMaxTask = 1 << 20;
constexpr int kReceiveBuffer = 2 << 20;

absl::Status Failed(absl::string_view code, absl::string_view what) {
  return wire::Fault(absl::StatusCode::kFailedPrecondition, code,
                     absl::StrCat(what, ": ", strerror(errno)));
}

std::string ReadFile(const char* path) {
  host::UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  std::string text(64 << 10, '\0');
  const ssize_t n = fd.valid() ? read(fd.get(), text.data(), text.size()) : 0;
  text.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  return text;
}

// LINKTYPE_ of an interface; 0: none that is understood here.
int LinkType(int hardware) {
  switch (hardware) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
      return kEthernet;
    case ARPHRD_NONE:  // WireGuard, tun
    case ARPHRD_RAWIP:
      return kBareIp;
    default:
      return 0;
  }
}

class Capture {
 public:
  explicit Capture(CaptureTask task) : task_(std::move(task)), peer_(Peer::Parse(task_.peer)) {}

  absl::Status Open(CaptureResult* result) {
    if (task_.interface.empty()) task_.interface = DefaultInterface(ReadFile("/proc/net/route"));
    result->interface = task_.interface;
    if (task_.interface.empty()) {
      return wire::Fault(absl::StatusCode::kFailedPrecondition, "no-interface",
                         "no interface has a default route: name one (--interface)");
    }
    // Without a protocol: nothing comes before the filter is there.
    fd_ = host::UniqueFd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_.valid()) return Failed("no-packet-socket", "a packet socket");
    ifreq request = {};
    task_.interface.copy(request.ifr_name, IFNAMSIZ - 1);
    if (task_.interface.size() >= IFNAMSIZ || ioctl(fd_.get(), SIOCGIFHWADDR, &request) != 0) {
      return wire::Fault(absl::StatusCode::kNotFound, "no-such-interface",
                         absl::StrCat("there is no interface ", task_.interface));
    }
    const int hardware = request.ifr_hwaddr.sa_family;
    if (hardware == ARPHRD_LOOPBACK && !task_.loopback) {
      return wire::Fault(absl::StatusCode::kPermissionDenied, "needs-role",
                         "what services say to each other on loopback is for the role admin");
    }
    link_type_ = LinkType(hardware);
    if (link_type_ == 0) {
      return wire::Fault(
          absl::StatusCode::kFailedPrecondition, "link-type-unknown",
          absl::StrCat(task_.interface, " is of a kind that is not captured (", hardware, ")"));
    }
    if (absl::Status status = Filter(); !status.ok()) return status;
    const int on = 1, size = kReceiveBuffer;
    setsockopt(fd_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (ioctl(fd_.get(), SIOCGIFINDEX, &request) != 0) return Failed("no-such-interface", "index");
    sockaddr_ll at = {.sll_family = AF_PACKET,
                      .sll_protocol = htons(ETH_P_ALL),
                      .sll_ifindex = request.ifr_ifindex};
    if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
      return Failed("no-packet-socket", task_.interface);
    }
    return absl::OkStatus();
  }

  void Run(CaptureResult* result) {
    const absl::Time end = absl::Now() + absl::Milliseconds(task_.duration_ms);
    result->ended = "duration";
    if (!Write(PcapngHead(task_.interface, link_type_, task_.snap_length))) return;
    std::string packet(task_.snap_length, '\0');
    while (true) {
      const int64_t left = absl::ToInt64Milliseconds(end - absl::Now());
      if (left <= 0) break;
      pollfd both[2] = {{.fd = fd_.get(), .events = POLLIN, .revents = 0},
                        {.fd = kCaptureFd, .events = 0, .revents = 0}};
      if (poll(both, 2, static_cast<int>(std::min<int64_t>(left, 1000))) < 0 && errno != EINTR) {
        break;
      }
      if ((both[1].revents & (POLLERR | POLLHUP)) != 0) return;  // nobody reads it any more
      if (both[0].revents == 0) continue;
      const Step step = One(packet, result);
      if (step == Step::kGone) result->ended = "interface-gone";
      if (step == Step::kFull) result->ended = "size";
      if (step == Step::kNobody) return;
      if (step != Step::kOn) break;
    }
    tpacket_stats stats = {};
    socklen_t size = sizeof stats;
    getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    result->dropped = stats.tp_drops;
    Write(PcapngStatistics(static_cast<uint64_t>(absl::GetCurrentTimeNanos()), stats.tp_packets,
                           stats.tp_drops));
  }

 private:
  enum class Step { kOn, kGone, kFull, kNobody };

  absl::Status Filter() {
    const auto found = task_.filters.find(link_type_);
    if (found == task_.filters.end()) {
      if (task_.filters.empty()) return absl::OkStatus();
      return wire::Fault(absl::StatusCode::kInvalidArgument, "bad-filter",
                         absl::StrCat("the filter is for another kind of link than ",
                                      task_.interface, " (", link_type_, ")"));
    }
    std::vector<sock_filter> program;
    for (const Instruction& one : found->second) {
      program.push_back({one.code, one.jump_true, one.jump_false, one.k});
    }
    sock_fprog filter = {.len = static_cast<unsigned short>(program.size()),
                         .filter = program.data()};
    if (setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) {
      return wire::Fault(absl::StatusCode::kInvalidArgument, "bad-filter",
                         absl::StrCat("the kernel refuses the filter: ", strerror(errno)));
    }
    return absl::OkStatus();
  }

  Step One(std::string& packet, CaptureResult* result) {
    iovec part = {.iov_base = packet.data(), .iov_len = packet.size()};
    alignas(cmsghdr) char control[256];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(fd_.get(), &message, MSG_TRUNC);
    if (n < 0) {
      return errno == EAGAIN || errno == EINTR ? Step::kOn : Step::kGone;
    }
    uint64_t nanos = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
      if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec time;
      memcpy(&time, CMSG_DATA(at), sizeof time);
      nanos = static_cast<uint64_t>(time.tv_sec) * 1000000000 + static_cast<uint64_t>(time.tv_nsec);
    }
    const absl::string_view bytes(packet.data(), std::min(static_cast<size_t>(n), packet.size()));
    if (peer_ && IsOf(*peer_, link_type_, bytes)) {
      ++result->own;
      return Step::kOn;
    }
    const std::string block = PcapngPacket(nanos, static_cast<uint32_t>(n), bytes);
    if (written_ + static_cast<int64_t>(block.size()) > task_.max_bytes) return Step::kFull;
    if (!Write(block)) return Step::kNobody;
    ++result->packets;
    return Step::kOn;
  }

  // Waits for whoever reads: meanwhile the kernel drops packets, and counts them.
  bool Write(absl::string_view bytes) {
    written_ += static_cast<int64_t>(bytes.size());
    while (!bytes.empty()) {
      const ssize_t n = write(kCaptureFd, bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) return false;
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  CaptureTask task_;
  const std::optional<Peer> peer_;
  host::UniqueFd fd_;
  int link_type_ = 0;
  int64_t written_ = 0;
};

}  // namespace

int CaptureMain() {
  std::string text(kMaxTask, '\0');
  const ssize_t n = pread(kCaptureTaskFd, text.data(), text.size(), 0);
  const std::optional<CaptureTask> task =
      UnpackTask(absl::string_view(text).substr(0, static_cast<size_t>(std::max<ssize_t>(n, 0))));
  if (!task) return 64;
  CaptureResult result;
  Capture capture(*task);
  absl::Status status = capture.Open(&result);
  if (status.ok()) status = wire::DropRights();
  if (status.ok()) {
    capture.Run(&result);
  } else {
    result.code = wire::FaultReason(status);
    if (result.code.empty()) result.code = "capture-failed";
    result.error = std::string(status.message());
  }
  const std::string summary = Pack(result);
  return pwrite(kCaptureSummaryFd, summary.data(), summary.size(), 0) ==
                 static_cast<ssize_t>(summary.size())
             ? 0
             : 1;
}

}  // namespace basalt::diagnose
