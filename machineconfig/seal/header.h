// The header of an age v1 file: stanzas that wrap the file key, and a MAC over all of it. Private
// to machineconfig/seal but for the fuzz target. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::seal {

struct Stanza {
  std::vector<std::string> arguments;  // the first is the type; never empty
  std::string body;
  bool operator==(const Stanza&) const = default;
};

struct Header {
  std::vector<Stanza> stanzas;
  std::string mac;       // 32 bytes
  size_t authentic = 0;  // how many bytes of the file the MAC covers: up to and with "---"
  size_t size = 0;       // where the payload begins
};

// Everything up to and with "---", which is what the MAC is over.
std::string HeaderText(const std::vector<Stanza>& stanzas);

// The grammar of the specification and nothing beside it: one space between arguments, canonical
// base64 without padding, 64 columns, LF. InvalidArgument/"bad-age-header", "unknown-age-version",
// "too-large" (above 64 stanzas or 128 KiB).
absl::StatusOr<Header> ParseHeader(absl::string_view file);

}  // namespace basalt::seal
