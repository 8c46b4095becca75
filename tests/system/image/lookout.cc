// Looks out of a test's node, which has no shell: stands in for noded on the image of a test, never
// on a real one. Starts a child that answers on TCP port 6066, once a boot, and becomes the noded
// beside it (noded.real).
//
// A line is a question about a process, by name or pid, and the connection ends with the answer:
//   kill NAME       SIGKILL to the process of that name; "killed PID" or "none"
//   pid NAME        "PID"
//   mounts NAME     /proc/PID/mounts of it
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr uint16_t kPort = 6066;
constexpr char kNoded[] = "/usr/bin/noded.real";

// The lowest pid that bears the name, 0 when none does. A number is that pid.
int PidOf(const char* name) {
  if (atoi(name) > 0) return atoi(name);
  int lowest = 0;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = proc == nullptr ? nullptr : readdir(proc)) {
    const int pid = atoi(entry->d_name);
    char path[64], comm[32] = {};
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE* file = pid > 0 ? fopen(path, "re") : nullptr;
    if (file == nullptr) continue;
    if (fgets(comm, sizeof comm, file) != nullptr) comm[strcspn(comm, "\n")] = 0;
    fclose(file);
    if (strcmp(comm, name) == 0 && (lowest == 0 || pid < lowest)) lowest = pid;
  }
  if (proc != nullptr) closedir(proc);
  return lowest;
}

void Tell(FILE* to, const char* path) {
  char line[1024];
  FILE* file = fopen(path, "re");
  if (file == nullptr) return;
  while (fgets(line, sizeof line, file) != nullptr) fputs(line, to);
  fclose(file);
}

void Answer(FILE* stream) {
  char line[64] = {}, path[64], verb[16] = {}, name[32] = {};
  if (fgets(line, sizeof line, stream) == nullptr) return;
  if (sscanf(line, "%15s %31s", verb, name) != 2) return;
  const int pid = PidOf(name);
  if (pid == 0) {
    fprintf(stream, "none\n");
  } else if (strcmp(verb, "kill") == 0) {
    fprintf(stream, kill(pid, SIGKILL) == 0 ? "killed %d\n" : "not killed %d\n", pid);
  } else if (strcmp(verb, "pid") == 0) {
    fprintf(stream, "%d\n", pid);
  } else if (strcmp(verb, "mounts") == 0) {
    snprintf(path, sizeof path, "/proc/%d/mounts", pid);
    Tell(stream, path);
  }
}

[[noreturn]] void Look() {
  const int one = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  // A noded that was killed starts us again: the port says that the first of us is still here.
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 8) != 0) {
    _exit(0);
  }
  while (true) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    FILE* stream = fd < 0 ? nullptr : fdopen(fd, "r+");
    if (stream == nullptr) continue;
    Answer(stream);
    fclose(stream);
  }
}

}  // namespace

int main(int, char** argv) {
  if (fork() == 0) {
    setsid();
    for (int fd = 3; fd < 64; ++fd) close(fd);  // noded's channel is noded's
    signal(SIGPIPE, SIG_IGN);
    Look();
  }
  execv(kNoded, argv);
  return 1;
}
