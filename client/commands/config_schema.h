// By which schema a source is read: this program's own, or the one that a node serves, so that a
// config for a node of a newer release can be checked and edited. Thread-safe once made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/coded_status.h"
#include "basalt/v1/node_service.pb.h"
#include "client/commands/session.h"
#include "google/protobuf/message.h"
#include "machineconfig/docs/source.h"

namespace basalt::client {

class ConfigSchema {
 public:
  // Of the node of that name; with an empty name this program's own, and no node is asked.
  static absl::StatusOr<ConfigSchema> Of(Session& session, const std::string& node);

  const docs::Source& source() const { return *source_; }
  bool own() const { return source_->built_in(); }

  // A machine config as a person writes it. `message` is what could be read, of the type of this
  // schema; `readable` when that is all of the text, so that it can be rewritten.
  struct Config {
    std::unique_ptr<google::protobuf::Message> message;
    bool readable = false;
    std::vector<api::Violation> errors;
    std::vector<api::Violation> warnings;
  };
  Config Load(const std::string& text, const std::string& file) const;

  // What differs in meaning, with defaults on both sides; secrets are redacted.
  v1::PlanReply Changes(const google::protobuf::Message& before,
                        const google::protobuf::Message& after) const;

 private:
  explicit ConfigSchema(const docs::Source& source) : source_(&source) {}
  const docs::Source* source_;
};

}  // namespace basalt::client
