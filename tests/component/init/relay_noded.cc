// Plays noded under the real noded-init: passes its supervisor channel to the test and lives until
// the test closes the connection (or kills it). argv[1]: path of the test's socket. A text that the
// test sends back is the exit code.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  const char* number = getenv("BASALT_SUPERVISOR_FD");
  if (argc != 2 || number == nullptr) return 70;
  int channel = atoi(number);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 71;
  int pid = getpid();
  iovec part = {&pid, sizeof pid};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &channel, sizeof channel);
  if (sendmsg(fd, &message, 0) < 0) return 72;
  char text[16] = {};
  return read(fd, text, sizeof text - 1) > 0 ? atoi(text) : 0;
}
