// noded's end of the supervisor, seen from PID 1: reads requests, checks every byte of them,
// answers. Nothing that noded sends can crash it; what is malformed gets EPROTO, an unknown op
// ENOSYS.
//
// A wake packet is sent when an event was recorded, then none until noded has asked for EVENTS: a
// noded that does not read can never fill the socket with them. One thread, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/init/core/duties.h"
#include "server/init/core/os.h"
#include "server/init/core/supervisor.h"
#include "server/init/protocol.h"

namespace basalt::init {

class Channel {
 public:
  static constexpr uint64_t kToken = 3ull << 32;

  enum class EndAsked { kNo, kPowerOff, kReboot };

  // `duties` nullptr: not PID 1, and its ops are EOPNOTSUPP.
  Channel(Os& os, Supervisor& supervisor, Duties* duties)
      : os_(os), supervisor_(supervisor), duties_(duties) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int Attach(int fd);  // takes it
  void Detach();
  void OnReadable();
  // Sends the wake packet that is owed, if any.
  void Wake();

  int64_t fed_ns() const { return fed_ns_; }  // last HELLO or FEED; 0: none since Attach
  // Of whichever noded it was, also when it is gone since; 0: none yet.
  int64_t last_feed_ns() const { return last_feed_ns_; }
  int64_t last_sign_ns() const { return last_sign_ns_; }  // FEED or HELLO
  EndAsked end_asked() const { return end_asked_; }
  uint32_t missed_feeds = 0;
  int64_t watchdog_ns = 0;
  int init_pid = 0;

 private:
  void Handle();
  void Reply(int error, uint32_t count, size_t body, int fd = -1);
  void Start(const char* body, size_t size);
  void OfPid1(Op op, const char* body, size_t size);

  Os& os_;
  Supervisor& supervisor_;
  Duties* const duties_;
  EndAsked end_asked_ = EndAsked::kNo;
  int fd_ = -1;
  bool hello_seen_ = false;
  bool wake_sent_ = false;
  uint64_t announced_seq_ = 0;
  int64_t fed_ns_ = 0;
  int64_t last_feed_ns_ = 0;
  int64_t last_sign_ns_ = 0;
  Header request_ = {};
  Packet packet_;
  // Replies are put together in place, behind the two heads.
  struct {
    Header header;
    ReplyHead head;
    alignas(8) char body[kMaxPacket - sizeof(Header) - sizeof(ReplyHead)];
  } reply_;
};

}  // namespace basalt::init
