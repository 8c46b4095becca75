// The kernel's dm-crypt: a device below /dev/mapper that shows what an encrypted partition holds.
#pragma once

#include <memory>
#include <string>

#include "machineconfig/seal/secret_bytes.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

struct Mapping {
  std::string name;    // "STATE": /dev/mapper/STATE
  std::string device;  // "/dev/vda4"
  std::string uuid;
  uint64_t offset = 0;  // bytes
  uint64_t size = 0;    // of what is shown
  uint32_t sector = 512;
  bool discards = false;
};

class Mapper {
 public:
  virtual ~Mapper() = default;
  // The kernel has the key then, in a way that nothing above it reads back. AlreadyExists: it is
  // there, of this device; FailedPrecondition: of another one.
  virtual Status Map(const Mapping& mapping, const seal::SecretBytes& key) = 0;
  // FailedPrecondition: in use. NotFound.
  virtual Status Unmap(const std::string& name) = 0;
};

std::unique_ptr<Mapper> KernelMapper();

}  // namespace basalt::unlock
