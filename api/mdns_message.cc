#include "api/mdns_message.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"

namespace basalt::api::mdns {
namespace {

constexpr size_t kHead = 12;
constexpr size_t kLongestName = 255;
constexpr size_t kLongestLabel = 63;
constexpr size_t kMostRecords = 256;
constexpr uint16_t kInternet = 1, kTopBit = 0x8000;

absl::Status Bad() {
  return Coded(absl::StatusCode::kInvalidArgument, "bad-message", "not a message of mDNS");
}

class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  size_t at() const { return at_; }
  uint32_t Number(size_t size) {
    if (size > bytes_.size() - at_) return Fail();
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes_[at_++]);
    return value;
  }
  absl::string_view Take(size_t size) {
    if (size > bytes_.size() - at_) {
      Fail();
      return "";
    }
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  // Pointers lead backwards alone, each further than the one before: so it ends.
  std::string Name() {
    std::string name;
    size_t at = at_, lowest = at_;
    bool jumped = false;
    while (at < bytes_.size()) {
      const auto length = static_cast<uint8_t>(bytes_[at]);
      if (length == 0) {
        if (!jumped) at_ = at + 1;
        return name;
      }
      if ((length & 0xc0) == 0xc0) {
        if (at + 1 >= bytes_.size()) break;
        const size_t to = (length & 0x3f) << 8 | static_cast<uint8_t>(bytes_[at + 1]);
        if (to >= lowest) break;
        if (!jumped) at_ = at + 2;
        jumped = true;
        at = lowest = to;
        continue;
      }
      if ((length & 0xc0) != 0 || length > bytes_.size() - at - 1) break;
      if (name.size() + length + 1 > kLongestName) break;
      if (!name.empty()) name.push_back('.');
      for (char c : bytes_.substr(at + 1, length)) {
        name.push_back(absl::ascii_isprint(c) && c != '.' ? c : '?');
      }
      at += length + 1;
    }
    Fail();
    return "";
  }

 private:
  uint32_t Fail() {
    ok_ = false;
    at_ = bytes_.size();
    return 0;
  }
  absl::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

void Put(std::string& out, size_t size, uint32_t value) {
  for (size_t i = size; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

std::string NameBytes(absl::string_view name) {
  std::string out;
  for (absl::string_view label : absl::StrSplit(name, '.', absl::SkipEmpty())) {
    label = label.substr(0, kLongestLabel);
    if (out.size() + label.size() + 2 > kLongestName) break;
    Put(out, 1, static_cast<uint32_t>(label.size()));
    absl::StrAppend(&out, label);
  }
  out.push_back('\0');
  return out;
}

std::string DataOf(const Record& record) {
  std::string out;
  switch (record.type) {
    case kPtr:
      return NameBytes(record.target);
    case kSrv:
      Put(out, 4, 0);  // priority and weight
      Put(out, 2, record.port);
      return out + NameBytes(record.target);
    case kTxt:
      for (const std::string& text : record.texts) {
        const absl::string_view cut = absl::string_view(text).substr(0, 255);
        Put(out, 1, static_cast<uint32_t>(cut.size()));
        absl::StrAppend(&out, cut);
      }
      return out.empty() ? std::string(1, '\0') : out;
    default:
      return record.address;
  }
}

// False: what the record holds is not of its type.
bool ReadData(absl::string_view whole, size_t at, size_t size, Record& record) {
  Reader reader(whole.substr(0, at + size));
  reader.Take(at);
  switch (record.type) {
    case kPtr:
      record.target = reader.Name();
      break;
    case kSrv:
      reader.Number(4);
      record.port = static_cast<uint16_t>(reader.Number(2));
      record.target = reader.Name();
      break;
    case kTxt:
      while (reader.ok() && reader.at() < at + size) {
        const absl::string_view text = reader.Take(reader.Number(1));
        if (!text.empty()) record.texts.emplace_back(text);
      }
      break;
    case kA:
    case kAaaa:
      if (size != (record.type == kA ? 4u : 16u)) return false;
      record.address = std::string(reader.Take(size));
      break;
    default:
      return true;
  }
  return reader.ok();
}

std::string InstanceName(const Advert& advert) {
  return absl::StrCat(advert.instance, ".", kService);
}
std::string HostName(const Advert& advert) { return absl::StrCat(advert.instance, ".local"); }

}  // namespace

absl::StatusOr<Message> Parse(absl::string_view bytes) {
  if (bytes.size() < kHead || bytes.size() > kMostBytes) return Bad();
  Reader reader(bytes);
  Message message;
  message.id = static_cast<uint16_t>(reader.Number(2));
  const uint32_t flags = reader.Number(2);
  message.response = (flags & kTopBit) != 0;
  if ((flags & 0x7800) != 0) return Bad();  // another operation than a query
  const size_t questions = reader.Number(2);
  size_t records = reader.Number(2);
  records += reader.Number(2);
  records += reader.Number(2);
  if (questions > kMostRecords || records > kMostRecords) return Bad();
  for (size_t i = 0; i < questions; ++i) {
    Question q;
    q.name = reader.Name();
    q.type = static_cast<uint16_t>(reader.Number(2));
    q.unicast = (reader.Number(2) & kTopBit) != 0;
    if (!reader.ok()) return Bad();
    message.questions.push_back(std::move(q));
  }
  for (size_t i = 0; i < records; ++i) {
    Record r;
    r.name = reader.Name();
    r.type = static_cast<uint16_t>(reader.Number(2));
    r.flush = (reader.Number(2) & kTopBit) != 0;
    r.ttl = reader.Number(4);
    const size_t size = reader.Number(2), at = reader.at();
    reader.Take(size);
    if (!reader.ok() || !ReadData(bytes, at, size, r)) return Bad();
    message.records.push_back(std::move(r));
  }
  return message;
}

std::string Write(const Message& message) {
  std::string out;
  Put(out, 2, message.id);
  Put(out, 2, message.response ? 0x8400 : 0);  // an answer is with authority
  Put(out, 2, static_cast<uint32_t>(message.questions.size()));
  Put(out, 2, static_cast<uint32_t>(message.records.size()));
  Put(out, 4, 0);
  for (const Question& q : message.questions) {
    out += NameBytes(q.name);
    Put(out, 2, q.type);
    Put(out, 2, kInternet | (q.unicast ? kTopBit : 0));
  }
  for (const Record& r : message.records) {
    const std::string data = DataOf(r);
    out += NameBytes(r.name);
    Put(out, 2, r.type);
    Put(out, 2, kInternet | (r.flush ? kTopBit : 0));
    Put(out, 4, r.ttl);
    Put(out, 2, static_cast<uint32_t>(data.size()));
    out += data;
  }
  return out;
}

Message Announce(const Advert& advert, uint32_t ttl) {
  const std::string instance = InstanceName(advert), host = HostName(advert);
  Message message{.response = true};
  message.records.push_back({.name = kService, .type = kPtr, .ttl = ttl, .target = instance});
  message.records.push_back({.name = instance,
                             .type = kSrv,
                             .flush = true,
                             .ttl = ttl,
                             .target = host,
                             .port = advert.port});
  message.records.push_back(
      {.name = instance,
       .type = kTxt,
       .flush = true,
       .ttl = ttl,
       .texts = {"txtvers=1", absl::StrCat("fp=", advert.fingerprint),
                 absl::StrCat("state=", advert.state), absl::StrCat("api=", advert.api),
                 absl::StrCat("version=", advert.version)}});
  for (const std::string& address : advert.addresses) {
    message.records.push_back({.name = host,
                               .type = address.size() == 4 ? kA : kAaaa,
                               .flush = true,
                               .ttl = ttl,
                               .address = address});
  }
  return message;
}

bool AsksFor(const Message& message, const Advert& advert) {
  if (message.response) return false;
  const std::string instance = InstanceName(advert), host = HostName(advert);
  return std::any_of(message.questions.begin(), message.questions.end(), [&](const Question& q) {
    const auto is = [&](absl::string_view name, std::initializer_list<uint16_t> types) {
      return absl::EqualsIgnoreCase(q.name, name) &&
             (q.type == kAny || std::find(types.begin(), types.end(), q.type) != types.end());
    };
    return is(kService, {kPtr}) || is(instance, {kSrv, kTxt}) || is(host, {kA, kAaaa});
  });
}

std::vector<Advert> AdvertsOf(const Message& message) {
  std::vector<Advert> out;
  if (!message.response) return out;
  const std::string end = absl::StrCat(".", kService);
  for (const Record& srv : message.records) {
    if (srv.type != kSrv || srv.ttl == 0 || !absl::EndsWithIgnoreCase(srv.name, end)) continue;
    Advert advert{.instance = srv.name.substr(0, srv.name.size() - end.size()), .port = srv.port};
    for (const Record& r : message.records) {
      if (r.type == kTxt && absl::EqualsIgnoreCase(r.name, srv.name)) {
        for (absl::string_view text : r.texts) {
          if (absl::ConsumePrefix(&text, "fp=")) advert.fingerprint = std::string(text);
          if (absl::ConsumePrefix(&text, "state=")) advert.state = std::string(text);
          if (absl::ConsumePrefix(&text, "api=")) advert.api = std::string(text);
          if (absl::ConsumePrefix(&text, "version=")) advert.version = std::string(text);
        }
      }
      if ((r.type == kA || r.type == kAaaa) && absl::EqualsIgnoreCase(r.name, srv.target)) {
        advert.addresses.push_back(r.address);
      }
    }
    const bool hex = advert.fingerprint.size() == kFingerprintShown &&
                     std::all_of(advert.fingerprint.begin(), advert.fingerprint.end(),
                                 [](char c) { return absl::ascii_isxdigit(c); });
    if (hex && advert.port != 0 && !advert.instance.empty()) out.push_back(std::move(advert));
  }
  return out;
}

}  // namespace basalt::api::mdns
