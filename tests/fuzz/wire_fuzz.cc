// What strangers say to noded-wire, what it says to noded, and what programs write into the
// kernel's log: answers of HTTP, results of probes and captures, states of sinks, packets, files of
// stored logs.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/diagnose/address_policy.h"
#include "server/diagnose/capture_task.h"
#include "server/diagnose/own_packets.h"
#include "server/diagnose/probe_result.h"
#include "server/host/kernel_log.h"
#include "server/logs/encode.h"
#include "server/logs/record.h"
#include "server/logs/store_names.h"
#include "server/wire/http_head.h"

namespace basalt {
namespace {

void Must(bool holds) {
  if (!holds) std::abort();
}

bool Printable(const std::string& text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  }
  return true;
}

void Http(absl::string_view text) {
  bool bad = false;
  const auto head = wire::ParseHttpHead(text, &bad);
  if (!head) return;
  Must(!bad && head->size <= text.size() && head->size <= wire::kMaxHead);
  Must(Printable(head->location) && Printable(head->type));
  Must(head->status >= 100 && head->status <= 599 && head->length >= -1);
}

// What is understood is understood the same way again.
void Messages(absl::string_view bytes) {
  if (auto record = logs::UnpackRecord(bytes)) Must(logs::Pack(*record) == bytes);
  if (auto ship = logs::UnpackShip(bytes)) Must(logs::UnpackShip(logs::Pack(*ship)) == ship);
  if (auto state = logs::UnpackState(bytes)) Must(Printable(state->message));
  if (auto task = diagnose::UnpackTask(bytes)) {
    Must(diagnose::UnpackTask(diagnose::Pack(*task)) == task);
  }
  if (auto capture = diagnose::UnpackCapture(bytes)) {
    Must(diagnose::UnpackCapture(diagnose::Pack(*capture)) == capture);
  }
  if (auto result = diagnose::UnpackResult(bytes)) {
    Must(Printable(result->error) && Printable(result->http_location));
    for (const auto& certificate : result->certificates) Must(Printable(certificate.subject));
    Must(diagnose::UnpackResult(diagnose::Pack(*result)) == result);
  }
}

void Lines(const std::string& text) {
  if (auto message = host::ParseKernelMessage(text)) Must(Printable(message->text));
  logs::SeverityOf(text);
  logs::LineTime(text);
  if (auto file = logs::ParseStoreName(text)) {
    Must(logs::StoreName(file->service, file->number) == text);
  }
  diagnose::DefaultInterface(text);
  diagnose::WhyClosed(text);
  diagnose::Peer::Parse(text);
  const logs::Record record = {.source = "k3s", .text = text};
  Must(logs::Syslog(record, "n1").find('\n') == std::string::npos);
  Must(logs::StoreLine(record).find('\n') == logs::StoreLine(record).size() - 1);
  const std::string json = logs::JsonText(text);
  Must(Printable(json));
  // Quotes are escaped: an even number of backslashes stands before none.
  size_t slashes = 0;
  for (char c : json) {
    Must(c != '"' || slashes % 2 == 1);
    slashes = c == '\\' ? slashes + 1 : 0;
  }
}

}  // namespace
}  // namespace basalt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      basalt::Http(rest);
      break;
    case 1:
      basalt::Messages(rest);
      break;
    case 2:
      basalt::Lines(std::string(rest));
      break;
    default: {
      const basalt::diagnose::Peer peer = {.ip = std::string("\xC0\xA8\x01\x07", 4), .port = 443};
      basalt::diagnose::IsOf(peer, basalt::diagnose::kEthernet, rest);
      basalt::diagnose::IsOf(peer, basalt::diagnose::kBareIp, rest);
      break;
    }
  }
  return 0;
}
