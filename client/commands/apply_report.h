// What `apply` shows while it runs: a moving line on a terminal, plain lines in a pipe, one JSON
// document an event with -o json. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "basalt/v1/node_service.pb.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/output/io.h"

namespace basalt::client {

class ApplyReport {
 public:
  explicit ApplyReport(Io& io) : io_(io) {}

  void SetNode(const std::string& node) { node_ = node; }
  void Signed(const std::vector<std::string>& filled_in, const std::string& digest);
  void Planned(const v1::PlanReply& plan);
  void DryRun();
  void Unchanged(const std::string& machine_id);
  void Event(const v1::ApplyEvent& event);
  void Note(const std::string& text);
  // The node answers at `endpoint` from now on, and whether the inventory has it.
  void Moved(const std::string& endpoint, bool in_inventory);
  void EndLine();
  // The last line, and OK only when the document is committed (or staged, or awaits confirmation)
  // and the node healthy. Otherwise the node's code, with what does not hold.
  absl::Status Result(const v1::ApplyEvent& last, int64_t generation);

 private:
  void Line(const std::string& text);

  Io& io_;
  std::string node_;
  v1::ApplyState shown_ = v1::APPLY_STATE_UNSPECIFIED;
  std::string progress_;
  bool moving_ = false;  // a line on the terminal that the next text replaces
};

// Shared by apply and rollback: one after the other, until one fails.
absl::StatusOr<int> ApplyInputs(Session& session, const ApplyOptions& options,
                                const std::vector<Input>& inputs);

}  // namespace basalt::client
