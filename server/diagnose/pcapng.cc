#include "server/diagnose/pcapng.h"

namespace basalt::diagnose {
namespace {

constexpr uint32_t kSection = 0x0A0D0D0A;
constexpr uint32_t kInterface = 1;
constexpr uint32_t kStatistics = 5;
constexpr uint32_t kPacket = 6;
constexpr uint32_t kByteOrder = 0x1A2B3C4D;
constexpr uint16_t kEndOfOptions = 0, kIfName = 2, kIfResolution = 9;
constexpr uint16_t kReceived = 4, kDropped = 5;

void U16(std::string& out, uint16_t value) {
  out.push_back(static_cast<char>(value));
  out.push_back(static_cast<char>(value >> 8));
}
void U32(std::string& out, uint32_t value) {
  U16(out, static_cast<uint16_t>(value));
  U16(out, static_cast<uint16_t>(value >> 16));
}
void Pad(std::string& out) {
  while (out.size() % 4 != 0) out.push_back('\0');
}
void Option(std::string& out, uint16_t code, absl::string_view value) {
  U16(out, code);
  U16(out, static_cast<uint16_t>(value.size()));
  out.append(value.data(), value.size());
  Pad(out);
}
void Number(std::string& out, uint16_t code, uint64_t value) {
  U16(out, code);
  U16(out, 8);
  U32(out, static_cast<uint32_t>(value));
  U32(out, static_cast<uint32_t>(value >> 32));
}
void Time(std::string& out, uint64_t nanos) {
  U32(out, static_cast<uint32_t>(nanos >> 32));
  U32(out, static_cast<uint32_t>(nanos));
}

std::string Block(uint32_t type, const std::string& body) {
  std::string out;
  const auto size = static_cast<uint32_t>(body.size() + 12);
  U32(out, type);
  U32(out, size);
  out += body;
  U32(out, size);
  return out;
}

}  // namespace

std::string PcapngHead(absl::string_view interface, int link_type, uint32_t snap_length) {
  std::string section;
  U32(section, kByteOrder);
  U16(section, 1);
  U16(section, 0);
  U32(section, 0xFFFFFFFF);  // length of the section: not known
  U32(section, 0xFFFFFFFF);
  std::string body;
  U16(body, static_cast<uint16_t>(link_type));
  U16(body, 0);
  U32(body, snap_length);
  Option(body, kIfName, interface);
  Option(body, kIfResolution, "\x09");  // 10^-9 s
  Option(body, kEndOfOptions, "");
  return Block(kSection, section) + Block(kInterface, body);
}

std::string PcapngPacket(uint64_t unix_nanos, uint32_t original_length, absl::string_view bytes) {
  std::string body;
  U32(body, 0);  // the one interface
  Time(body, unix_nanos);
  U32(body, static_cast<uint32_t>(bytes.size()));
  U32(body, original_length);
  body.append(bytes.data(), bytes.size());
  Pad(body);
  return Block(kPacket, body);
}

std::string PcapngStatistics(uint64_t unix_nanos, uint64_t received, uint64_t dropped) {
  std::string body;
  U32(body, 0);
  Time(body, unix_nanos);
  Number(body, kReceived, received);
  Number(body, kDropped, dropped);
  Option(body, kEndOfOptions, "");
  return Block(kStatistics, body);
}

}  // namespace basalt::diagnose
