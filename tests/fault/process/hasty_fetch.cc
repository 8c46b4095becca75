// noded-fetch with another patience: what noded asks for, but a stall is one second. For a URL that
// ends in "/lie" it is one that was taken over by what it spoke to.
#include <unistd.h>

#include <cstring>

int main(int argc, char** argv) {
  static char one[] = "1";
  const char* url = argc > 4 ? argv[4] : "";
  const size_t length = std::strlen(url);
  if (length >= 4 && std::strcmp(url + length - 4, "/lie") == 0) {
    constexpr char kLies[] = "progress -7 -7\nfrom 1000000000\nprogress 9 1\nfrom 2000000000\n";
    bool written = write(3, "not what was asked for", 22) == 22 &&
                   write(STDOUT_FILENO, kLies, sizeof(kLies) - 1) > 0;
    return written ? 0 : 10;
  }
  if (argc > 3) argv[3] = one;
  execv(NODED_FETCH, argv);
  return 64;
}
