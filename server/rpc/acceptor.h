// The accept loop: listening sockets, caps, the first seconds of a connection, and its end.
//
// gRPC 1.51 stops accepting for ever once `accept` runs out of descriptors, and has no caps. So one
// thread here accepts; a connection goes to gRPC only once a whole TLS ClientHello lies in its
// socket. Until then a stranger costs one descriptor and a map entry.
//
//   accept -> [network allowed, slot free] -> wait for the ClientHello (2/5 of `handshake`)
//          -> gRPC gets a duplicate of the descriptor (its own limit: 3/5 of `handshake`)
//          -> the loop keeps the original and watches it for the hang-up
//
// gRPC calls shutdown(2) on its descriptor before it closes it (its epoll1 poller does so for
// every descriptor it gives up), so the original sees EPOLLHUP whatever ended the connection; the
// peer has its FIN by then. Closing the original frees the slot. The original is also the handle by
// which a connection is cut: shutdown on a descriptor of our own cannot hit a number that was
// used again.
//
// Thread-safe. Lock order: `handoff_mu_` before `mu_`; neither is held while the other side of the
// process is called back, except `handoff_mu_` during a hand-off.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/host/fd.h"
#include "server/rpc/address.h"
#include "server/rpc/server.h"
#include "server/rpc/slots.h"

namespace basalt::rpc {

// A listening socket and the text that asked for it.
struct Listener {
  std::string text;
  std::string endpoint;  // with the port that was picked
  host::UniqueFd fd;
};

class Acceptor {
 public:
  // Takes the descriptor. Called on the loop thread. `generation` is SetHandoff's.
  using Handoff = std::function<void(int fd, int listener_fd)>;

  // What is known of a connection that gRPC serves.
  struct View {
    uint64_t id;
    uint64_t generation;  // of the server that has it
    const SocketAddress& peer;
    const std::string& identity;  // PEM of the client certificate; empty: none, or no call yet
  };

  static absl::StatusOr<std::unique_ptr<Acceptor>> Start(const Limits& limits);
  ~Acceptor();

  // Opens what `addresses` names beyond what is open already; nothing is served yet and nothing is
  // closed. Unavailable/"listen-failed".
  absl::StatusOr<std::vector<Listener>> Open(const std::vector<std::string>& addresses);
  // From now on exactly `addresses` are served: those open already and `opened`.
  void Serve(const std::vector<std::string>& addresses, std::vector<Listener> opened);
  std::vector<std::string> endpoints() const;

  // Where new connections go. When it returns the earlier one is not called any more.
  void SetHandoff(uint64_t generation, Handoff handoff);
  void SetAllowedNetworks(std::vector<Network> networks);

  // The id of the connection that gRPC calls `grpc_peer`; 0 when it has just ended.
  uint64_t IdOf(absl::string_view grpc_peer) const;
  // An authenticated call came over the connection. It is cut at `not_after`.
  void NoteAuthenticated(uint64_t id, const std::string& pem, absl::Time not_after);
  // One call at a time on a connection without a certificate. False when one is under way.
  bool BeginAnonymousCall(uint64_t id);
  void EndAnonymousCall(uint64_t id);

  // Ends the connections that `refused` names; calls on them are cancelled. The number cut.
  int Cut(const std::function<bool(const View&)>& refused);

  ServerStats stats() const;
  bool AwaitStats(const std::function<bool(const ServerStats&)>& reached,
                  absl::Duration timeout) const;

  // Closes the listening sockets; connections stay. Then, with Stop, the loop and all connections.
  void StopListening();
  void Stop();

 private:
  struct Connection {
    uint64_t id = 0;
    uint64_t generation = 0;
    host::UniqueFd fd;
    SocketAddress peer;
    std::string peer_text;
    std::string source;
    bool serving = false;  // gRPC has it
    int listener_fd = -1;
    int anonymous_calls = 0;
    std::string identity;
    absl::Time not_after = absl::InfiniteFuture();
  };
  struct Ready {
    host::UniqueFd fd;
    int listener_fd;
  };

  explicit Acceptor(const Limits& limits, int connections);
  absl::Status Init();
  void Run();
  int WaitMillis() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AcceptSome(int listener_fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // False when the loop must not accept for a moment.
  bool OutOfDescriptors(int listener_fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Admit(host::UniqueFd fd, const SocketAddress& peer, int listener_fd)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnEvents(uint64_t id, uint32_t events, std::vector<Ready>* ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Expire() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Forget(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Watch(int fd, uint64_t id, uint32_t events);
  void Wake();

  const Limits limits_;
  host::UniqueFd epoll_;
  host::UniqueFd wake_;
  std::thread thread_;

  absl::Mutex handoff_mu_;
  Handoff handoff_ ABSL_GUARDED_BY(handoff_mu_);

  mutable absl::Mutex mu_ ABSL_ACQUIRED_AFTER(handoff_mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  Slots slots_ ABSL_GUARDED_BY(mu_);
  host::UniqueFd spare_ ABSL_GUARDED_BY(mu_);  // given up to refuse a connection without one
  absl::Duration paused_until_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
  std::vector<Listener> listeners_ ABSL_GUARDED_BY(mu_);
  std::vector<Network> networks_ ABSL_GUARDED_BY(mu_);
  uint64_t next_id_ ABSL_GUARDED_BY(mu_) = 1;
  std::unordered_map<uint64_t, Connection> connections_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, uint64_t> by_peer_ ABSL_GUARDED_BY(mu_);
  std::deque<std::pair<absl::Duration, uint64_t>> hello_deadlines_ ABSL_GUARDED_BY(mu_);
  std::multimap<absl::Time, uint64_t> expiries_ ABSL_GUARDED_BY(mu_);
  ServerStats stats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basalt::rpc
