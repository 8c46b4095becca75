// A netlink message under construction, and the attributes of one that came. Private to this
// directory.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

namespace basalt::host {

class NetlinkMessage {
 public:
  NetlinkMessage(uint16_t type, uint16_t flags) : buffer_(kSize, '\0') {
    header_ = mnl_nlmsg_put_header(buffer_.data());
    header_->nlmsg_type = type;
    header_->nlmsg_flags = flags;
  }
  template <typename T>
  T* Extra() {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  // What does not fit is left out, and the kernel refuses the message: lists that may be long are
  // split by their callers.
  void Put(uint16_t type, const void* data, size_t size) {
    mnl_attr_put_check(header_, kSize, type, size, data);
  }
  void Bytes(uint16_t type, const std::string& bytes) { Put(type, bytes.data(), bytes.size()); }
  void Text(uint16_t type, const std::string& text) { Put(type, text.c_str(), text.size() + 1); }
  void U8(uint16_t type, uint8_t value) { Put(type, &value, 1); }
  void U16(uint16_t type, uint16_t value) { Put(type, &value, 2); }
  void U32(uint16_t type, uint32_t value) { Put(type, &value, 4); }
  void Be16(uint16_t type, uint16_t value) { U16(type, __builtin_bswap16(value)); }
  void Be32(uint16_t type, uint32_t value) { U32(type, __builtin_bswap32(value)); }
  void Be64(uint16_t type, uint64_t value) {
    value = __builtin_bswap64(value);
    Put(type, &value, 8);
  }
  nlattr* Begin(uint16_t type) { return mnl_attr_nest_start(header_, type); }
  void End(nlattr* nest) { mnl_attr_nest_end(header_, nest); }
  nlmsghdr* header() { return header_; }
  size_t size() const { return header_->nlmsg_len; }
  std::string Take() {
    buffer_.resize(MNL_ALIGN(header_->nlmsg_len));
    return std::move(buffer_);
  }

 private:
  static constexpr size_t kSize = 64 << 10;
  std::string buffer_;
  nlmsghdr* header_;
};

// The first `N` kinds of attributes; those that are absent, cut off or too small read as nothing.
template <size_t N>
class Attributes {
 public:
  static Attributes Of(const nlmsghdr* message, size_t extra) {
    Attributes out;
    const char* begin = reinterpret_cast<const char*>(message);
    const size_t head = MNL_NLMSG_HDRLEN + MNL_ALIGN(extra);
    if (message->nlmsg_len >= head) out.Walk(begin + head, message->nlmsg_len - head);
    return out;
  }
  Attributes Nested(uint16_t type) const {
    Attributes out;
    if (const nlattr* nest = Get(type)) out.ParseNested(nest);
    return out;
  }
  template <size_t M>
  Attributes<M> NestedOf(uint16_t type) const {
    Attributes<M> out;
    if (const nlattr* nest = Get(type)) out.ParseNested(nest);
    return out;
  }
  void ParseNested(const nlattr* nest) {
    Walk(static_cast<const char*>(mnl_attr_get_payload(nest)), mnl_attr_get_payload_len(nest));
  }
  const nlattr* Get(uint16_t type) const { return type < N ? found_[type] : nullptr; }
  bool Has(uint16_t type) const { return Get(type) != nullptr; }
  std::string Bytes(uint16_t type) const {
    const nlattr* a = Get(type);
    return a == nullptr ? ""
                        : std::string(static_cast<const char*>(mnl_attr_get_payload(a)),
                                      mnl_attr_get_payload_len(a));
  }
  // Up to its end or to the first zero.
  std::string Text(uint16_t type) const {
    std::string bytes = Bytes(type);
    return bytes.substr(0, bytes.find('\0'));
  }
  template <typename T>
  T Number(uint16_t type, T otherwise = 0) const {
    const nlattr* a = Get(type);
    if (a == nullptr || mnl_attr_get_payload_len(a) < sizeof(T)) return otherwise;
    T out;
    memcpy(&out, mnl_attr_get_payload(a), sizeof out);
    return out;
  }

 private:
  // Up to the last byte and not, as libmnl's own walk, to the end that it would have if it were
  // padded.
  void Walk(const char* at, size_t left) {
    while (left >= sizeof(nlattr)) {
      const auto* attribute = reinterpret_cast<const nlattr*>(at);
      if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > left) return;
      const uint16_t type = mnl_attr_get_type(attribute);
      if (type < N) found_[type] = attribute;
      const size_t step = MNL_ALIGN(attribute->nla_len);
      if (step >= left) return;
      at += step;
      left -= step;
    }
  }
  std::array<const nlattr*, N> found_{};
};

}  // namespace basalt::host
