// Strangers who hold connections, say nothing, say it slowly, or say too much.
#include <arpa/inet.h>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "api/grpc_status.h"
#include "tests/component/rpc/raw_tls.h"
#include "tests/component/rpc/rpc_fixture.h"

namespace basalt::rpc {
namespace {

int CountEntries(const char* directory) {
  DIR* dir = opendir(directory);
  int count = 0;
  while (dir != nullptr && readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

int64_t ResidentKb() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long total = 0;
  long resident = 0;
  EXPECT_EQ(std::fscanf(file, "%ld %ld", &total, &resident), 2);
  std::fclose(file);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

class Abuse : public RpcFixture {
 protected:
  bool AwaitOpen(int count, absl::Duration limit = absl::Seconds(20)) {
    return server_->AwaitStats([count](const ServerStats& s) { return s.open == count; }, limit);
  }
  // A good client's Hello, and how long it took with its connection.
  absl::Duration TimedHello() {
    absl::Time begin = absl::Now();
    auto node = Node();
    grpc::Status status = Hello(*node);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return absl::Now() - begin;
  }
};

// Connects `count` times from a process of its own (its descriptors are not the server's), from
// ten addresses; holds them until told. Only system calls between fork and exit.
class Flooder {
 public:
  Flooder(int port, int count) {
    EXPECT_EQ(pipe(ready_), 0);
    EXPECT_EQ(pipe(stop_), 0);
    pid_ = fork();
    if (pid_ != 0) return;
    for (int i = 0; i < count; ++i) {
      int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      sockaddr_in local{};
      local.sin_family = AF_INET;
      local.sin_addr.s_addr = htonl(0x7f000002 + i % 10);
      bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof(local));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(static_cast<uint16_t>(port));
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    }
    char byte = 0;
    [[maybe_unused]] ssize_t n = write(ready_[1], &byte, 1);
    n = read(stop_[0], &byte, 1);
    _exit(0);
  }
  ~Flooder() {
    Stop();
    for (int fd : {ready_[0], ready_[1], stop_[0], stop_[1]}) close(fd);
  }
  void AwaitReady() {
    char byte;
    EXPECT_EQ(read(ready_[0], &byte, 1), 1);
  }
  void Stop() {
    if (pid_ <= 0) return;
    char byte = 0;
    EXPECT_EQ(write(stop_[1], &byte, 1), 1);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  int ready_[2];
  int stop_[2];
  pid_t pid_ = -1;
};

TEST_F(Abuse, N1_AfterRunningOutOfDescriptorsTheServerServesAgain) {
  limits_.handshake = absl::Seconds(50);
  Start();
  TimedHello();  // gRPC's own descriptors are there now
  ASSERT_TRUE(AwaitOpen(0));
  Flooder flooder(port(), 300);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit small = before;
  small.rlim_cur = CountEntries("/proc/self/fd") + 20;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
  flooder.AwaitReady();
  EXPECT_TRUE(server_->AwaitStats(
      [](const ServerStats& s) { return s.accepted + s.refused_descriptors >= 300; },
      absl::Seconds(20)))
      << server_->stats().accepted << " " << server_->stats().refused_descriptors;
  EXPECT_GT(server_->stats().refused_descriptors, 0u);
  flooder.Stop();
  absl::Time begin = absl::Now();
  auto node = Node();
  grpc::Status status;
  do {
    status = Hello(*node);
  } while (!status.ok() && absl::Now() - begin < absl::Seconds(10));
  absl::Duration recovery = absl::Now() - begin;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_LT(recovery, absl::Seconds(1));
  RecordProperty("recovery_ms", static_cast<int>(absl::ToInt64Milliseconds(recovery)));
}

TEST_F(Abuse, N2_SlowHandshakesAreClosedInTimeAndAGoodClientIsServed) {
  limits_.handshake = absl::Seconds(2);
  Start();
  absl::Time begin = absl::Now();
  std::vector<host::UniqueFd> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(Dial(absl::StrCat("127.0.0.", 2 + i % 4)));
  std::vector<host::UniqueFd> half;
  for (int i = 0; i < 20; ++i) {
    half.push_back(Dial("127.0.0.9"));
    ASSERT_EQ(send(half.back().get(), "\x16\x03\x01\x02\x00\x01\x00", 7, 0), 7);
  }
  std::vector<std::unique_ptr<RawTls>> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(std::make_unique<RawTls>(Dial("127.0.0.10"), RawTls::Options{}));
    ASSERT_TRUE(slow.back()->Handshake());
  }
  std::vector<absl::Duration> good;
  std::string preface = Http2Preface();
  std::vector<bool> closed(slow.size(), false);
  for (size_t turn = 0; turn < preface.size() && absl::Now() - begin < absl::Seconds(5); ++turn) {
    for (size_t i = 0; i < slow.size(); ++i) {
      if (closed[i]) continue;
      slow[i]->Write(preface.substr(turn, 1));
      closed[i] = slow[i]->AwaitClosed(absl::Milliseconds(100));
    }
    good.push_back(TimedHello());
    if (std::count(closed.begin(), closed.end(), false) == 0) break;
  }
  for (auto& fd : idle) EXPECT_TRUE(AwaitClosed(fd.get(), absl::Seconds(5)));
  for (auto& fd : half) EXPECT_TRUE(AwaitClosed(fd.get(), absl::Seconds(5)));
  for (size_t i = 0; i < slow.size(); ++i) EXPECT_TRUE(closed[i]) << i;
  // The promise is the limit itself; the rest is what a loaded machine takes to notice.
  EXPECT_LT(absl::Now() - begin, limits_.handshake + absl::Seconds(2));
  EXPECT_TRUE(AwaitOpen(0));
  EXPECT_EQ(server_->stats().refused_hello, 60u);
  std::sort(good.begin(), good.end());
  EXPECT_LT(good[good.size() / 2], absl::Milliseconds(250));
}

TEST_F(Abuse, N2_ALateClientHelloDoesNotStretchTheLimit) {
  limits_.handshake = absl::Seconds(2);
  Start();
  absl::Time begin = absl::Now();
  // Not before the last moment of the first part, then silence inside gRPC's part.
  host::UniqueFd fd = Dial();
  ASSERT_FALSE(AwaitClosed(fd.get(), absl::Milliseconds(500)));
  std::string hello("\x16\x03\x01\x00\x04\x01\x00\x00\x40", 9);
  ASSERT_EQ(send(fd.get(), hello.data(), hello.size(), 0), 9);
  EXPECT_TRUE(AwaitClosed(fd.get(), absl::Seconds(5)));
  EXPECT_LT(absl::Now() - begin, limits_.handshake + absl::Seconds(1));
  EXPECT_TRUE(AwaitOpen(0));
}

TEST_F(Abuse, N3_CapsHoldAndAKnownSourceFindsAReservedSlot) {
  limits_.connections = 40;
  limits_.connections_per_source = 8;
  limits_.reserved = 4;
  limits_.handshake = absl::Seconds(60);
  TestCert ca = MakeCa("owner");
  TestCert admin = MakeLeaf(ca, {.organizations = {"basalt:admin"}});
  Start(Policy(ca));
  {
    // 127.0.0.1 authenticates, then goes.
    auto node = Node({.cert = &admin});
    v1::HistoryReply reply;
    grpc::ClientContext context;
    Deadline(context);
    ASSERT_TRUE(node->History(&context, v1::HistoryRequest(), &reply).ok());
  }
  ASSERT_TRUE(AwaitOpen(0));
  uint64_t accepted = server_->stats().accepted;
  std::vector<host::UniqueFd> held;
  for (int i = 0; i < 200; ++i) held.push_back(Dial(absl::StrCat("127.0.0.", 2 + i / 20)));
  ASSERT_TRUE(server_->AwaitStats(
      [&](const ServerStats& s) {
        return s.accepted - accepted + s.refused_source + s.refused_full == 200;
      },
      absl::Seconds(20)));
  ServerStats stats = server_->stats();
  EXPECT_EQ(stats.open, 36);
  EXPECT_GT(stats.refused_source, 0u);
  EXPECT_GT(stats.refused_full, 0u);
  EXPECT_EQ(stats.refused_descriptors, 0u);
  // A stranger finds no slot, the known source does.
  host::UniqueFd stranger = Dial("127.0.0.200");
  EXPECT_TRUE(AwaitClosed(stranger.get(), absl::Seconds(10)));
  EXPECT_TRUE(Hello(*Node({.cert = &admin})).ok());
  held.clear();
  EXPECT_TRUE(AwaitOpen(0));
}

TEST_F(Abuse, N4_MessagesBeyondTheLimitAreRefused) {
  TestCert ca = MakeCa("owner");
  TestCert admin = MakeLeaf(ca, {.organizations = {"basalt:admin"}});
  Start(Policy(ca));
  auto hello = [&](const ClientOptions& options, size_t bytes) {
    v1::HelloRequest request;
    request.set_client_version(std::string(bytes, 'x'));
    v1::HelloReply reply;
    grpc::ClientContext context;
    Deadline(context);
    return api::FromGrpc(Node(options)->Hello(&context, request, &reply));
  };
  EXPECT_TRUE(hello({}, 200 << 10).ok());
  absl::Status anonymous = hello({}, 300 << 10);
  EXPECT_EQ(anonymous.code(), absl::StatusCode::kResourceExhausted) << anonymous;
  EXPECT_EQ(api::Reason(anonymous), "too-large");
  EXPECT_TRUE(hello({.cert = &admin}, 3 << 20).ok());
  EXPECT_EQ(hello({.cert = &admin}, 5 << 20).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(Abuse, N4_WithoutAConfigOneBigMessageAtATime) {
  Start();
  auto plan = [&](size_t bytes) {
    v1::PlanRequest request;
    *request.mutable_signed_() = SignedApply(std::string(bytes, 'x')).document();
    v1::PlanReply reply;
    grpc::ClientContext context;
    Deadline(context);
    return api::FromGrpc(Node()->Plan(&context, request, &reply));
  };
  EXPECT_EQ(plan(3 << 20).code(), absl::StatusCode::kResourceExhausted);
  api_.Hold("Apply");
  auto node = Node();
  grpc::ClientContext context;
  Deadline(context);
  auto stream = node->Apply(&context, SignedApply(std::string(1 << 20, 'x')));
  v1::ApplyEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(api::Reason(plan(1 << 20)), "busy");
  EXPECT_TRUE(plan(100 << 10).ok());
  api_.Release("Apply");
  while (stream->Read(&event)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
  const absl::Status after = plan(1 << 20);
  EXPECT_TRUE(after.ok()) << after;
}

// Sends `total` bytes of DATA as fast as the server's windows allow; true: the server ended it.
bool Pour(RawTls& raw, size_t total) {
  size_t parsed = 0;
  // Less the length prefix, which has gone before.
  int64_t stream = 65535 - 5;
  int64_t connection = 65535 - 5;
  const std::string chunk = Http2Data(std::string(16 << 10, 'x'));
  while (total > 0) {
    const std::string& in = raw.received();
    while (parsed + 9 <= in.size()) {
      auto byte = [&](size_t i) { return static_cast<uint8_t>(in[parsed + i]); };
      size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
      if (parsed + 9 + length > in.size()) break;
      int type = byte(3);
      bool of_stream = byte(8) != 0;
      // HEADERS (trailers), RST_STREAM, GOAWAY.
      if (type == 1 || type == 3 || type == 7) return true;
      if (type == 8) {
        (of_stream ? stream : connection) +=
            byte(9) << 24 | byte(10) << 16 | byte(11) << 8 | byte(12);
      }
      parsed += 9 + length;
    }
    if (std::min(stream, connection) >= (16 << 10)) {
      if (!raw.Write(chunk)) return true;
      stream -= 16 << 10;
      connection -= 16 << 10;
      total -= std::min<size_t>(total, 16 << 10);
      raw.ReadSome(absl::ZeroDuration());
    } else if (!raw.ReadSome(absl::Seconds(5))) {
      // Ended, or the server takes no more: it holds what it has and not a byte beyond.
      return true;
    }
  }
  return false;
}

TEST_F(Abuse, N4_AMessageOfTwoGigabytesStopsAtAFixedAmountOfMemory) {
  Start();
  TimedHello();
  int64_t before = ResidentKb();
  RawTls raw(Dial(), {});
  ASSERT_TRUE(raw.Handshake());
  ASSERT_TRUE(raw.Write(absl::StrCat(Http2Preface(), Http2Call("/basalt.v1.NodeService/Hello"),
                                     Http2Data(std::string("\0\x7f\xff\xff\xff", 5)))));
  EXPECT_TRUE(Pour(raw, 512 << 20));
  RecordProperty("delta_kb", static_cast<int>(ResidentKb() - before));
  EXPECT_LT(ResidentKb() - before, 96 << 10);
  EXPECT_EQ(api_.CallCount("Hello"), 1);
  TimedHello();
}

TEST_F(Abuse, N4_CompressedMessagesAreNotTaken) {
  Start();
  v1::HelloRequest request;
  request.set_client_version(std::string(1 << 20, '\0'));
  v1::HelloReply reply;
  grpc::ClientContext context;
  Deadline(context);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  grpc::Status status = Node()->Hello(&context, request, &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  EXPECT_EQ(api_.CallCount("Hello"), 0);
}

TEST_F(Abuse, OneCallAtATimeWithoutACertificate) {
  TestCert ca = MakeCa("owner");
  engine::ApiPolicy policy = Policy(ca);
  policy.api.set_anonymous_delivery(true);
  Start(policy);
  api_.Hold("Apply");
  auto node = Node();
  grpc::ClientContext context;
  Deadline(context);
  auto stream = node->Apply(&context, SignedApply("a: 1"));
  v1::ApplyEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(api::Reason(api::FromGrpc(Hello(*node))), "one-call");
  EXPECT_TRUE(Hello(*Node()).ok());
  api_.Release("Apply");
  while (stream->Read(&event)) {
  }
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(Hello(*node).ok());
}

TEST_F(Abuse, N8_CancelAtEveryMessageLeavesNothingBehind) {
  TestCert ca = MakeCa("owner");
  TestCert admin = MakeLeaf(ca, {.organizations = {"basalt:admin"}});
  Start(Policy(ca));
  auto node = Node({.cert = &admin});
  ASSERT_TRUE(Hello(*node).ok());
  int fds = CountEntries("/proc/self/fd");
  for (int boundary = 0; boundary < 10; ++boundary) {
    grpc::ClientContext context;
    Deadline(context);
    auto stream = node->Apply(&context, SignedApply(absl::StrCat("n: ", boundary)));
    v1::ApplyEvent event;
    for (int i = 0; i < boundary && stream->Read(&event); ++i) {
    }
    context.TryCancel();
    stream->Finish();
  }
  for (int boundary = 0; boundary < 3; ++boundary) {
    api_.AppendLog("k3s", "line\n");
    v1::LogsRequest request;
    request.set_follow(true);
    grpc::ClientContext context;
    Deadline(context);
    auto stream = node->Logs(&context, request);
    v1::LogsReply reply;
    for (int i = 0; i < std::min(boundary, 1) && stream->Read(&reply); ++i) {
    }
    context.TryCancel();
    stream->Finish();
  }
  EXPECT_TRUE(api_.WaitForWatchers(0));
  EXPECT_TRUE(Hello(*node).ok());
  EXPECT_LE(CountEntries("/proc/self/fd"), fds + 1);
  // Shutdown waits for every call that is alive: a leaked one would hang the test.
  server_->Shutdown(absl::Seconds(1));
}

TEST_F(Abuse, N8_ACallerWhoLeavesDoesNotEndTheApply) {
  Start();
  api_.Hold("Apply");
  {
    auto node = Node();
    grpc::ClientContext context;
    Deadline(context);
    auto stream = node->Apply(&context, SignedApply("a: 1"));
    v1::ApplyEvent event;
    ASSERT_TRUE(stream->Read(&event));
    context.TryCancel();
    stream->Finish();
  }
  ASSERT_TRUE(api_.WaitForWatchers(0));
  api_.Release("Apply");
  EXPECT_EQ(api_.active_generation(), 1);
}

TEST_F(Abuse, N9_DeadlinesEndCallsAndTheServerHasItsOwn) {
  limits_.default_deadline = absl::Milliseconds(300);
  TestCert ca = MakeCa("owner");
  TestCert admin = MakeLeaf(ca, {.organizations = {"basalt:admin"}});
  Start(Policy(ca));
  auto node = Node({.cert = &admin});
  ASSERT_TRUE(Hello(*node).ok());
  for (absl::Duration limit : {absl::ZeroDuration(), absl::Milliseconds(1)}) {
    api_.Hold("Confirm");
    grpc::ClientContext context;
    Deadline(context, limit);
    v1::ConfirmReply reply;
    EXPECT_EQ(node->Confirm(&context, v1::ConfirmRequest(), &reply).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  grpc::ClientContext unary;
  v1::ConfirmReply reply;
  absl::Status status = api::FromGrpc(node->Confirm(&unary, v1::ConfirmRequest(), &reply));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(api::Reason(status), "server-deadline");
  api_.Hold("Apply");
  grpc::ClientContext streaming;
  auto stream = node->Apply(&streaming, SignedApply("a: 1"));
  v1::ApplyEvent event;
  while (stream->Read(&event)) {
  }
  EXPECT_EQ(api::Reason(api::FromGrpc(stream->Finish())), "server-deadline");
  api_.Release("Confirm");  // late replies fall on the floor
  EXPECT_TRUE(api_.WaitForWatchers(0));
}

TEST_F(Abuse, N11_OlderTlsAndOtherProtocolsAreRefused) {
  Start();
  RawTls old(Dial(), {.tls12 = true});
  EXPECT_FALSE(old.Handshake());
  host::UniqueFd http = Dial();
  std::string get = "GET / HTTP/1.1\r\nHost: node\r\n\r\n";
  ASSERT_EQ(send(http.get(), get.data(), get.size(), 0), static_cast<ssize_t>(get.size()));
  EXPECT_TRUE(AwaitClosed(http.get(), absl::Seconds(10)));
  EXPECT_TRUE(server_->AwaitStats([](const ServerStats& s) { return s.refused_not_tls == 1; },
                                  absl::Seconds(10)));
  RawTls no_alpn(Dial(), {.alpn = false});
  // With TLS 1.3 the client has finished before the server has looked at the protocol.
  EXPECT_TRUE(!no_alpn.Handshake() || no_alpn.AwaitClosed(absl::Seconds(10)));
  EXPECT_TRUE(AwaitOpen(0));
  TimedHello();
}

}  // namespace
}  // namespace basalt::rpc
