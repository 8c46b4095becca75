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
  bool with_secrets = false;  // in the recovery sheet
};
absl::StatusOr<int> RunInit(Session& session, const InitOptions& options);

struct PinOptions {
  std::string name;
  std::string endpoint;     // empty: as the inventory has it
  std::string fingerprint;  // the same
  std::string recipient;    // as the node's run/recipient has it; empty: the node is asked
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
  bool plain = false;  // secrets in the clear
  std::string version = "v1.30.4+k3s1";
};
absl::StatusOr<int> RunGenConfig(Session& session, const GenConfigOptions& options);

struct GenSecretsOptions {
  std::vector<std::string> rotate;  // "server", "agent"
  bool reseal = false;              // to the recipients of today
  bool plain = false;
  std::string file;  // made or edited; default: that of the context
};
absl::StatusOr<int> RunGenSecrets(Session& session, const GenSecretsOptions& options);

struct K3sPinOptions {
  std::string file;
  std::string version;
  std::string binary;
  std::string base_url;
};
absl::StatusOr<int> RunK3sPin(Session& session, const K3sPinOptions& options);

struct ExtensionPinOptions {
  std::string file;
  std::string manifest;  // a file, or a URL
  std::vector<std::string> urls;
};
absl::StatusOr<int> RunExtensionPin(Session& session, const ExtensionPinOptions& options);

struct ExtensionRemoveOptions {
  std::string file;
  std::string name;
};
absl::StatusOr<int> RunExtensionRemove(Session& session, const ExtensionRemoveOptions& options);

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
  bool yes = false;  // do not ask, whatever the effect
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
  std::string to;  // the signed document goes there and not to the node
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
// Generations, a line each, the newest first: for the completion scripts. Never waits long.
absl::StatusOr<int> RunGenerations(Session& session, const NodeOptions& options);

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

struct TrustShowOptions {
  std::string file;  // a chain or a version; empty: the context's chain
};
absl::StatusOr<int> RunTrustShow(Session& session, const TrustShowOptions& options);

// Shared by what makes the next version of the trust policy.
struct TrustEditOptions {
  SigningOptions signing;     // who signs it: root keys
  bool dry_run = false;       // show what would change, sign nothing
  bool payload_only = false;  // write what is to be signed, sign nothing
  std::string to;             // where that is written, or what lacks signatures
};
struct AddKeyOptions {
  std::string name;
  std::string public_key;  // a file or the text itself
  bool generate = false;   // keys/NAME.key
  bool no_passphrase = false;
  bool root = false;
  int64_t threshold = 0;  // of root, or of the grant
  std::string for_what;   // a grant of its own
  std::vector<std::string> paths, labels, verbs;
  TrustEditOptions edit;
};
absl::StatusOr<int> RunTrustAddKey(Session& session, const AddKeyOptions& options);

struct RevokeKeyOptions {
  std::string name;
  int64_t threshold = 0;  // of root from then on
  TrustEditOptions edit;
};
absl::StatusOr<int> RunTrustRevokeKey(Session& session, const RevokeKeyOptions& options);

struct TrustGrantOptions {
  std::string for_what;
  std::vector<std::string> keys, paths, labels, verbs;
  int64_t threshold = 1;
  TrustEditOptions edit;
};
absl::StatusOr<int> RunTrustGrant(Session& session, const TrustGrantOptions& options);

struct UngrantOptions {
  int number = 0;
  TrustEditOptions edit;
};
absl::StatusOr<int> RunTrustUngrant(Session& session, const UngrantOptions& options);

struct RotateOptions {
  std::string name;
  std::string as;              // name of the new key
  std::string new_key;         // what signs with it
  std::string new_public_key;  // a file or the text itself
  bool generate = false;       // keys/NAME.key
  bool no_passphrase = false;
  TrustEditOptions edit;
};
absl::StatusOr<int> RunTrustRotate(Session& session, const RotateOptions& options);

struct EpochOptions {
  int64_t epoch = 0;  // 0: the next
  TrustEditOptions edit;
};
absl::StatusOr<int> RunTrustEpoch(Session& session, const EpochOptions& options);

struct AdoptOptions {
  std::string file;
};
absl::StatusOr<int> RunTrustAdopt(Session& session, const AdoptOptions& options);

struct SheetOptions {
  std::string to;
  bool with_secrets = false;
};
absl::StatusOr<int> RunTrustSheet(Session& session, const SheetOptions& options);

struct TrustApplyOptions {
  std::vector<std::string> nodes;
  std::string file;
};
absl::StatusOr<int> RunTrustApply(Session& session, const TrustApplyOptions& options);

// Shared by what orders a machine instead of configuring it.
struct OrderOptions {
  std::string node;
  SigningOptions signing;
  std::string reason;
  std::string to;    // the signed order goes there and not to the node
  std::string file;  // an order that was signed before
  bool yes = false;
};
absl::StatusOr<int> RunReset(Session& session, const OrderOptions& options);

struct UpgradeOptions {
  std::string image;              // the signed manifest: a file, a URL, or its digest
  std::vector<std::string> urls;  // where nodes fetch it; default: the URL that `image` is
  std::string file;               // the source; of rollback an order that was signed before
  bool rollback = false;
  std::string version;           // of rollback: only to this one
  bool allow_downgrade = false;  // of rollback: also below the epoch that the node ran
  std::string to;                // of rollback: the signed order goes there and not to the node
  ApplyOptions apply;
};
absl::StatusOr<int> RunUpgrade(Session& session, const UpgradeOptions& options);

absl::StatusOr<int> RunVersion(Session& session);

}  // namespace basalt::client
