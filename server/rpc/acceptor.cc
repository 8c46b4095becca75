#include "server/rpc/acceptor.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/rpc/client_hello.h"
#include "server/rpc/listen.h"

namespace basalt::rpc {
namespace {

// epoll's user data: 0 wakes, the upper half of the numbers are listening descriptors.
constexpr uint64_t kWakeId = 0;
constexpr uint64_t kListenerBit = uint64_t{1} << 63;
constexpr int kAcceptsATurn = 64;
constexpr absl::Duration kPause = absl::Milliseconds(100);
// Descriptors of the process that are not connections: gRPC, the supervisor channel, files.
constexpr int kDescriptorsKept = 40;

absl::Duration SinceBoot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

absl::Status Errno(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInternal, "accept-loop",
                    absl::StrCat(what, ": ", std::strerror(errno)));
}

// A connection takes two descriptors. Better to refuse one than to have none for a log file.
int ConnectionsThatFit(int wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  int64_t fit = (static_cast<int64_t>(limit.rlim_cur) - kDescriptorsKept) / 2;
  return static_cast<int>(std::clamp<int64_t>(fit, 4, wanted));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Start(const Limits& limits) {
  std::unique_ptr<Acceptor> acceptor(new Acceptor(limits, ConnectionsThatFit(limits.connections)));
  if (absl::Status s = acceptor->Init(); !s.ok()) return s;
  acceptor->thread_ = std::thread([raw = acceptor.get()] { raw->Run(); });
  return acceptor;
}

Acceptor::Acceptor(const Limits& limits, int connections)
    : limits_(limits), slots_(connections, limits.connections_per_source, limits.reserved) {}

Acceptor::~Acceptor() { Stop(); }

absl::Status Acceptor::Init() {
  absl::MutexLock lock(&mu_);
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  spare_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!epoll_.valid() || !wake_.valid()) return Errno("setting up");
  Watch(wake_.get(), kWakeId, EPOLLIN);
  return absl::OkStatus();
}

void Acceptor::Watch(int fd, uint64_t id, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  }
}

void Acceptor::Wake() {
  uint64_t one = 1;
  // A full counter is awake already.
  [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof(one));
}

absl::StatusOr<std::vector<Listener>> Acceptor::Open(const std::vector<std::string>& addresses) {
  std::vector<Listener> opened;
  std::vector<int> own;
  absl::MutexLock lock(&mu_);
  for (const Listener& listener : listeners_) own.push_back(listener.fd.get());
  for (const std::string& text : addresses) {
    auto same = [&](const Listener& listener) { return listener.text == text; };
    if (std::any_of(listeners_.begin(), listeners_.end(), same)) continue;
    if (std::any_of(opened.begin(), opened.end(), same)) continue;
    absl::StatusOr<Listener> listener = OpenListener(text, own);
    if (!listener.ok()) return listener.status();
    own.push_back(listener->fd.get());
    opened.push_back(*std::move(listener));
  }
  return opened;
}

void Acceptor::Serve(const std::vector<std::string>& addresses, std::vector<Listener> opened) {
  absl::MutexLock lock(&mu_);
  for (Listener& listener : opened) {
    Watch(listener.fd.get(), kListenerBit | listener.fd.get(), EPOLLIN);
    listeners_.push_back(std::move(listener));
  }
  auto dropped = [&](const Listener& listener) {
    return std::find(addresses.begin(), addresses.end(), listener.text) == addresses.end();
  };
  for (const Listener& listener : listeners_) {
    // What the kernel has accepted for us already is served still.
    if (dropped(listener)) AcceptSome(listener.fd.get());
  }
  listeners_.erase(std::remove_if(listeners_.begin(), listeners_.end(), dropped), listeners_.end());
  Wake();
}

std::vector<std::string> Acceptor::endpoints() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> out;
  for (const Listener& listener : listeners_) out.push_back(listener.endpoint);
  return out;
}

void Acceptor::SetHandoff(uint64_t generation, Handoff handoff) {
  absl::MutexLock handoff_lock(&handoff_mu_);
  handoff_ = std::move(handoff);
  absl::MutexLock lock(&mu_);
  generation_ = generation;
}

void Acceptor::SetAllowedNetworks(std::vector<Network> networks) {
  absl::MutexLock lock(&mu_);
  networks_ = std::move(networks);
}

uint64_t Acceptor::IdOf(absl::string_view grpc_peer) const {
  std::string peer = NormalizePeer(grpc_peer);
  absl::MutexLock lock(&mu_);
  auto it = by_peer_.find(peer);
  return it == by_peer_.end() ? 0 : it->second;
}

