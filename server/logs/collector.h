// Finds what services and the kernel have said since the last look, and remembers how far it came:
// a noded that is replaced goes on where the last one was. Also remembers when how much had been
// said, which rings do not. Loop thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "server/engine/node_api.h"
#include "server/host/clock.h"
#include "server/host/kernel_log.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/logs/record.h"

namespace basalt::logs {

inline constexpr char kSenderService[] = "logs";
inline constexpr char kCursorFile[] = "run/log-cursors";

class Collector {
 public:
  // The engine's, which masks secrets.
  using Read = std::function<absl::StatusOr<engine::NodeApi::LogChunk>(
      const engine::NodeApi::LogQuery& query)>;
  // Masks a line of the kernel; an error: nothing may be given out.
  using Mask = std::function<absl::Status(std::string& text)>;
  // False: there is no room now; the same record comes again.
  using Emit = std::function<bool(const Record& record)>;

  Collector(host::Supervisor& supervisor, host::KernelLog& kernel, host::Clock& clock,
            host::Vfs& vfs)
      : supervisor_(supervisor), kernel_(kernel), clock_(clock), vfs_(vfs) {}

  // How much each service has said by now. Cheap; nothing is read.
  void Look();
  // Everything new, of services in turn, until `emit` says no. Reads the cursors at first.
  void Collect(const Read& read, const Mask& mask, const Emit& emit);

  // How much `service` had said `ago`; absent when nobody looked then.
  std::optional<uint64_t> OffsetAt(const std::string& service, absl::Duration ago) const;

 private:
  struct Mark {
    absl::Duration at;  // boot clock
    uint64_t offset = 0;
  };
  struct Service {
    uint64_t written = 0;
    std::deque<Mark> marks;
    bool since_begin = false;  // it had said nothing when it was first looked at
  };

  bool CollectService(const std::string& name, const Read& read, const Emit& emit);
  void CollectKernel(const Mask& mask, const Emit& emit);
  // What is new from `from` on into kernel_pending_; false: nothing.
  bool ReadKernel(const Mask& mask, uint64_t from);
  void LoadCursors();
  void SaveCursors();

  host::Supervisor& supervisor_;
  host::KernelLog& kernel_;
  host::Clock& clock_;
  host::Vfs& vfs_;
  std::map<std::string, Service> services_;
  std::optional<absl::Duration> watching_since_;
  bool loaded_ = false;
  std::map<std::string, uint64_t> cursors_;
  std::string saved_;
  std::unique_ptr<host::KernelLogReader> kernel_reader_;
  std::deque<host::KernelMessage> kernel_pending_;  // masked
};

}  // namespace basalt::logs
