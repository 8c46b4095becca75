// The command line as a tree of verbs: what the groups of verbs (cli_*.cc) share. A group keeps its
// options in the parser, declares its verbs with their examples, and leaves behind what is to be
// done. Heavy: includes CLI11. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/commands/commands.h"

namespace basalt::client {

class Parser {
 public:
  using Action = std::function<absl::StatusOr<int>(Session&)>;

  Parser();
  CLI::App& app() { return app_; }
  const GlobalOptions& global() const { return global_; }
  // Of the verb that was parsed.
  const Action& action() const { return action_; }
  // How it can print; empty where -o is a file, or there is none.
  const std::vector<std::string>& formats() const { return formats_; }

  // A value that lives as long as the parser: the options of a group.
  template <typename T>
  T& Keep() {
    auto value = std::make_shared<T>();
    kept_.push_back(value);
    return *value;
  }

  // `examples`: a command line each, indented by two.
  CLI::App* Verb(CLI::App& parent, const std::string& name, const std::string& what,
                 const std::string& examples, Action action);
  // For scripts: in no help and no completion.
  CLI::App* Hidden(const std::string& name, Action action);
  // A verb that only has verbs below it, made by the first group that asks.
  CLI::App& Group(const std::string& name, const std::string& what);

  // Options that many verbs have. `formats`: those that the verb can print, and no other is taken.
  void Output(CLI::App* verb, std::vector<std::string> formats);
  void OutputFormat(CLI::App* verb, std::vector<std::string> formats);  // where -o names a file
  static void Files(CLI::App* verb, std::vector<std::string>& files);
  static void Node(CLI::App* verb, std::string& node);
  // The node whose schema is gone by.
  static void SchemaOf(CLI::App* verb, std::string& node);
  static void Identities(CLI::App* verb, std::vector<std::string>& files);
  static void Signing(CLI::App* verb, SigningOptions& options);
  // The part of it that says who signs; `flag` is "--key" but where that means something else.
  static void Signers(CLI::App* verb, SigningOptions& options, const std::string& flag = "--key",
                      const std::string& fallback = "the context's");
  static void Timeout(CLI::App* verb, const std::string& what,
                      std::function<void(absl::Duration)> set);
  void Applying(CLI::App* verb, ApplyOptions& options,
                std::vector<std::string> formats = {"table", "json"});
  // The words of apply, so that `plan` in the place of `apply` is a command line as well.
  static void Planning(CLI::App* verb, PlanOptions& options);

 private:
  CLI::App app_;
  GlobalOptions global_;
  std::map<const CLI::App*, std::vector<std::string>> formats_of_;
  std::vector<std::string> formats_;
  std::vector<std::shared_ptr<void>> kept_;
  Action action_;
};

// The groups, in the order of the help.
void AddOwnerVerbs(Parser& p);
void AddTrustVerbs(Parser& p);
void AddDocumentVerbs(Parser& p);
void AddEditingVerbs(Parser& p);
void AddSecretVerbs(Parser& p);
void AddApplyVerbs(Parser& p);
void AddUpgradeVerbs(Parser& p);
void AddExtensionVerbs(Parser& p);
void AddNodeVerbs(Parser& p);
void AddShellVerbs(Parser& p);

}  // namespace basalt::client
