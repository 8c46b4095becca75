#include "server/controllers/devices/rules.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace basalt::devices {
namespace {

using format::UdevTerm;
using Parent = host::DeviceNode::Parent;

constexpr size_t kMaxLinks = 16;  // of one device

bool OfParents(const std::string& key) {
  return key == "KERNELS" || key == "SUBSYSTEMS" || key == "DRIVERS" || key == "ATTRS";
}

// One device under all lines.
class OneDevice {
 public:
  OneDevice(const host::DeviceNode& device, const ReadAttribute& attribute)
      : device_(device), attribute_(attribute), environment_(device.properties) {
    self_ = {.path = device.path,
             .name = device.name,
             .subsystem = device.subsystem,
             .driver = device.driver};
  }

  void Line(const format::UdevLine& line) {
    const Parent* parent = nullptr;
    for (const UdevTerm& term : line.terms) {
      if (term.matches() && !OfParents(term.key) && !Holds(term, self_)) return;
    }
    const bool wants_parent = std::any_of(line.terms.begin(), line.terms.end(),
                                          [](const UdevTerm& term) { return OfParents(term.key); });
    // All of them of one and the same: the device itself, or one above it.
    if (wants_parent && (parent = FindParent(line)) == nullptr) return;
    for (const UdevTerm& term : line.terms) {
      if (!term.matches()) Set(term, parent == nullptr ? self_ : *parent);
    }
  }

  std::set<std::string> links;
  std::optional<uint32_t> mode, owner, group;

 private:
  const Parent* FindParent(const format::UdevLine& line) const {
    auto fits = [&](const Parent& one) {
      return std::all_of(line.terms.begin(), line.terms.end(), [&](const UdevTerm& term) {
        return !term.matches() || !OfParents(term.key) || Holds(term, one);
      });
    };
    if (fits(self_)) return &self_;
    for (const Parent& one : device_.parents) {
      if (fits(one)) return &one;
    }
    return nullptr;
  }

  bool Holds(const UdevTerm& term, const Parent& at) const {
    std::optional<std::string> value;
    if (term.key == "KERNEL" || term.key == "KERNELS") value = at.name;
    if (term.key == "SUBSYSTEM" || term.key == "SUBSYSTEMS") value = at.subsystem;
    if (term.key == "DRIVER" || term.key == "DRIVERS") value = at.driver;
    if (term.key == "DEVPATH") value = at.path;
    if (term.key == "ATTR" || term.key == "ATTRS") value = attribute_(at.path, term.attribute);
    if (term.key == "ENV") {
      const auto found = environment_.find(term.attribute);
      value = found == environment_.end() ? "" : found->second;
    }
    // Devices that are there have come; those that went are gone with their links.
    if (term.key == "ACTION") value = "add";
    if (!value) return false;
    const bool same = format::UdevMatches(term.value, *value);
    return same == (term.op == UdevTerm::Op::kEqual);
  }

  void Set(const UdevTerm& term, const Parent& parent) {
    if (term.key == "ENV") {
      environment_[term.attribute] = Filled(term.value, parent);
    } else if (term.key == "SYMLINK") {
      if (term.op == UdevTerm::Op::kAssign) links.clear();
      for (absl::string_view word : absl::StrSplit(Filled(term.value, parent), ' ')) {
        if (!word.empty() && links.size() < kMaxLinks) links.emplace(word);
      }
    } else if (term.key == "MODE") {
      uint32_t bits = 0;
      for (char c : term.value) bits = bits * 8 + static_cast<uint32_t>(c - '0');
      mode = bits;
    } else if (term.key == "OWNER" || term.key == "GROUP") {
      uint32_t id = 0;
      if (term.value != "root" && !absl::SimpleAtoi(term.value, &id)) return;
      (term.key == "OWNER" ? owner : group) = id;
    }
  }

