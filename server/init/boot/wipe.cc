#include "server/init/boot/wipe.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "server/init/boot/report.h"

namespace basalt::init {
namespace {

constexpr uint64_t kPiece = 64 << 20;
constexpr int64_t kSecond = 1000000000;
constexpr int64_t kSayEvery = 10 * kSecond;

// `size` bytes from the begin of the device on.
int EraseAll(Machine& machine, const char* name, const char* device, Erasure how, uint64_t size) {
  int64_t said = machine.Now();
  for (uint64_t at = 0; at < size;) {
    machine.PetWatchdog();
    const uint64_t piece = size - at < kPiece ? size - at : kPiece;
    if (int error = machine.Erase(device, how, at, piece); error != 0) return error;
    at += piece;
    if (machine.Now() - said < kSayEvery) continue;
    said = machine.Now();
    Report(machine, nullptr, 0, "%s: wiping %s: %llu of %llu MiB", name, device,
           static_cast<unsigned long long>(at >> 20), static_cast<unsigned long long>(size >> 20));
  }
  return 0;
}

// Random bytes over the keys, and zeros over those, so that nothing takes it for a header.
int EraseHeader(Machine& machine, const char* device, uint64_t size) {
  static char random[64 << 10];
  for (uint64_t at = 0; at < size; at += sizeof random) {
    int error = machine.RandomBytes(random, 256);
    for (size_t filled = 256; filled < sizeof random; filled += 256) {
      memcpy(random + filled, random, 256);
    }
    if (error == 0) error = machine.WriteDurably(device, at, random, sizeof random);
    if (error != 0) return error;
  }
  return machine.Erase(device, Erasure::kZero, 0, size);
}

}  // namespace

gpt::WipeMethod WipeOrderOf(Machine& machine, const char* device, uint64_t size) {
  gpt::WipeOrder order = {};
  if (machine.Read(device, size - gpt::kWipeDistance, &order, sizeof order) != sizeof order ||
      memcmp(order.magic, gpt::kWipeMagic, sizeof order.magic) != 0 ||
      order.method >= gpt::kWipeMethods) {
    return gpt::WipeMethod::kNone;
  }
  return static_cast<gpt::WipeMethod>(order.method);
}

int Wipe(Machine& machine, const char* name, const char* device, uint64_t size,
         gpt::WipeMethod method) {
  const char* done = "zero";
  const int64_t begin = machine.Now();
  // The last 64 KiB are the mark's: nothing else was ever there.
  uint64_t bytes = size - gpt::kMarkDistance;
  int error = EOPNOTSUPP;
  Report(machine, nullptr, 0, "%s: %s is wiped, as a reset ordered", name, device);
  if (method == gpt::WipeMethod::kCrypto) {
    done = "crypto-erase";
    if (bytes > gpt::kCryptoHeader) bytes = gpt::kCryptoHeader;
    error = EraseHeader(machine, device, bytes);
  } else if (method == gpt::WipeMethod::kDiscard) {
    done = "secure-discard";
    error = EraseAll(machine, name, device, Erasure::kSecureDiscard, bytes);
    if (error != 0) {
      done = "discard";
      error = EraseAll(machine, name, device, Erasure::kDiscard, bytes);
    }
    if (error != 0) {
      Report(machine, "discard-failed", error, "%s: zeros are written instead", name);
      done = "zero";
    }
  }
  if (error != 0 && method != gpt::WipeMethod::kCrypto) {
    error = EraseAll(machine, name, device, Erasure::kZero, bytes);
  }
  static constexpr gpt::WipeOrder kNothing = {};
  if (error == 0) {
    error = machine.WriteDurably(device, size - gpt::kWipeDistance, &kNothing, sizeof kNothing);
  }
  if (error != 0) {
    Report(machine, "wipe-failed", error, "%s: %s: the next boot tries again", name, device);
    return error;
  }
  const int64_t seconds = (machine.Now() - begin) / kSecond;
  Report(machine, nullptr, 0, "%s: wiped (%s), %llu MiB in %lld s", name, done,
         static_cast<unsigned long long>(bytes >> 20), static_cast<long long>(seconds));
  char path[64];
  char line[80];
  snprintf(path, sizeof path, "%s/%s", kWipedDirectory, name);
  const int length =
      snprintf(line, sizeof line, "%s %llu %lld\n", done, static_cast<unsigned long long>(bytes),
               static_cast<long long>(seconds));
  // Ignoring failures: it is done, and was said.
  machine.MakeDirectory(kWipedDirectory, 0755);
  machine.Replace(path, line, static_cast<size_t>(length));
  return 0;
}

}  // namespace basalt::init
