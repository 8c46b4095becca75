// A directory in which a test runs programs that we did not write. Skipped where they are not
// installed.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace basalt::sign {

class Interop : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl program";
    std::string pattern = ::testing::TempDir() + "/interopXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override {
    if (!dir_.empty()) std::filesystem::remove_all(dir_);
  }

  void Write(const std::string& name, absl::string_view text) {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << text;
  }
  std::string Read(const std::string& name) {
    std::ifstream in(dir_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Exit status 0? What it printed is in the file `out`.
  bool Run(const std::string& command) {
    return std::system(("cd " + dir_ + " && { " + command + "; } >out 2>&1").c_str()) == 0;
  }

  std::string dir_;
};

}  // namespace basalt::sign
