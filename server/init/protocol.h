// The wire between noded-init and noded: one packet of a SOCK_SEQPACKET socketpair is one message.
// Plain data, both ends on one machine, so host byte order and natural alignment (checked below).
//
//   request   Header{op}          body                        noded -> noded-init
//   reply     Header{op|kReply}   ReplyHead{error} body       same seq, one for each request
//   wake      Header{kWake}                                   unasked: events wait (see EVENTS)
//
// Both ends check every length before they look at a field, and every text for its end. Versions: a
// field is only ever appended to a new op; an old op stays for one release. Used by server/init and
// by the client in server/host, and by nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace basalt::init {

inline constexpr uint32_t kMagic = 0x49534142;  // "BASI"
inline constexpr uint16_t kVersion = 1;
inline constexpr size_t kMaxPacket = 16 << 10;
inline constexpr size_t kNameSize = 32;  // with the terminating zero, as the rest
inline constexpr size_t kTagSize = 80;
inline constexpr size_t kCgroupSize = 256;
inline constexpr size_t kMaxServices = 32;
inline constexpr size_t kMaxEvents = 64;
inline constexpr size_t kMaxExtraFds = 4;
inline constexpr size_t kMaxArgs = 256;
inline constexpr size_t kMaxEnv = 1024;
inline constexpr size_t kBootReasonSize = 96;
inline constexpr size_t kMaxStrings = 15 << 10;
inline constexpr size_t kRingSize = 256 << 10;
inline constexpr int kNodedFd = 3;  // of the channel in noded, also in BASALT_SUPERVISOR_FD
inline constexpr int kConfigurationError = 64;  // EX_USAGE: noded asks not to be started again

enum class Op : uint16_t {
  kHello = 1,   // HelloBody -> HelloReply. First; everything else before it is EPROTO
  kStart = 2,   // StartBody, strings; descriptors -> StartReply
  kStop = 3,    // NameBody
  kList = 4,    // -> count x ServiceRecord
  kEvents = 5,  // EventsBody -> count x EventRecord
  kFeed = 6,    //
  kOutput = 7,  // NameBody -> OutputReply, a read-only descriptor of the ring
  // As PID 1 alone, EOPNOTSUPP elsewhere:
  kHealthy = 8,  // this boot is good: the loader may keep it. 0 also when it does not count boots
  kEnd = 9,      // EndBody: the orderly end of the machine begins
  kBoot = 10,    // -> BootReply
  kWatchdog =
      14,  // WatchdogBody -> WatchdogBody: what the device really waits. ENODEV: there is none
  kWake = 0x100,
};
inline constexpr uint16_t kReply = 0x8000;

struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t op;
  uint32_t seq;
  uint32_t len;  // bytes after the header; header and body are the whole packet
};

struct ReplyHead {
  int32_t error;   // an errno, 0 for success; then no body follows an error but StartReply's
  uint32_t count;  // of records that follow
};

struct HelloBody {
  int32_t pid;
  uint32_t reserved;
};

struct HelloReply {
  int32_t init_pid;
  uint32_t missed_feeds;  // since noded-init started
  uint64_t last_seq;      // of the newest event
  int64_t watchdog_ns;    // 0: none
};

struct NameBody {
  char name[kNameSize];
};

// Of StartBody::flags.
inline constexpr uint8_t kNotify = 1;  // NOTIFY_SOCKET; starting until it says READY=1
inline constexpr uint8_t kApart = 2;   // a mount namespace without STATE and ESP (spawn.h)

// Followed by argc, then envc zero-terminated strings, to the last byte of the packet. The first
// passed descriptor is the program, `fds` more follow.
struct StartBody {
  char name[kNameSize];
  char tag[kTagSize];
  char cgroup[kCgroupSize];
  int64_t delay_ns;
  int64_t max_delay_ns;
  int64_t rapid_ns;
  int64_t stop_grace_ns;
  uint64_t nofile;
  uint8_t always;
  uint8_t flags;
  uint16_t argc;
  uint16_t envc;
  uint16_t fds;
};

struct StartReply {
  int32_t pid;
  uint32_t exec_failed;  // 1: `error` is what the kernel said to fork or exec
};

enum class State : uint8_t { kStarting, kRunning, kBackingOff, kStopping, kStopped, kFailed };

struct ServiceRecord {
  char name[kNameSize];
  char tag[kTagSize];
  uint8_t state;
  uint8_t ready;
  uint8_t exited;
  uint8_t cgroup_missing;
  int32_t pid;
  int32_t exit_code;
  int32_t signal;
  int64_t starts;
  int64_t started_ns;  // CLOCK_BOOTTIME
  int64_t exited_ns;
};

struct EventsBody {
  uint64_t after_seq;
};

enum class EventKind : uint32_t { kExit, kReady, kStarted, kLost };

struct EventRecord {
  uint64_t seq;
  char name[kNameSize];
  int32_t pid;
  int32_t exit_code;
  int32_t signal;
  uint32_t kind;
};

// Byte n of the service's output lies at n % capacity of the ring, the newest is written - 1.
struct OutputReply {
  uint64_t written;
  uint64_t capacity;
};

struct EndBody {
  uint32_t reboot;  // 0: power off
  uint32_t reserved;
};

inline constexpr uint8_t kFormattedVolume = 2;     // of VolumeState: made at this boot
inline constexpr uint8_t kFirstMissingVolume = 3;  // of VolumeState: from here on it is not there

inline constexpr uint8_t kLockedVolume = 7;  // of VolumeState: no key opens it

// How PID 1 found the machine. `state` and `data` are a VolumeState, `entry` an EntryState of
// server/init/boot; the errors are errno values, the reasons texts for a person, "" when all is
// well.
struct BootReply {
  uint8_t owns_kernel;  // 0: a container
  uint8_t state;
  uint8_t data;
  uint8_t entry;
  uint8_t watchdog;  // there is one, and it is petted while noded feeds
  uint8_t clock_raised;
  uint16_t failed_steps;
  int32_t state_error;
  int32_t data_error;
  int32_t entry_error;
  uint8_t installer;  // an install medium: STATE and DATA are memory
  uint8_t reserved[3];
  char state_reason[kBootReasonSize];
  char data_reason[kBootReasonSize];
  char entry_reason[kBootReasonSize];
};

struct WatchdogBody {
  int64_t timeout_ns;
};
inline constexpr int64_t kShortestWatchdog = 4000000000;  // noded-init may be busy for a second
inline constexpr int64_t kLongestWatchdog = 3600000000000;

static_assert(sizeof(WatchdogBody) == 8);
static_assert(sizeof(EndBody) == 8 && sizeof(BootReply) == 24 + 3 * kBootReasonSize);
static_assert(sizeof(Header) == 16 && sizeof(ReplyHead) == 8 && sizeof(HelloBody) == 8);
static_assert(sizeof(HelloReply) == 24 && sizeof(StartBody) == 416 && sizeof(StartReply) == 8);
static_assert(sizeof(ServiceRecord) == 152 && sizeof(EventRecord) == 56);
static_assert(sizeof(Header) + sizeof(StartBody) + kMaxStrings <= kMaxPacket);
static_assert(sizeof(Header) + sizeof(ReplyHead) + kMaxServices * sizeof(ServiceRecord) <=
              kMaxPacket);
static_assert(sizeof(Header) + sizeof(ReplyHead) + (kMaxEvents + 1) * sizeof(EventRecord) <=
              kMaxPacket);
static_assert(std::is_trivially_copyable_v<StartBody> &&
              std::is_trivially_copyable_v<ServiceRecord>);

}  // namespace basalt::init