void Acceptor::NoteAuthenticated(uint64_t id, const std::string& pem, absl::Time not_after) {
  absl::MutexLock lock(&mu_);
  auto it = connections_.find(id);
  if (it == connections_.end()) return;
  slots_.NoteAuthenticated(it->second.source, SinceBoot());
  if (!it->second.identity.empty()) return;
  it->second.identity = pem;
  it->second.not_after = not_after;
  bool first = expiries_.empty() || not_after < expiries_.begin()->first;
  expiries_.emplace(not_after, id);
  if (first) Wake();
}

bool Acceptor::BeginAnonymousCall(uint64_t id) {
  absl::MutexLock lock(&mu_);
  auto it = connections_.find(id);
  if (it == connections_.end()) return false;
  if (it->second.anonymous_calls > 0) return false;
  ++it->second.anonymous_calls;
  return true;
}

void Acceptor::EndAnonymousCall(uint64_t id) {
  absl::MutexLock lock(&mu_);
  auto it = connections_.find(id);
  if (it != connections_.end()) --it->second.anonymous_calls;
}

int Acceptor::Cut(const std::function<bool(const View&)>& refused) {
  absl::MutexLock lock(&mu_);
  int count = 0;
  for (auto& [id, connection] : connections_) {
    View view{id, connection.generation, connection.peer, connection.identity};
    if (!refused(view)) continue;
    // The hang-up that follows frees the slot.
    shutdown(connection.fd.get(), SHUT_RDWR);
    ++stats_.cut;
    ++count;
  }
  return count;
}

ServerStats Acceptor::stats() const {
  absl::MutexLock lock(&mu_);
  ServerStats out = stats_;
  out.open = slots_.open();
  return out;
}

bool Acceptor::AwaitStats(const std::function<bool(const ServerStats&)>& reached,
                          absl::Duration timeout) const {
  auto condition = [&] {
    mu_.AssertReaderHeld();
    ServerStats now = stats_;
    now.open = slots_.open();
    return reached(now);
  };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&condition), timeout);
}

void Acceptor::StopListening() {
  absl::MutexLock lock(&mu_);
  listeners_.clear();
}

void Acceptor::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    listeners_.clear();
    Wake();
  }
  if (thread_.joinable()) thread_.join();
  absl::MutexLock lock(&mu_);
  for (auto& [id, connection] : connections_) shutdown(connection.fd.get(), SHUT_RDWR);
  connections_.clear();
  by_peer_.clear();
}

void Acceptor::Run() {
  epoll_event events[64];
  while (true) {
    int timeout;
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
      timeout = WaitMillis();
    }
    int n = epoll_wait(epoll_.get(), events, 64, timeout);
    std::vector<Ready> ready;
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
      for (int i = 0; i < n; ++i) {
        uint64_t id = events[i].data.u64;
        if (id == kWakeId) {
          uint64_t count;
          [[maybe_unused]] ssize_t got = read(wake_.get(), &count, sizeof(count));
        } else if (id & kListenerBit) {
          AcceptSome(static_cast<int>(id & ~kListenerBit));
        } else {
          OnEvents(id, events[i].events, &ready);
        }
      }
      Expire();
    }
    // gRPC may run a handshake step right here, and that may end in a call of ours that wants mu_.
    absl::MutexLock lock(&handoff_mu_);
    for (Ready& connection : ready) {
      if (handoff_) {
        handoff_(connection.fd.release(), connection.listener_fd);
      } else {
        shutdown(connection.fd.get(), SHUT_RDWR);
      }
    }
  }
}

int Acceptor::WaitMillis() const {
  absl::Duration wait = absl::InfiniteDuration();
  absl::Duration now = SinceBoot();
  if (!hello_deadlines_.empty()) wait = hello_deadlines_.front().first - now;
  if (paused_until_ > absl::ZeroDuration()) wait = std::min(wait, paused_until_ - now);
  if (!expiries_.empty()) {
    // The wall clock may be set: look again each minute.
    wait = std::min({wait, expiries_.begin()->first - absl::Now(), absl::Minutes(1)});
  }
  if (wait == absl::InfiniteDuration()) return -1;
  return static_cast<int>(
      std::max<int64_t>(0, absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1)))));
}

void Acceptor::AcceptSome(int listener_fd) {
  auto known = [&](const Listener& listener) { return listener.fd.get() == listener_fd; };
  if (std::none_of(listeners_.begin(), listeners_.end(), known)) return;
  for (int i = 0; i < kAcceptsATurn; ++i) {
    SocketAddress peer;
    peer.size = sizeof(peer.storage);
    host::UniqueFd fd(accept4(listener_fd, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size,
                              SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) {
      Admit(std::move(fd), peer, listener_fd);
      continue;
    }
    switch (errno) {
      case EAGAIN:
        return;
      case EMFILE:
      case ENFILE:
      case ENOMEM:
      case ENOBUFS:
        if (!OutOfDescriptors(listener_fd)) return;
        break;
      default:
        // A connection that died in the queue: the next one.
        break;
    }
  }
}

bool Acceptor::OutOfDescriptors(int listener_fd) {
  // With the spare one given up the connection can be taken and refused, so that the peer learns
  // of it and the queue does not stay ready for ever.
  ++stats_.refused_descriptors;
  if (spare_.valid()) {
    spare_.reset();
    host::UniqueFd refused(accept4(listener_fd, nullptr, nullptr, SOCK_CLOEXEC));
    bool took = refused.valid();
    refused.reset();
    spare_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (took && spare_.valid()) return true;
  }
  // Nothing to give up: look away for a moment instead of spinning on a ready socket.
  paused_until_ = SinceBoot() + kPause;
  for (const Listener& listener : listeners_) {
    epoll_event none{};
    none.data.u64 = kListenerBit | listener.fd.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener.fd.get(), &none);
  }
  return false;
}

