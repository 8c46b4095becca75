#include "basalt/v1/diagnose_service.grpc.pb.h"
#include "server/engine/diagnose_api.h"
#include "server/rpc/calls.h"
#include "server/rpc/node_service.h"

namespace basalt::rpc {
namespace {

using Context = grpc::CallbackServerContext;

absl::Status NotHere() {
  return api::Coded(absl::StatusCode::kUnimplemented, "unimplemented-on-platform",
                    "this node probes and captures nothing");
}

// A piece at a time: the next one is asked for when the last has been written.
class CaptureCall : public StreamCall<v1::CaptureReply> {
 public:
  static grpc::ServerWriteReactor<v1::CaptureReply>* Start(const Context& context, Gate& gate,
                                                           engine::DiagnoseApi* api,
                                                           const v1::CaptureRequest& request) {
    std::shared_ptr<CaptureCall> call(new CaptureCall(api));
    if (!call->Begin(context, gate, request)) return call.get();
    if (api == nullptr) {
      call->Close(NotHere());
      return call.get();
    }
    call->watcher_ = std::make_shared<Watcher>(call);
    api->Capture(call->caller(), request, call->watcher_);
    return call.get();
  }

 private:
  class Watcher : public engine::CaptureWatcher {
   public:
    explicit Watcher(std::shared_ptr<CaptureCall> call) : call_(std::move(call)) {}
    void OnData(std::string data) override {
      std::shared_ptr<CaptureCall> call = Get();
      if (call == nullptr) return;
      v1::CaptureReply reply;
      reply.set_data(std::move(data));
      call->Push(std::move(reply));
    }
    void OnEnd(absl::StatusOr<v1::CaptureSummary> summary) override {
      std::shared_ptr<CaptureCall> call = Get();
      if (call == nullptr) return;
      if (!summary.ok()) return call->Close(summary.status());
      v1::CaptureReply reply;
      *reply.mutable_summary() = *std::move(summary);
      call->Push(std::move(reply));
      call->Close(absl::OkStatus());
    }
    // Whoever captures may hold a watcher longer than the call lives.
    void Drop() {
      absl::MutexLock lock(&mu_);
      call_.reset();
    }

   private:
    std::shared_ptr<CaptureCall> Get() {
      absl::MutexLock lock(&mu_);
      return call_;
    }
    absl::Mutex mu_;
    std::shared_ptr<CaptureCall> call_ ABSL_GUARDED_BY(mu_);
  };

  explicit CaptureCall(engine::DiagnoseApi* api) : api_(api) {}
  // One piece and the summary at most are in the queue.
  bool MakeRoom(std::deque<v1::CaptureReply>*, const v1::CaptureReply&) override { return false; }
  void OnDrained() override { api_->ResumeCapture(watcher_); }
  void OnEnd() override {
    if (watcher_ == nullptr) return;
    watcher_->Drop();
    api_->EndCapture(watcher_);
  }

  engine::DiagnoseApi* const api_;
  std::shared_ptr<Watcher> watcher_;
};

class DiagnoseServiceImpl final : public v1::DiagnoseService::CallbackService {
 public:
  DiagnoseServiceImpl(Gate& gate, engine::DiagnoseApi* api) : gate_(gate), api_(api) {}

  grpc::ServerUnaryReactor* Probe(Context* context, const v1::ProbeRequest* request,
                                  v1::ProbeReply* response) override {
    auto call = UnaryCall<v1::ProbeReply>::Start(*context, response, gate_, *request);
    if (!call->admitted()) return call.get();
    if (api_ == nullptr) {
      call->Complete(NotHere());
    } else {
      api_->Probe(call->caller(), *request, call->reply());
    }
    return call.get();
  }
  grpc::ServerWriteReactor<v1::CaptureReply>* Capture(Context* context,
                                                      const v1::CaptureRequest* request) override {
    return CaptureCall::Start(*context, gate_, api_, *request);
  }

 private:
  Gate& gate_;
  engine::DiagnoseApi* const api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDiagnoseService(Gate& gate, engine::DiagnoseApi* api) {
  return std::make_unique<DiagnoseServiceImpl>(gate, api);
}

}  // namespace basalt::rpc
