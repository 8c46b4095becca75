#include "tests/system/image/machine.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

extern char** environ;

namespace basalt::testing {

std::string Machine::StartTpm(const std::string& state, const std::string& scratch) {
  std::filesystem::create_directories(state);
  std::string socket = absl::StrCat(scratch, "/tpm");
  std::filesystem::remove(socket);
  std::vector<std::string> argv = {"swtpm",
                                   "socket",
                                   "--tpm2",
                                   "--tpmstate",
                                   absl::StrCat("dir=", state),
                                   "--ctrl",
                                   absl::StrCat("type=unixio,path=", socket)};
  std::vector<char*> args;
  for (std::string& a : argv) args.push_back(a.data());
  args.push_back(nullptr);
  if (posix_spawnp(&tpm_pid_, args[0], nullptr, nullptr, args.data(), environ) != 0) tpm_pid_ = -1;
  const absl::Time until = absl::Now() + absl::Seconds(30);
  while (!std::filesystem::exists(socket) && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  return socket;
}

Machine::Machine(const std::string& disk, const std::string& scratch, const Options& options) {
  const bool secure = !options.secure_variables.empty();
  const std::string variables =
      secure ? options.secure_variables : absl::StrCat(scratch, "/variables.fd");
  std::filesystem::copy_file("/usr/share/OVMF/OVMF_VARS_4M.fd", variables,
                             secure ? std::filesystem::copy_options::skip_existing
                                    : std::filesystem::copy_options::overwrite_existing);
  std::vector<std::string> argv = {
      "qemu-system-x86_64",
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-accel",
      "tcg,thread=multi",
      "-machine",
      secure ? "q35,smm=on" : "q35",
      "-m",
      "512",
      "-smp",
      "1",
      "-nic",
      options.api_port == 0
          ? std::string("none")
          : absl::StrCat("user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:", options.api_port,
                         "-:6050"),
      "-serial",
      "stdio",
      "-drive",
      absl::StrCat("if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M",
                   secure ? ".secboot" : "", ".fd"),
      "-drive",
      absl::StrCat("if=pflash,unit=1,format=raw,file=", variables),
      "-device",
      "virtio-blk-pci,drive=disk,bootindex=1"};
  if (options.write_log.empty()) {
    argv.insert(argv.end(), {"-drive", absl::StrCat("file=", disk,
                                                    ",format=raw,if=none,id=disk,cache=unsafe")});
  } else {
    argv.insert(
        argv.end(),
        {"-blockdev", absl::StrCat("driver=blklogwrites,node-name=disk,log-sector-size=512,"
                                   "file.driver=file,file.filename=",
                                   disk, ",log.driver=file,log.filename=", options.write_log)});
  }
  if (secure) {
    argv.insert(argv.end(), {"-global", "driver=cfi.pflash01,property=secure,value=on"});
  }
  if (!options.tpm_socket.empty()) {
    argv.insert(argv.end(),
                {"-chardev", absl::StrCat("socket,id=tpm,path=", options.tpm_socket), "-tpmdev",
                 "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"});
  }
  if (!options.tpm_state.empty()) {
    argv.insert(argv.end(),
                {"-chardev", "socket,id=tpm,path=" + StartTpm(options.tpm_state, scratch),
                 "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"});
  }
  if (!options.second_disk.empty()) {
    argv.insert(argv.end(), {"-drive",
                             absl::StrCat("file=", options.second_disk,
                                          ",format=raw,if=none,id=second,cache=unsafe"),
                             "-device", "virtio-blk-pci,drive=second,serial=SECOND,bootindex=2"});
  }
  argv.insert(argv.end(), options.more.begin(), options.more.end());
  if (!options.restarts) argv.push_back("-no-reboot");
  std::vector<char*> args;
  for (std::string& a : argv) args.push_back(a.data());
  args.push_back(nullptr);
  int serial[2];
  if (pipe2(serial, O_CLOEXEC) != 0) return;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, serial[1], 1);
  if (posix_spawnp(&pid_, args[0], &actions, nullptr, args.data(), environ) != 0) pid_ = -1;
  posix_spawn_file_actions_destroy(&actions);
  close(serial[1]);
  serial_ = serial[0];
}

Machine::~Machine() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);  // not reaped yet, so the pid is still its own
    waitpid(pid_, nullptr, 0);
  }
  if (tpm_pid_ > 0) {
    kill(tpm_pid_, SIGTERM);  // it has ended with the machine, or does now
    waitpid(tpm_pid_, nullptr, 0);
  }
  if (serial_ >= 0) close(serial_);
}

bool Machine::Await(const std::vector<std::string>& texts, absl::Duration patience) {
  absl::Time deadline = absl::Now() + patience;
  while (true) {
    for (const std::string& text : texts) {
      if (absl::StrContains(console_, text)) return true;
    }
    int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    pollfd fd = {serial_, POLLIN, 0};
    if (left <= 0 || poll(&fd, 1, static_cast<int>(left)) <= 0) return false;
    char buffer[4096];
    ssize_t got = read(serial_, buffer, sizeof buffer);
    if (got <= 0) return false;  // it ended
    console_.append(buffer, static_cast<size_t>(got));
  }
}

}  // namespace basalt::testing
