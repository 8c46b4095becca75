// Stands in for noded in the test of a machine with a TPM: sets a recovery passphrase as noded
// would, tries to get the key of DATA from the TPM as an intruder would, and says how both went:
//
//   probe: passphrase 0
//   probe: again 3
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <vector>

namespace {

constexpr char kPassphrase[] = "correct horse battery staple";

// Its exit code; the passphrase is in descriptor 3.
int Run(std::initializer_list<const char*> words) {
  std::vector<char*> argv;
  for (const char* word : words) argv.push_back(const_cast<char*>(word));
  argv.push_back(nullptr);
  int secret[2];
  if (pipe(secret) != 0) return -1;
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(secret[0], 3);
    if (secret[1] != 3) close(secret[1]);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(secret[0]);
  if (write(secret[1], kPassphrase, strlen(kPassphrase)) < 0) return -1;
  close(secret[1]);
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  printf("probe: passphrase %d\n",
         Run({"/usr/bin/noded-unlock", "passphrase", "--device", "/dev/vda4", "--state-key",
              "/state/disk-key", "--passphrase-fd", "3"}));
  printf("probe: again %d\n",
         Run({"/usr/bin/noded-unlock", "open", "--device", "/dev/vda5", "--name", "again"}));
  for (;;) pause();
}
