// The parts of validation; private to this directory.
#pragma once

#include <string>

#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "google/protobuf/message.h"
#include "machineconfig/validate/report.h"
#include "machineconfig/validate/validate.h"

namespace basalt::validate {

// What the annotations of the fields say.
void CheckAnnotations(const google::protobuf::Message& message, Stage stage, Report& report);

// The rules between fields.
void CheckMetadata(const v1::MachineConfig& config, Stage stage, Report& report);
void CheckTarget(const v1::Target& target, absl::string_view path, Report& report);
void CheckK3s(const v1::MachineConfig& config, Report& report);  // of its section k3s
void CheckSystem(const v1::MachineConfig& config, Report& report);
void CheckKernel(const v1::MachineConfig& config, Report& report);
void CheckNetwork(const v1::MachineConfig& config, Report& report);
void CheckStorage(const v1::MachineConfig& config, Report& report);
void CheckAudit(const v1::MachineConfig& config, Report& report);
void CheckTrustPolicy(const v1::TrustPolicy& policy, Report& report);
// A grant's paths are those that a change of a machine config can have: unknown-path, with the
// nearest.
void CheckGrantPaths(const v1::Grant& grant, const std::string& path, Report& report);
void CheckAction(const v1::Action& action, Report& report);

// Of several sections; `path` is where the message stands.
void CheckDiskSelector(const v1::DiskSelector& disk, const std::string& path, Report& report);
void CheckEncryption(const v1::Encryption& encryption, const std::string& path, bool of_volume,
                     Report& report);
void CheckSink(const v1::Sink& sink, const std::string& path, Report& report);
void CheckRetention(const v1::Retention& retention, const std::string& path, Report& report);

}  // namespace basalt::validate
