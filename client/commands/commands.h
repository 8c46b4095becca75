// The verbs of nodectl, each a function from its options to an exit code. What goes wrong comes
// back as a status and is printed in one place (cli.cc). client/README.md has the table of exit
// codes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/commands/session.h"

namespace basalt::client {

struct InitOptions {
  std::string directory;
  std::string cluster;
  bool no_passphrase = false;
};
absl::StatusOr<int> RunInit(Session& session, const InitOptions& options);

struct PinOptions {
  std::string name;
  std::string endpoint;
  std::string fingerprint;
  bool tofu = false;
  bool yes = false;
};
absl::StatusOr<int> RunPin(Session& session, const PinOptions& options);

struct GenConfigOptions {
  std::string name;
  std::string role;
  std::string server;
  std::vector<std::string> set;
  std::string output_file;
  std::string schema;  // path or URL for the editor's line
  std::string version = "v1.30.4+k3s1";
};
absl::StatusOr<int> RunGenConfig(Session& session, const GenConfigOptions& options);

struct K3sPinOptions {
  std::string file;
  std::string version;
  std::string binary;
  std::string base_url;
};
absl::StatusOr<int> RunK3sPin(Session& session, const K3sPinOptions& options);

struct ValidateOptions {
  std::vector<std::string> files;
  std::string node;  // whose schema is gone by; empty: this program's own
};
absl::StatusOr<int> RunValidate(Session& session, const ValidateOptions& options);

struct ExplainOptions {
  std::string path;
  std::string node;  // whose schema is explained; empty: this program's own
  bool recursive = false;
};
absl::StatusOr<int> RunExplain(Session& session, const ExplainOptions& options);
// Every path of explain, a line each: for the completion scripts.
absl::StatusOr<int> RunPaths(Session& session);

struct SchemaOptions {
  std::string kind = "MachineConfig";
  std::string node;  // whose schema it is; empty: this program's own
  std::string output_file;
};
absl::StatusOr<int> RunSchema(Session& session, const SchemaOptions& options);

struct SealOptions {
  std::string file;  // a config to edit; empty: the text goes to standard output
  std::string path;  // of the field
  bool all = false;  // every secret of the file that stands in the clear
  std::vector<std::string> recipients;
  std::vector<std::string> recipient_files;
  std::string cluster;
  std::string name;
};
absl::StatusOr<int> RunSeal(Session& session, const SealOptions& options);

struct UnsealOptions {
  std::string file;
  std::string path;
  std::vector<std::string> identities;
};
absl::StatusOr<int> RunUnseal(Session& session, const UnsealOptions& options);

struct RecipientOptions {
  std::vector<std::string> identities;
};
absl::StatusOr<int> RunRecipient(Session& session, const RecipientOptions& options);

// Shared by what signs.
struct SigningOptions {
  std::vector<std::string> keys;
  std::string sign_command;
  std::string sign_public_key;          // whose signature that command makes
  std::vector<std::string> identities;  // open sealed secrets
  bool allow_plaintext = false;
  std::string mode;
  std::string confirm_within;
  std::string reason;
};

struct SignOptions {
  std::vector<std::string> files;
  std::string node;
  std::string output_file;
  std::vector<std::string> attach;  // signatures that other tools wrote
  bool payload_only = false;
  SigningOptions signing;
};
absl::StatusOr<int> RunSign(Session& session, const SignOptions& options);

struct VerifyOptions {
  std::vector<std::string> files;
  std::string trust;
};
absl::StatusOr<int> RunVerify(Session& session, const VerifyOptions& options);

struct PlanOptions {
  std::vector<std::string> files;
  std::vector<std::string> identities;  // open sealed secrets
  std::string node;
  // The words of apply, so that one command line fits both. Nothing is signed: keys have no effect.
  std::vector<std::string> keys;
  std::optional<absl::Duration> timeout;  // for each node; absent: as long as each call may take
  bool dry_run = false;                   // it always is
  bool yes = false;                       // nothing is asked
  bool detailed_exit_code = false;
  bool diff = false;  // kubectl's form and exit codes
};
absl::StatusOr<int> RunPlan(Session& session, const PlanOptions& options);

struct ApplyOptions {
  std::vector<std::string> files;
  std::string node;
  SigningOptions signing;
  absl::Duration timeout = absl::Minutes(10);
  bool dry_run = false;
  bool yes = false;
  bool supersede = false;
};
absl::StatusOr<int> RunApplyVerb(Session& session, const ApplyOptions& options);

struct RollbackOptions {
  int64_t generation = 0;
  std::string file;
  ApplyOptions apply;
};
absl::StatusOr<int> RunRollback(Session& session, const RollbackOptions& options);

struct NodeOptions {
  std::string node;
  std::string digest;
  int limit = 0;
};
absl::StatusOr<int> RunConfirm(Session& session, const NodeOptions& options);
absl::StatusOr<int> RunCancel(Session& session, const NodeOptions& options);
absl::StatusOr<int> RunHistory(Session& session, const NodeOptions& options);

struct StatusOptions {
  std::vector<std::string> nodes;
};
absl::StatusOr<int> RunStatus(Session& session, const StatusOptions& options);

struct GetOptions {
  std::string node;
  std::string kind;
  std::string name;
};
absl::StatusOr<int> RunGet(Session& session, const GetOptions& options);

struct LogsOptions {
  std::string node;
  std::string service;
  int tail = 0;
  bool follow = false;
};
absl::StatusOr<int> RunLogs(Session& session, const LogsOptions& options);

struct KubeconfigOptions {
  std::string node;
  std::string output_file;
};
absl::StatusOr<int> RunKubeconfig(Session& session, const KubeconfigOptions& options);

struct TrustApplyOptions {
  std::string node;
  std::string file;
};
absl::StatusOr<int> RunTrustApply(Session& session, const TrustApplyOptions& options);

struct ResetOptions {
  std::string node;
  std::vector<std::string> keys;
  std::string reason;
  bool yes = false;
};
absl::StatusOr<int> RunReset(Session& session, const ResetOptions& options);

absl::StatusOr<int> RunVersion(Session& session);

}  // namespace basalt::client
