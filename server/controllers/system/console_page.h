// What the screen of a machine shows: who it is, where it is reached, how it is. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "basalt/v1/resource.pb.h"

namespace basalt::system {

struct ConsoleFacts {
  v1::MachineStatus machine;
  v1::ConfigStatus config;
  std::vector<std::string> addresses;  // where the API is reached: "192.168.1.20:6050"
  std::string serial;
  std::string clock;  // of SystemStatus
  std::string note;   // of an install medium: what it does, or found
};

// At most 80 columns and 24 lines; nothing in it that a terminal would obey.
std::string RenderPage(const ConsoleFacts& facts);

// `basalt://FINGERPRINT@ADDRESS:PORT` as a QR code, of the first address that it has room for; ""
// while there is none.
std::string RenderPicture(const ConsoleFacts& facts);

// Hex digits as words to read out: four digits are one word of five letters, consonants and vowels
// in turn (arXiv:0901.4016). What is no group of four is left out.
std::string Words(absl::string_view hex, size_t most);

}  // namespace basalt::system
