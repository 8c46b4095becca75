// What the RPC layer sees of diagnosis. Implemented by server/diagnose. Any thread; results come on
// any thread, exactly once.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "basalt/v1/diagnose_service.pb.h"
#include "server/engine/node_api.h"

namespace basalt::engine {

// Receives a capture, a piece at a time: the next one comes after ResumeCapture. OnEnd is the last.
class CaptureWatcher {
 public:
  virtual ~CaptureWatcher() = default;
  virtual void OnData(std::string data) = 0;
  virtual void OnEnd(absl::StatusOr<v1::CaptureSummary> summary) = 0;
};

class DiagnoseApi {
 public:
  virtual ~DiagnoseApi() = default;
  // ResourceExhausted "busy", InvalidArgument "bad-target", PermissionDenied "needs-role".
  virtual void Probe(const Caller& caller, v1::ProbeRequest request,
                     Reply<v1::ProbeReply> reply) = 0;
  virtual void Capture(const Caller& caller, v1::CaptureRequest request,
                       std::shared_ptr<CaptureWatcher> watcher) = 0;
  virtual void ResumeCapture(const std::shared_ptr<CaptureWatcher>& watcher) = 0;
  // Nobody takes it any more.
  virtual void EndCapture(const std::shared_ptr<CaptureWatcher>& watcher) = 0;
};

}  // namespace basalt::engine
