// noded-fetch with another patience: what noded asks for, but a stall is one second.
#include <unistd.h>

int main(int argc, char** argv) {
  static char one[] = "1";
  if (argc > 3) argv[3] = one;
  execv(NODED_FETCH, argv);
  return 64;
}
