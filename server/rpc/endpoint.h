// One grpc::Server: TLS settings cannot change once it runs, so each policy with other authorities
// gets its own, on the same listening sockets. Thread-safe.
#pragma once

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/rpc/gate.h"
#include "server/rpc/server.h"

namespace basalt::rpc {

class Endpoint {
 public:
  // `roots_pem`: authorities of client certificates; empty: none is asked for. `configured`: a
  // stranger may have up to 2 MiB and one stream while it is false.
  struct Spec {
    std::string roots_pem;
    bool configured = false;
    bool operator==(const Spec&) const = default;
  };

  // Internal/"tls-setup" when gRPC does not take certificate and key. `gate` and `api` outlive it.
  static absl::StatusOr<std::unique_ptr<Endpoint>> Start(const ServerOptions& options,
                                                         const Spec& spec, Gate& gate,
                                                         engine::NodeApi& api);

  const Spec& spec() const { return spec_; }
  // Takes the descriptor. Not after Shutdown: gRPC would leak it.
  void Handle(int fd, int listener_fd);
  // New calls are refused; those under way may end until `deadline`, then they are cancelled.
  // Blocks until that is done. Once.
  void Shutdown(absl::Time deadline);

 private:
  explicit Endpoint(Spec spec) : spec_(std::move(spec)) {}

  const Spec spec_;
  std::unique_ptr<grpc::Service> node_service_;
  std::unique_ptr<grpc::Service> resource_service_;
  std::unique_ptr<grpc::Service> schema_service_;
  std::unique_ptr<grpc::Service> diagnose_service_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace basalt::rpc
