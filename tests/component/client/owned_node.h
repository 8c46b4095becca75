// A node as it ships, owned by what `nodectl init` made: the verbs of nodectl against the node's
// own verdict. Configs have no K3s, so that an apply takes a moment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/component/client/nodectl_fixture.h"
#include "tests/support/process/node_process.h"

namespace basalt::client {

class OwnedNode : public NodectlFixture {
 protected:
  void TearDown() override;

  // With the trust.json of now; pinned as n1.
  void StartOwned();
  // The same words with another owner's directory: a thief's copy, a colleague's.
  Ran RunIn(const std::string& lab, const std::vector<std::string>& words);
  Ran Good(const std::vector<std::string>& words);
  // exit 1 and this code, said by `by` ("n1" for the node or what stands before it).
  void Refused(const Ran& ran, const std::string& code);

  struct Config {
    std::string labels;  // "{site: lab}"; empty: none
    std::string api;     // more lines below `api:`, two spaces deep
    std::string metadata;
    std::string ca;  // directory of the authority; empty: the lab's
  };
  std::string WriteYaml(const std::string& file, const Config& config);
  // `lab` with everything in it, as `name`.
  std::string CopyLab(const std::string& name);

  testing::Owner owner_;
  std::unique_ptr<testing::NodeProcess> node_;
};

}  // namespace basalt::client
