#include "server/first/user_data.h"

#include <zlib.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "server/first/conversation.h"

namespace basalt::first {
namespace {

absl::Status NotSigned(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "not-a-signed-config",
                    absl::StrCat("it is ", what, ", not a signed config"),
                    "`nodectl sign -f FILE -o FILE.json` makes what a node takes");
}

absl::Status TooLarge() {
  return api::Coded(absl::StatusCode::kResourceExhausted, "user-data-too-large",
                    absl::StrCat("it has more than ", kMostBytes, " bytes"));
}

bool IsGzip(absl::string_view bytes) { return absl::StartsWith(bytes, "\x1f\x8b"); }

absl::StatusOr<std::string> Unpack(absl::string_view bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return absl::InternalError("inflateInit2");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int result = Z_OK;
  while (result == Z_OK && out.size() <= kMostBytes) {
    char buffer[16384];
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  }
  inflateEnd(&stream);
  if (out.size() > kMostBytes) return TooLarge();
  if (result != Z_STREAM_END) return NotSigned("compressed data that is damaged");
  return out;
}

// A text of base64 and line ends alone.
bool LooksLikeBase64(absl::string_view text) {
  return text.size() >= 16 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '+' || c == '/' || c == '=' || c == '\n' ||
                  c == '\r';
         });
}

std::string WhatItIs(absl::string_view text) {
  const std::string start = absl::AsciiStrToLower(text.substr(0, 256));
  if (absl::StartsWith(start, "#cloud-config")) return "a config for cloud-init";
  if (absl::StartsWith(start, "#!")) return "a script";
  if (absl::StartsWith(start, "#include")) return "a list of URLs for cloud-init";
  if (absl::StartsWith(start, "<")) return "a web page";
  if (absl::StrContains(start, "content-type:")) return "a MIME message";
  if (absl::StrContains(start, "apiversion:")) return "a config that is not signed";
  return "something else";
}

}  // namespace

absl::StatusOr<v1::SignedDocument> ReadUserData(absl::string_view bytes) {
  std::string layer;
  absl::string_view text = bytes;
  for (int depth = 0;; ++depth) {
    if (text.size() > kMostBytes) return TooLarge();
    absl::ConsumePrefix(&text, "\xef\xbb\xbf");
    const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
    if (absl::StartsWith(trimmed, "{")) return sign::FromDsseJson(trimmed);
    std::string inner;
    if (IsGzip(text)) {
      absl::StatusOr<std::string> unpacked = Unpack(text);
      if (!unpacked.ok()) return unpacked.status();
      inner = *std::move(unpacked);
    } else if (!LooksLikeBase64(trimmed) || !absl::Base64Unescape(trimmed, &inner)) {
      return NotSigned(WhatItIs(trimmed));
    }
    if (depth == kMostLayers) return NotSigned("wrapped too often");
    layer = std::move(inner);
    text = layer;
  }
}

absl::StatusOr<std::string> CustomDataOf(absl::string_view ovf_env) {
  // Not XML in general: one element, by whatever prefix, whose text is base64.
  size_t at = ovf_env.find("CustomData>");
  if (at == absl::string_view::npos) return absl::NotFoundError("no CustomData");
  ovf_env.remove_prefix(at + absl::string_view("CustomData>").size());
  const absl::string_view text = absl::StripAsciiWhitespace(ovf_env.substr(0, ovf_env.find('<')));
  if (text.empty()) return absl::NotFoundError("CustomData is empty");
  return std::string(text);
}

}  // namespace basalt::first
