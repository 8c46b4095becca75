// What signed orders do to the disks of a machine: a seam, since the engine knows no disk. Real:
// server/wipe. A sandbox has none. All calls and callbacks on the loop thread.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/reset_spec.h"

namespace basalt::engine {

// What outlives a STATE that is made anew: laid down where the first boot looks.
struct Carried {
  std::string trust;  // the chain, as JSON
  std::string floor;  // as ParseFloor reads it
};

class MachineOrders {
 public:
  using Done = std::function<void(absl::Status)>;
  virtual ~MachineOrders() = default;

  // Can it be done? Changes nothing. FailedPrecondition "wipe-unsupported", "not-encrypted".
  virtual void CheckReset(const ResetSpec& spec, Done done) = 0;
  // The next boot makes the partitions anew. Durable when it is done; may be repeated.
  virtual void MarkReset(const ResetSpec& spec, const Carried& carried, Done done) = 0;
  // This boot began with a DATA that was made anew.
  virtual bool DataIsNew() const = 0;
  // What the boot said when it could not; "" else.
  virtual std::string BootFailure() const = 0;

  // Removes what a disk or volume holds. `begun` when it has been found and may be wiped, with what
  // it holds, for a person; its error ends it. `done` at the end, with what was really done; an
  // error before `begun` is one that changed nothing: those of the selector, "disk-of-the-image",
  // "disk-in-use", "volume-not-found", "volume-mounted", "wipe-unsupported", "not-encrypted". May
  // be repeated.
  virtual void Wipe(const WipeSpec& spec,
                    std::function<absl::Status(const std::string& what)> begun,
                    std::function<void(int percent)> progress,
                    std::function<void(absl::StatusOr<std::string>)> done) = 0;
  virtual absl::Status PowerOff() = 0;
};

}  // namespace basalt::engine
