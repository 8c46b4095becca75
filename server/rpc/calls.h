// The two shapes of a call: one answer, and a stream of messages from a bounded queue. A handler
// starts one and returns; whoever has the result completes it from any thread, once or more (the
// first counts), also after the client has gone. gRPC's callback threads are never blocked.
//
// Ownership: a call keeps itself alive until gRPC says that it is done; closures that may complete
// it later share it.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "api/coded_status.h"
#include "api/grpc_status.h"
#include "server/rpc/gate.h"

namespace basalt::rpc {

inline absl::Status DeadlineOfServer() {
  return api::Coded(absl::StatusCode::kDeadlineExceeded, "server-deadline",
                    "the node ends calls without a deadline after a while",
                    "call again, or set a deadline");
}

// Runs `late` after `limit` unless the client's own deadline comes first. Alive with the call.
class DefaultDeadline {
 public:
  void Arm(const grpc::CallbackServerContext& context, absl::Duration limit,
           std::function<void()> late) {
    auto end = std::chrono::system_clock::now() + absl::ToChronoMilliseconds(limit);
    if (context.deadline() <= end) return;
    alarm_.Set(end, [late = std::move(late)](bool fired) {
      if (fired) late();
    });
  }
  void Disarm() { alarm_.Cancel(); }

 private:
  grpc::Alarm alarm_;
};

template <typename Rep>
class UnaryCall : public grpc::ServerUnaryReactor,
                  public std::enable_shared_from_this<UnaryCall<Rep>> {
 public:
  static std::shared_ptr<UnaryCall> Start(const grpc::CallbackServerContext& context, Rep* response,
                                          Gate& gate, const google::protobuf::Message& request) {
    std::shared_ptr<UnaryCall> call(new UnaryCall(response));
    call->live_.emplace(gate);
    {
      absl::MutexLock lock(&call->mu_);
      call->self_ = call;
    }
    absl::StatusOr<Admission> admission = gate.Admit(context, request);
    if (!admission.ok()) {
      call->Complete(admission.status());
      return call;
    }
    call->admitted_ = true;
    call->caller_ = std::move(admission->caller);
    {
      absl::MutexLock lock(&call->mu_);
      call->ticket_ = std::move(admission->ticket);
    }
    call->deadline_.Arm(context, gate.limits().default_deadline,
                        [weak = std::weak_ptr<UnaryCall>(call)] {
                          if (auto call = weak.lock()) call->Complete(DeadlineOfServer());
                        });
    return call;
  }

  // False: the call has been answered already.
  bool admitted() const { return admitted_; }
  const engine::Caller& caller() const { return caller_; }

  void Complete(absl::StatusOr<Rep> result) {
    {
      absl::MutexLock lock(&mu_);
      if (finished_) return;
      finished_ = true;
      if (result.ok()) *response_ = *std::move(result);
      // Before the client sees the end: its next call must find the place free.
      ticket_.Release();
    }
    this->Finish(api::ToGrpc(result.status()));
  }

  // For the engine. Masks what a stranger must not learn.
  engine::Reply<Rep> reply() {
    return [call = this->shared_from_this()](absl::StatusOr<Rep> result) {
      if (!result.ok()) result = MaskSignatureFault(call->caller(), result.status());
      call->Complete(std::move(result));
    };
  }

 private:
  explicit UnaryCall(Rep* response) : response_(response) {}
  void OnCancel() override { Complete(absl::CancelledError("the caller went away")); }
  void OnDone() override {
    deadline_.Disarm();
    live_.reset();
    std::shared_ptr<UnaryCall> last;
    absl::MutexLock lock(&mu_);
    last.swap(self_);
  }

  std::optional<Gate::LiveCall> live_;
  bool admitted_ = false;
  engine::Caller caller_;
  DefaultDeadline deadline_;
  absl::Mutex mu_;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  Rep* const response_;  // gRPC's; not touched once finished
  Ticket ticket_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<UnaryCall> self_ ABSL_GUARDED_BY(mu_);
};

// A stream of at most `capacity` waiting messages. A derived class says which may go when the
// client does not keep up, and is told when the queue runs empty and when the call is over.
template <typename Msg>
class StreamCall : public grpc::ServerWriteReactor<Msg>,
                   public std::enable_shared_from_this<StreamCall<Msg>> {
 public:
  static constexpr size_t kCapacity = 64;

  // A final message: Close(OK) right after it. Messages after Close are dropped.
  void Push(Msg message) {
    Next next;
    {
      absl::MutexLock lock(&mu_);
      if (closing_) return;
      if (queue_.size() >= kCapacity && !MakeRoom(&queue_, message)) return;
      queue_.push_back(std::move(message));
      next = Decide();
    }
    Do(next);
  }

  // Ends the call once the queue has been written.
  void Close(const absl::Status& status) {
    Next next;
    {
      absl::MutexLock lock(&mu_);
      if (closing_) return;
      closing_ = true;
      final_ = api::ToGrpc(status);
      next = Decide();
    }
    Do(next);
  }

  const engine::Caller& caller() const { return caller_; }

 protected:
  // False: the call is refused and ends by itself.
  bool Begin(const grpc::CallbackServerContext& context, Gate& gate,
             const google::protobuf::Message& request) {
    live_.emplace(gate);
    {
      absl::MutexLock lock(&mu_);
      self_ = this->shared_from_this();
    }
    absl::StatusOr<Admission> admission = gate.Admit(context, request);
    if (!admission.ok()) {
      Close(admission.status());
      return false;
    }
    caller_ = std::move(admission->caller);
    {
      absl::MutexLock lock(&mu_);
      ticket_ = std::move(admission->ticket);
    }
    deadline_.Arm(context, gate.limits().default_deadline,
                  [weak = std::weak_ptr<StreamCall>(this->shared_from_this())] {
                    if (auto call = weak.lock()) call->Close(DeadlineOfServer());
                  });
    return true;
  }
  void MessageDone() {
    absl::MutexLock lock(&mu_);
    ticket_.MessageDone();
  }

  // Keeps the call from ending while a timer's closure is at work on what the server owns. False:
  // it is over, do nothing. Each true is followed by one Unhold.
  bool Hold() {
    absl::MutexLock lock(&mu_);
    if (finished_ || closing_) return false;
    ++holds_;
    return true;
  }
  void Unhold() {
    Next next;
    {
      absl::MutexLock lock(&mu_);
      --holds_;
      next = Decide();
    }
    Do(next);
  }

  // The queue is full. True: something was removed and `incoming` fits; false: drop it.
  virtual bool MakeRoom(std::deque<Msg>* queue, const Msg& incoming) = 0;
  virtual void OnDrained() {}
  // The client is gone or has its status; nothing is sent any more.
  virtual void OnEnd() {}

 private:
  enum class Next { kNothing, kWrite, kFinish };

  // One operation is under way at a time, and Finish is the last: gRPC takes no write after it.
  Next Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || finished_) return Next::kNothing;
    if (!queue_.empty() && !cancelled_) {
      current_ = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
      return Next::kWrite;
    }
    if (!closing_ || holds_ > 0) return Next::kNothing;
    finished_ = true;
    queue_.clear();
    ticket_.Release();
    return Next::kFinish;
  }
  void Do(Next next) {
    if (next == Next::kWrite) this->StartWrite(&current_);
    if (next == Next::kFinish) this->Finish(final_);
  }

  void OnWriteDone(bool ok) override {
    Next next;
    bool drained;
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
      if (!ok) CancelLocked();
      next = Decide();
      drained = next == Next::kNothing && !closing_;
    }
    Do(next);
    if (drained) OnDrained();
  }
  void OnCancel() override {
    Next next;
    {
      absl::MutexLock lock(&mu_);
      CancelLocked();
      next = Decide();
    }
    Do(next);
  }
  void CancelLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    cancelled_ = true;
    if (closing_) return;
    closing_ = true;
    final_ = grpc::Status(grpc::StatusCode::CANCELLED, "the caller went away");
  }
  void OnDone() override {
    deadline_.Disarm();
    OnEnd();
    live_.reset();
    std::shared_ptr<StreamCall> last;
    absl::MutexLock lock(&mu_);
    last.swap(self_);
  }

  std::optional<Gate::LiveCall> live_;
  engine::Caller caller_;
  DefaultDeadline deadline_;
  absl::Mutex mu_;
  std::deque<Msg> queue_ ABSL_GUARDED_BY(mu_);
  Msg current_;  // being written; set only while nothing is
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  int holds_ ABSL_GUARDED_BY(mu_) = 0;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status final_;
  Ticket ticket_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<StreamCall> self_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basalt::rpc
