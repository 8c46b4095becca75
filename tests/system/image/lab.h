// What an owner has at hand in the tests of the image: a folder made by `nodectl init`, images
// built and signed with its key, a web server that nodes fetch them from, and nodectl itself.
// Everything of it ends with its object.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/system/image/machine.h"

namespace basalt::testing {

// A port of 127.0.0.1 that nobody listens on.
int FreePort();

struct Ran {
  int exit_code = -1;
  std::string out;  // both streams
};
// With nothing on its standard input.
Ran Launch(const std::vector<std::string>& argv);

// Files of a directory over HTTP on 127.0.0.1, by Python: not a line of it is ours.
class WebServer {
 public:
  explicit WebServer(const std::string& directory);
  ~WebServer();
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;
  // `host`: 127.0.0.1 from here, 10.0.2.2 from a machine.
  std::string Url(const std::string& host, const std::string& file) const;

 private:
  const int port_;
  pid_t pid_ = -1;
};

class Lab {
 public:
  struct Places {
    std::string programs, recipe, cache;
  };
  explicit Lab(Places places);
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  const std::string& root() const { return root_; }
  std::string web() const { return root_ + "/web"; }

  Ran Nodectl(std::vector<std::string> words) const;
  // The console is read all the while: a machine whose serial line nobody reads stops.
  Ran NodectlMeanwhile(Machine& machine, const std::vector<std::string>& words) const;

  // Builds an image and puts what nodes fetch of it on the web; returns its disk. `init`: another
  // program in the place of noded-init.
  std::string Build(const std::string& version, const std::string& init = "") const;
  static std::string Name(const std::string& version);

  // Waits for a machine without a config and pins it under `name`. "" or what went wrong.
  std::string Pin(Machine& machine, const std::string& name, int port) const;
  // The file of a config for a node without K3s and with nobody to ask for the time, signed by
  // nobody yet.
  std::string ConfigWithoutK3s(const std::string& name) const;

 private:
  const Places places_;
  std::string root_;
};

}  // namespace basalt::testing
