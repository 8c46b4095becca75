#include "server/logs/ship.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/logs/deliver.h"
#include "server/logs/queue.h"
#include "server/logs/record.h"
#include "server/logs/sender.h"
#include "server/logs/store_writer.h"
#include "server/wire/drop.h"

namespace basalt::logs {
namespace {

constexpr size_t kQueueBytes = 512 << 10;
constexpr int kTellEveryMs = 1000;
constexpr absl::Duration kFarewell = absl::Seconds(5);

// One place that lines go to.
struct Lane {
  Lane(const SinkSpec& spec, std::unique_ptr<Delivery> delivery)
      : queue(kQueueBytes), sender(spec, std::move(delivery), queue) {}

  void Run() {
    while (!queue.stopped()) queue.Wait(sender.Step(absl::Now(), /*flush=*/false));
    const absl::Time end = absl::Now() + kFarewell;
    while (absl::Now() < end && !(queue.empty() && sender.idle())) {
      const absl::Duration wait = sender.Step(absl::Now(), /*flush=*/true);
      if (queue.empty() && sender.idle()) break;
      absl::SleepFor(std::min(wait, end - absl::Now()));
    }
  }

  Queue queue;
  Sender sender;
  std::thread thread;
  SinkState told;
};

absl::StatusOr<ShipSpec> ReadSpec() {
  std::string text(kMaxSpec, '\0');
  const ssize_t n = pread(kSpecFd, text.data(), text.size(), 0);
  close(kSpecFd);
  if (n < 0) return absl::InternalError(absl::StrCat("reading the spec: ", strerror(errno)));
  text.resize(static_cast<size_t>(n));
  std::optional<ShipSpec> spec = UnpackShip(text);
  if (!spec) return absl::InvalidArgumentError("the spec is not understood");
  return *std::move(spec);
}

void Tell(std::vector<std::unique_ptr<Lane>>& lanes) {
  for (auto& lane : lanes) {
    SinkState state = lane->sender.state();
    if (state == lane->told) continue;
    const std::string packet = Pack(state);
    // noded that does not listen hears it next time.
    if (send(kRecordsFd, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
      lane->told = std::move(state);
    }
  }
}

}  // namespace

absl::Status Ship() {
  absl::StatusOr<ShipSpec> spec = ReadSpec();
  if (!spec.ok()) return spec.status();
  const bool stores = spec->keep_bytes > 0;
  // The directory is this process's own from here on.
  if (stores && geteuid() == 0 && fchown(kStoreFd, wire::kNobody, wire::kNobody) != 0) {
    return absl::InternalError(absl::StrCat("the directory of logs: ", strerror(errno)));
  }
  if (absl::Status dropped = wire::DropRights(); !dropped.ok()) return dropped;

  std::vector<std::unique_ptr<Lane>> lanes;
  for (const SinkSpec& sink : spec->sinks) {
    lanes.push_back(std::make_unique<Lane>(sink, MakeDelivery(sink, spec->host_name)));
  }
  if (stores) {
    SinkSpec store = {.batch = StoreWriter::kBatch, .wait = StoreWriter::kWait};
    lanes.push_back(
        std::make_unique<Lane>(store, std::make_unique<StoreWriter>(host::UniqueFd(dup(kStoreFd)),
                                                                    spec->keep_bytes, spec->keep)));
  }
  for (auto& lane : lanes) lane->thread = std::thread([raw = lane.get()] { raw->Run(); });

  std::string packet(kMaxPacket, '\0');
  absl::Time told = absl::Now();
  while (true) {
    pollfd one = {.fd = kRecordsFd, .events = POLLIN, .revents = 0};
    const int ready = poll(&one, 1, kTellEveryMs);
    if (ready > 0) {
      const ssize_t n = recv(kRecordsFd, packet.data(), packet.size(), MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
      if (n > 0) {
        const absl::Time now = absl::Now();
        std::optional<Record> record =
            UnpackRecord(absl::string_view(packet.data(), static_cast<size_t>(n)));
        if (record) {
          for (auto& lane : lanes) lane->queue.Push(*record, now);
        }
      }
    }
    if (absl::Now() - told >= absl::Milliseconds(kTellEveryMs) || ready == 0) {
      Tell(lanes);
      told = absl::Now();
    }
  }
  for (auto& lane : lanes) lane->queue.Stop();
  for (auto& lane : lanes) lane->thread.join();
  return absl::OkStatus();
}

}  // namespace basalt::logs