  // %k, %n, %M, %m, %p, %b, %s{ATTR}, %E{NAME}, and their long names behind a dollar. What a device
  // says of itself cannot leave /dev: blanks and slashes in it become underscores.
  std::string Filled(const std::string& value, const Parent& parent) const {
    static constexpr struct {
      const char* word;
      char letter;
    } kWords[] = {{"kernel", 'k'},  {"number", 'n'}, {"major", 'M'}, {"minor", 'm'},
                  {"devpath", 'p'}, {"id", 'b'},     {"attr", 's'},  {"env", 'E'},
                  {"name", 'k'},    {"driver", 'd'}};
    std::string out;
    absl::string_view rest = value;
    while (!rest.empty()) {
      char letter = 0;
      if (rest[0] == '%' && rest.size() > 1) {
        letter = rest[1];
        rest.remove_prefix(2);
      } else if (rest[0] == '$' && rest.size() > 1) {
        rest.remove_prefix(1);
        if (rest[0] == '$') {
          letter = '$';
          rest.remove_prefix(1);
        }
        for (const auto& [word, short_form] : kWords) {
          if (letter == 0 && absl::ConsumePrefix(&rest, word)) letter = short_form;
        }
      } else {
        out.push_back(rest[0]);
        rest.remove_prefix(1);
        continue;
      }
      std::string name;
      if ((letter == 's' || letter == 'E') && !rest.empty() && rest[0] == '{') {
        const size_t end = rest.find('}');
        if (end == absl::string_view::npos) return out;
        name = std::string(rest.substr(1, end - 1));
        rest.remove_prefix(end + 1);
      }
      out += letter == '%' || letter == '$' ? std::string(1, letter)
                                            : Safe(Value(letter, name, parent));
    }
    return out;
  }

  std::string Value(char letter, const std::string& name, const Parent& parent) const {
    switch (letter) {
      case 'k':
        return device_.name;
      case 'n': {
        size_t digits = device_.name.size();
        while (digits > 0 && absl::ascii_isdigit(device_.name[digits - 1])) --digits;
        return device_.name.substr(digits);
      }
      case 'M':
        return absl::StrCat(device_.major);
      case 'm':
        return absl::StrCat(device_.minor);
      case 'p':
        return device_.path;
      case 'b':
        return parent.name;
      case 'd':
        return parent.driver;
      case 's': {
        if (name.empty() || absl::StrContains(name, "..") || name[0] == '/') return "";
        std::optional<std::string> value = attribute_(device_.path, name);
        if (!value) value = attribute_(parent.path, name);
        return value.value_or("");
      }
      case 'E': {
        const auto found = environment_.find(name);
        return found == environment_.end() ? "" : found->second;
      }
      default:
        return "";
    }
  }

  static std::string Safe(std::string text) {
    for (char& c : text) {
      if (!absl::ascii_isalnum(c) && !absl::StrContains("#+-.:=@_", c)) c = '_';
    }
    return text;
  }

  const host::DeviceNode& device_;
  const ReadAttribute& attribute_;
  Parent self_;
  std::map<std::string, std::string> environment_;
};

void Want(const std::string& link, const host::DeviceNode& device, Wanted* wanted) {
  if (!format::IsDeviceLink(link)) {
    wanted->faults.push_back(absl::StrCat(device.node, ": `", link, "` is no name below /dev"));
    return;
  }
  // The first by name keeps it: the same at each look.
  const auto [it, fresh] = wanted->links.try_emplace(link, device.node);
  if (!fresh && it->second != device.node) {
    wanted->faults.push_back(
        absl::StrCat("/dev/", link, " is wanted by ", it->second, " and by ", device.node));
  }
}

}  // namespace

Wanted Apply(const std::vector<format::UdevLine>& rules,
             const std::vector<host::DeviceNode>& devices, const ReadAttribute& attribute,
             const std::function<std::optional<host::NodeMode>(const std::string&)>& mode,
             const std::map<std::string, std::vector<std::string>>& ids) {
  Wanted wanted;
  for (const host::DeviceNode& device : devices) {
    OneDevice one(device, attribute);
    for (const format::UdevLine& line : rules) one.Line(line);
    for (const std::string& link : one.links) Want(link, device, &wanted);
    if (one.mode || one.owner || one.group) {
      host::NodeMode now = mode(device.node).value_or(host::NodeMode());
      if (one.mode) now.mode = *one.mode;
      // As udev: a group that may use it needs its bits.
      if (!one.mode && one.group && *one.group != 0) now.mode = 0660;
      if (one.owner) now.owner = *one.owner;
      if (one.group) now.group = *one.group;
      wanted.modes[device.node] = now;
    }
    if (device.subsystem != "block") continue;
    std::string disk = device.node, part;
    if (const auto number = device.properties.find("PARTN"); number != device.properties.end()) {
      part = absl::StrCat("-part", number->second);
      if (!device.parents.empty()) disk = device.parents.front().name;
    }
    const auto names = ids.find(disk);
    if (names == ids.end()) continue;
    for (const std::string& name : names->second) {
      Want(absl::StrCat("disk/by-id/", name, part), device, &wanted);
    }
  }
  return wanted;
}

}  // namespace basalt::devices
