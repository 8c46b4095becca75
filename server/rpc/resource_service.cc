#include "basalt/v1/resource_service.grpc.pb.h"
#include "server/rpc/calls.h"
#include "server/rpc/node_service.h"

namespace basalt::rpc {
namespace {

using Context = grpc::CallbackServerContext;

class ResourceServiceImpl final : public v1::ResourceService::CallbackService {
 public:
  ResourceServiceImpl(Gate& gate, engine::NodeApi& api) : gate_(gate), api_(api) {}

  grpc::ServerUnaryReactor* Get(Context* context, const v1::GetRequest* request,
                                v1::GetReply* response) override {
    auto call = UnaryCall<v1::GetReply>::Start(*context, response, gate_, *request);
    if (call->admitted()) call->Complete(api_.Get(*request));
    return call.get();
  }
  grpc::ServerUnaryReactor* List(Context* context, const v1::ListRequest* request,
                                 v1::ListReply* response) override {
    auto call = UnaryCall<v1::ListReply>::Start(*context, response, gate_, *request);
    if (call->admitted()) call->Complete(api_.List(*request));
    return call.get();
  }

 private:
  Gate& gate_;
  engine::NodeApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeResourceService(Gate& gate, engine::NodeApi& api) {
  return std::make_unique<ResourceServiceImpl>(gate, api);
}

}  // namespace basalt::rpc
