// Reading YAML strictly into messages: the one way that bytes from outside become a machine config,
// a trust policy or an action. Pure, thread-safe, bounded: 1 MiB, depth 32, 50,000 nodes, 256 KiB a
// scalar, one document, at most 100 errors; no anchors, aliases, merge keys, duplicate or unknown
// keys; the one tag is `!sealed`, only on secrets. YAML 1.2 core: `no` is a string, `0644` is not
// octal.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/coded_status.h"
#include "google/protobuf/message.h"

namespace basalt::yaml {

struct Position {
  int line = 0;    // from 1
  int column = 0;  // from 1, in bytes
  bool operator==(const Position&) const = default;
};

// Field path → where its key (or element) stands. Paths: "k3s.cluster.server", "k3s.tlsSans[2]",
// "api.clientCas[admin].roles" (LIST_MAP elements by key), "metadata.labels[site]" (map entries).
using SourceMap = std::map<std::string, Position>;

struct DecodeResult {
  SourceMap source;
  std::vector<api::Violation> errors;  // empty: the message is complete; sorted by position
  bool ok() const { return errors.empty(); }
};

// Fills `message` (any message of api/basalt/v1 with annotated fields) from `text`. `file` goes
// into the errors only. On errors the message holds what could be read, for further checks.
// Defaults are not applied here (schema/resolve.h); required fields are not checked here
// (validate/validate.h).
DecodeResult Decode(absl::string_view text, absl::string_view file,
                    google::protobuf::Message& message);

// `kind` and `apiVersion` of a document without decoding the rest; empty when it has none.
struct Header {
  std::string api_version;
  std::string kind;
};
Header PeekHeader(absl::string_view text);

}  // namespace basalt::yaml
