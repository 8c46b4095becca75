// The two streams of NodeService: the events of an apply, and the output of a service.
#pragma once

#include <grpcpp/alarm.h>

#include <deque>
#include <memory>
#include <string>

#include "basalt/v1/node_service.pb.h"
#include "server/engine/node_api.h"
#include "server/rpc/calls.h"

namespace basalt::rpc {

// Sends the events of one apply. When the client does not keep up, reports of progress go first,
// then the oldest states; the final event is never dropped. When the client goes away the engine
// is told (Detach) and goes on.
class ApplyCall : public StreamCall<v1::ApplyEvent> {
 public:
  static grpc::ServerWriteReactor<v1::ApplyEvent>* Start(const grpc::CallbackServerContext& context,
                                                         Gate& gate, engine::NodeApi& api,
                                                         const v1::ApplyRequest& request);

  // Which event of a full queue goes for `incoming`. True: there is room now. Pure.
  static bool DropFor(std::deque<v1::ApplyEvent>* queue, const v1::ApplyEvent& incoming);

 private:
  class Watcher;
  explicit ApplyCall(engine::NodeApi& api) : api_(api) {}
  bool MakeRoom(std::deque<v1::ApplyEvent>* queue, const v1::ApplyEvent& incoming) override {
    return DropFor(queue, incoming);
  }
  void OnEnd() override;

  engine::NodeApi& api_;
  std::shared_ptr<Watcher> watcher_;
};

// Sends the output of a service in chunks of at most 64 KiB: a new one is asked for only when the
// last has been written, so a client that does not read costs one chunk. With `follow` the engine
// is asked twice a second.
class LogsCall : public StreamCall<v1::LogsReply> {
 public:
  static grpc::ServerWriteReactor<v1::LogsReply>* Start(const grpc::CallbackServerContext& context,
                                                        Gate& gate, engine::NodeApi& api,
                                                        const v1::LogsRequest& request);

  // The last `lines` lines of `text`; an unfinished line counts. Pure.
  static absl::string_view Tail(absl::string_view text, int lines);

 private:
  explicit LogsCall(engine::NodeApi& api) : api_(api) {}
  // One chunk at most is in the queue.
  bool MakeRoom(std::deque<v1::LogsReply>*, const v1::LogsReply&) override { return false; }
  void OnDrained() override;
  void OnEnd() override;
  std::shared_ptr<LogsCall> Self() {
    return std::static_pointer_cast<LogsCall>(shared_from_this());
  }

  void Fetch();
  void OnChunk(absl::StatusOr<engine::NodeApi::LogChunk> chunk);
  void SendCollected();

  engine::NodeApi& api_;
  engine::NodeApi::LogQuery query_;  // the next chunk
  bool follow_ = false;
  // One step is under way at a time (fetch, write or timer), so these need no lock of their own;
  // each step begins after the one before has ended.
  int tail_ = 0;           // > 0: still collecting
  std::string collected_;  // the end of the output, while collecting; then what is to be sent
  size_t seen_ = 0;        // bytes so far
  absl::Mutex timer_mu_;
  bool ended_ ABSL_GUARDED_BY(timer_mu_) = false;
  std::unique_ptr<grpc::Alarm> timer_ ABSL_GUARDED_BY(timer_mu_);
};

}  // namespace basalt::rpc
