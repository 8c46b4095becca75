// basalt.v1.NodeService over engine::NodeApi. Handlers check what depends on the arguments, pass
// the call on and return; nothing here blocks or decides about the node.
#pragma once

#include <memory>

#include "basalt/v1/node_service.pb.h"
#include "server/engine/diagnose_api.h"
#include "server/engine/node_api.h"
#include "server/rpc/gate.h"

namespace grpc {
class Service;
}

namespace basalt::rpc {

// `gate` and `api` outlive the service. The services of several servers may share them.
std::unique_ptr<grpc::Service> MakeNodeService(Gate& gate, engine::NodeApi& api);
std::unique_ptr<grpc::Service> MakeResourceService(Gate& gate, engine::NodeApi& api);
std::unique_ptr<grpc::Service> MakeSchemaService(Gate& gate, engine::NodeApi& api);
// `api` null: its methods are unimplemented.
std::unique_ptr<grpc::Service> MakeDiagnoseService(Gate& gate, engine::DiagnoseApi* api);

// May `caller` have this planned? An unsigned source shows what the node holds: that needs
// `reader`. Pure.
absl::Status CheckPlan(const engine::Caller& caller, const v1::PlanRequest& request);
// `supersede` reverts what another caller delivered: that needs `operator`. Pure.
absl::Status CheckApply(const engine::Caller& caller, const v1::ApplyRequest& request);

}  // namespace basalt::rpc
