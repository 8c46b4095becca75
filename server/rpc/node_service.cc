#include "server/rpc/node_service.h"

#include <utility>

#include "api/coded_status.h"
#include "basalt/v1/node_service.grpc.pb.h"
#include "server/rpc/calls.h"
#include "server/rpc/streams.h"

namespace basalt::rpc {
namespace {

using Context = grpc::CallbackServerContext;

absl::Status NeedsRole(absl::string_view message) {
  return api::Coded(absl::StatusCode::kPermissionDenied, "needs-role", message);
}

class NodeServiceImpl final : public v1::NodeService::CallbackService {
 public:
  NodeServiceImpl(Gate& gate, engine::NodeApi& api) : gate_(gate), api_(api) {}

  grpc::ServerUnaryReactor* Hello(Context* context, const v1::HelloRequest* request,
                                  v1::HelloReply* response) override {
    auto call = Start(context, request, response);
    if (!call->admitted()) return call.get();
    v1::HelloReply reply = api_.Hello(call->caller());
    const engine::ApiPolicy& policy = gate_.policy()->policy();
    // The listener knows best what it asks for.
    reply.set_client_certificate_wanted(policy.api.client_cas_size() > 0);
    if (!call->caller().authenticated) reply.clear_name();
    call->Complete(std::move(reply));
    return call.get();
  }

  grpc::ServerUnaryReactor* Plan(Context* context, const v1::PlanRequest* request,
                                 v1::PlanReply* response) override {
    auto call = Start(context, request, response);
    if (!call->admitted()) return call.get();
    if (absl::Status s = CheckPlan(call->caller(), *request); !s.ok()) {
      call->Complete(s);
    } else {
      api_.Plan(call->caller(), *request, call->reply());
    }
    return call.get();
  }

  grpc::ServerWriteReactor<v1::ApplyEvent>* Apply(Context* context,
                                                  const v1::ApplyRequest* request) override {
    return ApplyCall::Start(*context, gate_, api_, *request);
  }

  grpc::ServerUnaryReactor* ApplyTrust(Context* context, const v1::ApplyTrustRequest* request,
                                       v1::ApplyTrustReply* response) override {
    return Forward(&engine::NodeApi::ApplyTrust, context, request, response);
  }
  grpc::ServerUnaryReactor* ApplyAction(Context* context, const v1::ApplyActionRequest* request,
                                        v1::ApplyActionReply* response) override {
    return Forward(&engine::NodeApi::ApplyAction, context, request, response);
  }
  grpc::ServerUnaryReactor* Return(Context* context, const v1::ReturnRequest* request,
                                   v1::ReturnReply* response) override {
    return Forward(&engine::NodeApi::Return, context, request, response);
  }
  grpc::ServerUnaryReactor* Confirm(Context* context, const v1::ConfirmRequest* request,
                                    v1::ConfirmReply* response) override {
    return Forward(&engine::NodeApi::Confirm, context, request, response);
  }
  grpc::ServerUnaryReactor* Cancel(Context* context, const v1::CancelRequest* request,
                                   v1::CancelReply* response) override {
    return Forward(&engine::NodeApi::Cancel, context, request, response);
  }

  grpc::ServerUnaryReactor* History(Context* context, const v1::HistoryRequest* request,
                                    v1::HistoryReply* response) override {
    auto call = Start(context, request, response);
    if (call->admitted()) call->Complete(api_.History(*request));
    return call.get();
  }
  grpc::ServerUnaryReactor* GetConfig(Context* context, const v1::GetConfigRequest* request,
                                      v1::GetConfigReply* response) override {
    auto call = Start(context, request, response);
    if (call->admitted()) call->Complete(api_.GetConfig(*request));
    return call.get();
  }
  grpc::ServerWriteReactor<v1::LogsReply>* Logs(Context* context,
                                                const v1::LogsRequest* request) override {
    return LogsCall::Start(*context, gate_, api_, *request);
  }
  grpc::ServerUnaryReactor* Kubeconfig(Context* context, const v1::KubeconfigRequest* request,
                                       v1::KubeconfigReply* response) override {
    auto call = Start(context, request, response);
    if (call->admitted()) api_.Kubeconfig(call->caller(), call->reply());
    return call.get();
  }
  grpc::ServerUnaryReactor* RestartService(Context* context,
                                           const v1::RestartServiceRequest* request,
                                           v1::RestartServiceReply* response) override {
    auto call = Start(context, request, response);
    if (call->admitted()) api_.RestartService(call->caller(), request->service(), call->reply());
    return call.get();
  }

 private:
  template <typename Req, typename Rep>
  std::shared_ptr<UnaryCall<Rep>> Start(Context* context, const Req* request, Rep* response) {
    return UnaryCall<Rep>::Start(*context, response, gate_, *request);
  }

  template <typename Req, typename Rep>
  grpc::ServerUnaryReactor* Forward(void (engine::NodeApi::*method)(const engine::Caller&, Req,
                                                                    engine::Reply<Rep>),
                                    Context* context, const Req* request, Rep* response) {
    auto call = Start(context, request, response);
    if (call->admitted()) (api_.*method)(call->caller(), *request, call->reply());
    return call.get();
  }

  Gate& gate_;
  engine::NodeApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeNodeService(Gate& gate, engine::NodeApi& api) {
  return std::make_unique<NodeServiceImpl>(gate, api);
}

absl::Status CheckPlan(const engine::Caller& caller, const v1::PlanRequest& request) {
  switch (request.source_case()) {
    case v1::PlanRequest::kSigned:
      return absl::OkStatus();
    case v1::PlanRequest::kUnsignedYaml:
      if (caller.Has(v1::ROLE_READER)) return absl::OkStatus();
      return NeedsRole("planning an unsigned source needs the role reader");
    case v1::PlanRequest::SOURCE_NOT_SET:
      break;
  }
  return api::Coded(absl::StatusCode::kInvalidArgument, "no-source",
                    "the request carries neither a signed document nor a source");
}

absl::Status CheckApply(const engine::Caller& caller, const v1::ApplyRequest& request) {
  if (request.supersede() && !caller.Has(v1::ROLE_OPERATOR)) {
    return NeedsRole("superseding a pending document needs the role operator");
  }
  if (request.idempotency_key().size() > 64) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-idempotency-key",
                      "an idempotency key has at most 64 bytes");
  }
  return absl::OkStatus();
}

}  // namespace basalt::rpc
