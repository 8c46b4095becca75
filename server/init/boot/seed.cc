#include "server/init/boot/seed.h"

#include <cerrno>
#include <cstring>

#include "server/init/boot/report.h"

namespace basalt::init {

int TakeSeed(Machine& machine) {
  char seed[kSeedSize];
  long size = machine.Read(kSeedFile, 0, seed, sizeof seed);
  bool whole = size == static_cast<long>(sizeof seed);
  if (size > 0) machine.AddEntropy(seed, static_cast<size_t>(size), false);
  int error = LeaveSeed(machine);
  if (error == 0 && whole) error = machine.AddEntropy(seed, sizeof seed, true);
  explicit_bzero(seed, sizeof seed);
  if (error != 0) {
    Report(machine, "seed-failed", error, "random seed: %s", kSeedFile);
  } else {
    Report(machine, nullptr, 0, "random seed: %s", whole ? "taken" : "none yet, made");
  }
  return error;
}

int LeaveSeed(Machine& machine) {
  char seed[kSeedSize];
  int error = machine.RandomBytes(seed, sizeof seed);
  if (error == 0) error = machine.Replace(kSeedFile, seed, sizeof seed);
  explicit_bzero(seed, sizeof seed);
  return error;
}

}  // namespace basalt::init
