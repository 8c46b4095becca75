#include "basalt/v1/schema_service.grpc.pb.h"
#include "server/rpc/calls.h"
#include "server/rpc/node_service.h"

namespace basalt::rpc {
namespace {

class SchemaServiceImpl final : public v1::SchemaService::CallbackService {
 public:
  SchemaServiceImpl(Gate& gate, engine::NodeApi& api) : gate_(gate), api_(api) {}

  grpc::ServerUnaryReactor* GetSchema(grpc::CallbackServerContext* context,
                                      const v1::GetSchemaRequest* request,
                                      v1::GetSchemaReply* response) override {
    auto call = UnaryCall<v1::GetSchemaReply>::Start(*context, response, gate_, *request);
    if (call->admitted()) call->Complete(api_.GetSchema());
    return call.get();
  }

 private:
  Gate& gate_;
  engine::NodeApi& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeSchemaService(Gate& gate, engine::NodeApi& api) {
  return std::make_unique<SchemaServiceImpl>(gate, api);
}

}  // namespace basalt::rpc
