#include "tests/unit/server/first/fake_cloud.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "server/fetch/download.h"
#include "server/host/fd.h"

namespace basalt::testing {

void HttpAsker::Ask(const first::Question& question, std::function<void(first::Answer)> done) {
  asked.push_back(question.asking.method + " " + question.url);
  first::Answer answer;
  host::UniqueFd file(memfd_create("answer", MFD_CLOEXEC));
  fetch::Hooks hooks;
  hooks.progress = [](fetch::Progress) {};
  hooks.failed = [](fetch::Outcome, const std::string&, const std::string&) {};
  hooks.pause = [](int) {};
  hooks.from = [](int) {};
  hooks.status = [&answer](int status) { answer.status = status; };
  std::string why;
  const fetch::Outcome outcome =
      fetch::Download({.limit = first::kMostBytes, .stall_seconds = 1, .urls = {question.url}},
                      file.get(), hooks, &why, question.asking);
  if (outcome != fetch::Outcome::kOk) {
    answer.why = why;
  } else {
    answer.body.resize(static_cast<size_t>(lseek(file.get(), 0, SEEK_END)));
    if (pread(file.get(), answer.body.data(), answer.body.size(), 0) < 0) answer.why = "read";
  }
  h_.executor->Post([done = std::move(done), answer] { done(answer); });
}

FirstWorld::FirstWorld(std::vector<first::Source> its, std::string at)
    : sources(std::move(its)), metadata(std::move(at)) {
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy"}) unsetenv(name);
  StartNode();
}

void FirstWorld::StartNode() {
  first.reset();
  ASSERT_TRUE(h.Start().ok());
}

void FirstWorld::Start() {
  first = std::make_unique<first::FirstConfig>(first::FirstConfig::Parts{.executor = *h.executor,
                                                                         .node = *h.node,
                                                                         .media = media,
                                                                         .asker = asker,
                                                                         .sources = sources,
                                                                         .metadata = metadata});
  first->Start();
  Settle();
}

v1::Condition FirstWorld::Condition(const std::string& type) const {
  const v1::MachineStatus status = h.MachineStatus();
  for (const v1::Condition& condition : status.conditions()) {
    if (condition.type() == type) return condition;
  }
  return {};
}

}  // namespace basalt::testing
