// Where a command writes: text for people or JSON for programs, and whether anybody sits there. One
// per process, made by main; tests make their own over string streams. Not thread-safe.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

enum class Format { kTable, kWide, kJson, kYaml, kName };

// "" is table. InvalidArgument/"bad-output" when it is none of `allowed`, which it lists.
absl::StatusOr<Format> ParseFormat(absl::string_view word, const std::vector<std::string>& allowed);

struct Io {
  std::ostream& out;
  std::ostream& err;
  Format format = Format::kTable;
  bool out_terminal = false;
  bool err_terminal = false;
  bool in_terminal = false;  // a person can answer
  bool color = false;        // of text on a terminal; off with NO_COLOR
  // Reads one line of an answer; tests replace it.
  std::function<std::string()> read_line;

  bool json() const { return format == Format::kJson; }
};

// Over the standard streams of this process.
Io StandardIo();

// Text from a node, a file or a peer, made harmless for a terminal: control characters, escape
// sequences, bidirectional overrides and bytes that are not UTF-8 are shown as \xNN or \u{NNNN}.
// Line feeds stay when `keep_lines`; tabs stay.
std::string Escape(absl::string_view text, bool keep_lines = false);

// The same inside a double-quoted text of YAML, whose own escapes read back as what it was.
std::string EscapeYaml(absl::string_view text);

// Escape sequences around `text`, or `text` alone when colours are off.
std::string Bold(const Io& io, absl::string_view text);
std::string Dim(const Io& io, absl::string_view text);
std::string Red(const Io& io, absl::string_view text);
std::string Green(const Io& io, absl::string_view text);
std::string Yellow(const Io& io, absl::string_view text);

// Asks "question [y/N]" on a terminal. With `yes` true at once; without a terminal it is
// FailedPrecondition/"needs-yes"; anything but y or yes is Cancelled/"declined".
absl::Status Confirm(Io& io, const std::string& question, bool yes);

}  // namespace basalt::client
