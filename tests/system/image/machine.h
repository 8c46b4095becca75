// A virtual machine without KVM: OVMF, one virtio disk, its serial console, and a network only when
// it is asked for: the host is 10.0.2.2 there, and one port of 127.0.0.1 leads to the API. Each has
// its own variables of the firmware; it ends with its object, by its pid.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace basalt::testing {

class Machine {
 public:
  struct Options {
    bool restarts = false;  // a machine that restarts does so, else it ends
    int api_port = 0;       // of 127.0.0.1; 0: no network
    // Each write and flush of the disk is appended here, which `write_log.h` reads; the machine has
    // a disk with a volatile cache then.
    std::string write_log;
    // Firmware that knows Secure Boot, with its variables in this file, which is made empty (no
    // keys, setup mode) where it is absent and kept from one machine to the next.
    std::string secure_variables;
    std::string tpm_socket;  // of an swtpm
    // A TPM 2.0 (swtpm) with its state in this directory, made when it is missing: another
    // directory is another TPM. "": none.
    std::string tpm_state;
    std::string second_disk;             // a raw file too, behind `disk`; its serial is "SECOND"
    std::vector<std::string> more = {};  // arguments of QEMU: another disk, a serial number
  };
  // `disk` is a raw file and is written to.
  Machine(const std::string& disk, const std::string& scratch, const Options& options);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Reads the console until one of `texts` is in it, the machine ends, or the time is over. True
  // when one is there.
  bool Await(const std::vector<std::string>& texts, absl::Duration patience);
  const std::string& console() const { return console_; }

 private:
  // Where it listens.
  std::string StartTpm(const std::string& state, const std::string& scratch);

  pid_t pid_ = -1, tpm_pid_ = -1;
  int serial_ = -1;
  std::string console_;
};

}  // namespace basalt::testing
