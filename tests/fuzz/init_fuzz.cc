// What noded may send to noded-init: any bytes in any order. The input is a list of packets, each
// led by two bytes of length and one of how many descriptors come along; a length byte with the top
// bit set lets time pass or a child end instead. PID 1 must neither crash nor leak nor close twice.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "server/init/core/program.h"
#include "tests/unit/server/init/fake_os.h"

using basalt::init::FakeOs;
using basalt::init::kSecond;
using basalt::init::Request;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FakeOs os;
  auto program = std::make_unique<basalt::init::Program>(os, basalt::init::Settings{});
  if (program->Start() != 0) std::abort();
  // HELLO first, so that the rest of the protocol is reached.
  os.requests.push_back(
      {Request(basalt::init::Op::kHello, basalt::init::HelloBody{.pid = 1, .reserved = 0}), 0});
  program->OnReadable(basalt::init::Channel::kToken);
  while (size >= 3) {
    size_t length = static_cast<size_t>(data[0]) << 8 | data[1];
    int more = data[2];
    data += 3;
    size -= 3;
    if ((length & 0x8000) != 0) {
      if ((length & 1) != 0 && !os.services.empty()) {
        size_t which = static_cast<size_t>(more) % os.services.size();
        os.End(os.services[which].pid, more, 0);
      }
      os.now += static_cast<int64_t>(length & 0x7f) * kSecond;
    } else {
      length = length < size ? length : size;
      os.requests.push_back({std::string(reinterpret_cast<const char*>(data), length), more % 10});
      data += length;
      size -= length;
      program->OnReadable(basalt::init::Channel::kToken);
    }
    program->ReapAll();
    program->OnTime();
    os.sent.clear();
  }
  // A slot holds at most 5 descriptors of its own and 5 of its program, and noded's channel is one.
  if (os.bad_closes != 0 || os.open.size() > basalt::init::kMaxServices * 10 + 1) std::abort();
  return 0;
}
