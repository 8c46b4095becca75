#include "server/rpc/streams.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/rpc/node_service.h"

namespace basalt::rpc {
namespace {

constexpr size_t kChunk = 64 << 10;
// What `tail` looks back over; the supervisor's rings are smaller.
constexpr size_t kMaxCollected = 1 << 20;
// A service that writes faster than it is read must not keep a call without `follow` going.
constexpr size_t kMaxWithoutFollow = 4 << 20;
constexpr std::chrono::milliseconds kFollowEvery(500);

bool IsProgress(const v1::ApplyEvent& event) { return event.has_progress() && !event.final(); }

}  // namespace

class ApplyCall::Watcher : public engine::ApplyWatcher {
 public:
  explicit Watcher(std::shared_ptr<ApplyCall> call) : call_(std::move(call)) {}

  void OnEvent(const v1::ApplyEvent& event) override {
    std::shared_ptr<ApplyCall> call = Get();
    if (call == nullptr) return;
    // The engine has read the document: the next stranger may send a big one.
    if (event.state() != v1::APPLY_STATE_RECEIVED) call->MessageDone();
    call->Push(event);
    if (event.final()) call->Close(absl::OkStatus());
  }
  void OnError(const absl::Status& status) override {
    std::shared_ptr<ApplyCall> call = Get();
    if (call != nullptr) call->Close(MaskSignatureFault(call->caller(), status));
  }
  // The engine may hold a watcher longer than the call lives.
  void Drop() {
    absl::MutexLock lock(&mu_);
    call_.reset();
  }

 private:
  std::shared_ptr<ApplyCall> Get() {
    absl::MutexLock lock(&mu_);
    return call_;
  }
  absl::Mutex mu_;
  std::shared_ptr<ApplyCall> call_ ABSL_GUARDED_BY(mu_);
};

grpc::ServerWriteReactor<v1::ApplyEvent>* ApplyCall::Start(
    const grpc::CallbackServerContext& context, Gate& gate, engine::NodeApi& api,
    const v1::ApplyRequest& request) {
  std::shared_ptr<ApplyCall> call(new ApplyCall(api));
  if (!call->Begin(context, gate, request)) return call.get();
  if (absl::Status s = CheckApply(call->caller(), request); !s.ok()) {
    call->Close(s);
    return call.get();
  }
  call->watcher_ = std::make_shared<Watcher>(call);
  api.Apply(call->caller(), request, call->watcher_);
  return call.get();
}

bool ApplyCall::DropFor(std::deque<v1::ApplyEvent>* queue, const v1::ApplyEvent& incoming) {
  auto oldest = std::find_if(queue->begin(), queue->end(), IsProgress);
  if (oldest == queue->end()) {
    if (IsProgress(incoming)) return false;
    oldest = std::find_if(queue->begin(), queue->end(),
                          [](const v1::ApplyEvent& event) { return !event.final(); });
  }
  if (oldest == queue->end()) return false;
  queue->erase(oldest);
  return true;
}

void ApplyCall::OnEnd() {
  if (watcher_ == nullptr) return;
  watcher_->Drop();
  api_.Detach(watcher_);
}

absl::string_view LogsCall::Tail(absl::string_view text, int lines) {
  size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  while (at > 0) {
    size_t newline = text.rfind('\n', at - 1);
    if (newline == absl::string_view::npos) return text;
    if (--lines == 0) return text.substr(newline + 1);
    at = newline;
  }
  return text;
}

grpc::ServerWriteReactor<v1::LogsReply>* LogsCall::Start(const grpc::CallbackServerContext& context,
                                                         Gate& gate, engine::NodeApi& api,
                                                         const v1::LogsRequest& request) {
  std::shared_ptr<LogsCall> call(new LogsCall(api));
  if (!call->Begin(context, gate, request)) return call.get();
  if (request.follow() && request.stored()) {
    call->Close(api::Coded(absl::StatusCode::kInvalidArgument, "conflict",
                           "what lies on disk is not followed", "leave out one of the two"));
    return call.get();
  }
  call->query_.service = request.service().empty() ? "k3s" : request.service();
  call->query_.max_bytes = kChunk;
  call->query_.stored = request.stored();
  if (request.since_seconds() > 0) call->query_.since = absl::Seconds(request.since_seconds());
  call->follow_ = request.follow();
  call->tail_ = std::max(0, request.tail());
  call->Fetch();
  return call.get();
}

void LogsCall::Fetch() {
  api_.Logs(query_, [self = Self()](absl::StatusOr<engine::NodeApi::LogChunk> chunk) {
    self->OnChunk(std::move(chunk));
  });
}

void LogsCall::OnChunk(absl::StatusOr<engine::NodeApi::LogChunk> chunk) {
  if (!chunk.ok()) return Close(chunk.status());
  seen_ += chunk->data.size();
  // What lies on disk is bounded by the config.
  const size_t most = query_.stored ? SIZE_MAX : kMaxWithoutFollow;
  bool more = !chunk->data.empty() && (seen_ < most || (follow_ && tail_ == 0));
  query_.from_offset = std::max(query_.from_offset, chunk->next_offset);
  if (tail_ > 0) {
    collected_ += chunk->data;
    if (collected_.size() > kMaxCollected) collected_.erase(0, collected_.size() - kMaxCollected);
    if (more) return Fetch();
    collected_ = std::string(Tail(collected_, tail_));
    tail_ = 0;
    if (!collected_.empty()) return SendCollected();
  } else if (more) {
    v1::LogsReply reply;
    reply.set_data(std::move(chunk->data));
    return Push(std::move(reply));
  }
  if (!follow_) return Close(absl::OkStatus());
  absl::MutexLock lock(&timer_mu_);
  if (ended_) return;
  timer_ = std::make_unique<grpc::Alarm>();
  timer_->Set(std::chrono::system_clock::now() + kFollowEvery,
              [weak = std::weak_ptr<StreamCall>(shared_from_this())](bool fired) {
                auto call = weak.lock();
                if (!fired || call == nullptr) return;
                auto* logs = static_cast<LogsCall*>(call.get());
                if (!logs->Hold()) return;
                logs->Fetch();
                logs->Unhold();
              });
}

void LogsCall::SendCollected() {
  v1::LogsReply reply;
  reply.set_data(collected_.substr(0, kChunk));
  collected_.erase(0, kChunk);
  Push(std::move(reply));
}

void LogsCall::OnDrained() {
  if (!collected_.empty()) return SendCollected();
  Fetch();
}

void LogsCall::OnEnd() {
  std::unique_ptr<grpc::Alarm> timer;
  absl::MutexLock lock(&timer_mu_);
  ended_ = true;
  timer.swap(timer_);
}

}  // namespace basalt::rpc