void Acceptor::Admit(host::UniqueFd fd, const SocketAddress& peer, int listener_fd) {
  if (!Allowed(networks_, peer)) {
    ++stats_.refused_network;
    return;
  }
  std::string text = peer.ToString();
  // The same peer and port on two of our addresses: gRPC's name for it would mean both.
  if (by_peer_.count(text) > 0) {
    ++stats_.refused_source;
    return;
  }
  std::string source = SourceOf(peer);
  switch (slots_.Take(source, SinceBoot())) {
    case Slots::Verdict::kFull:
      ++stats_.refused_full;
      return;
    case Slots::Verdict::kSourceFull:
      ++stats_.refused_source;
      return;
    case Slots::Verdict::kTaken:
      break;
  }
  ++stats_.accepted;
  int on = 1;
  // Without it each small frame of a new connection waits some 40 ms for an acknowledgement.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  uint64_t id = next_id_++;
  Watch(fd.get(), id, EPOLLIN | EPOLLRDHUP | EPOLLET);
  hello_deadlines_.emplace_back(SinceBoot() + limits_.handshake * 2 / 5, id);
  by_peer_[text] = id;
  connections_[id] = Connection{.id = id,
                                .fd = std::move(fd),
                                .peer = peer,
                                .peer_text = std::move(text),
                                .source = std::move(source),
                                .listener_fd = listener_fd};
}

void Acceptor::OnEvents(uint64_t id, uint32_t events, std::vector<Ready>* ready) {
  auto it = connections_.find(id);
  if (it == connections_.end()) return;
  Connection& connection = it->second;
  if (events & EPOLLHUP) return Forget(id);
  if (connection.serving) return;
  switch (PeekClientHello(connection.fd.get())) {
    case HelloState::kMore:
      // A peer that closed its side will not send the rest.
      if (events & (EPOLLRDHUP | EPOLLERR)) Forget(id);
      return;
    case HelloState::kEnded:
      return Forget(id);
    case HelloState::kNotTls:
      ++stats_.refused_not_tls;
      return Forget(id);
    case HelloState::kComplete:
      break;
  }
  host::UniqueFd copy(fcntl(connection.fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) {
    ++stats_.refused_descriptors;
    return Forget(id);
  }
  connection.serving = true;
  connection.generation = generation_;
  // Hang-ups and errors are reported without being asked for.
  epoll_event event{};
  event.events = EPOLLET;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
  ready->push_back({std::move(copy), connection.listener_fd});
}

void Acceptor::Expire() {
  absl::Duration now = SinceBoot();
  while (!hello_deadlines_.empty() && hello_deadlines_.front().first <= now) {
    uint64_t id = hello_deadlines_.front().second;
    hello_deadlines_.pop_front();
    auto it = connections_.find(id);
    if (it == connections_.end() || it->second.serving) continue;
    ++stats_.refused_hello;
    Forget(id);
  }
  absl::Time wall = absl::Now();
  while (!expiries_.empty() && expiries_.begin()->first <= wall) {
    auto it = connections_.find(expiries_.begin()->second);
    expiries_.erase(expiries_.begin());
    if (it == connections_.end()) continue;
    shutdown(it->second.fd.get(), SHUT_RDWR);
    ++stats_.cut;
  }
  if (paused_until_ > absl::ZeroDuration() && paused_until_ <= now) {
    paused_until_ = absl::ZeroDuration();
    if (!spare_.valid()) spare_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const Listener& listener : listeners_) {
      Watch(listener.fd.get(), kListenerBit | listener.fd.get(), EPOLLIN);
    }
  }
}

void Acceptor::Forget(uint64_t id) {
  auto it = connections_.find(id);
  Connection& connection = it->second;
  slots_.Release(connection.source);
  by_peer_.erase(connection.peer_text);
  auto [from, to] = expiries_.equal_range(connection.not_after);
  for (auto expiry = from; expiry != to; ++expiry) {
    if (expiry->second == id) {
      expiries_.erase(expiry);
      break;
    }
  }
  connections_.erase(it);
}

}  // namespace basalt::rpc
