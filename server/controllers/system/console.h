// Keeps the page on the screen: shown when something on it is otherwise than it was. Loop thread
// only.
#pragma once

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "basalt/v1/system.pb.h"
#include "server/controllers/system/console_page.h"
#include "server/engine/executor.h"
#include "server/host/screen.h"

namespace basalt::system {

class ConsoleKeeper {
 public:
  static constexpr absl::Duration kLookEvery = absl::Seconds(5);

  ConsoleKeeper(engine::Executor& executor, host::Screen& screen)
      : executor_(executor), screen_(screen) {}
  ~ConsoleKeeper();

  // Begins to look; without a config the page is on. `facts` is called at each look.
  void Start(std::function<ConsoleFacts()> facts);
  void Apply(const v1::Console* console);  // null: the config says nothing of it

 private:
  void Look();

  engine::Executor& executor_;
  host::Screen& screen_;
  std::function<ConsoleFacts()> facts_;
  engine::Executor::TimerId timer_ = 0;
  bool on_ = true;
  std::string shown_;
};

}  // namespace basalt::system
