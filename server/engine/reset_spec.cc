#include "server/engine/reset_spec.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"

namespace basalt::engine {
namespace {

absl::Status Bad(absl::string_view message, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-action-argument", message, hint);
}

absl::StatusOr<bool> ParseBool(const std::string& name, const std::string& value) {
  if (value == "true" || value == "false") return value == "true";
  return Bad(absl::StrCat("argument ", name, ": `", value, "` is neither true nor false"), "");
}

// "disk.minSize": the field of the selector with that JSON name. All of them are texts but `type`.
absl::Status SetSelector(const std::string& name, const std::string& value,
                         v1::DiskSelector* selector) {
  const auto* field = selector->GetDescriptor()->FindFieldByCamelcaseName(name);
  const auto* reflection = selector->GetReflection();
  if (field == nullptr) {
    return Bad(absl::StrCat("argument disk.", name, ": a disk selector has no such field"),
               "`nodectl explain storage.data.disk` lists them");
  }
  if (field->enum_type() == nullptr) {
    reflection->SetString(selector, field, value);
    return absl::OkStatus();
  }
  const auto* kind =
      field->enum_type()->FindValueByName(absl::StrCat("DISK_TYPE_", absl::AsciiStrToUpper(value)));
  if (kind == nullptr || kind->number() == 0) {
    return Bad(absl::StrCat("argument disk.type: `", value, "` is no kind of disk"), "");
  }
  reflection->SetEnum(selector, field, kind);
  return absl::OkStatus();
}

}  // namespace

absl::string_view ToString(WipeMethod method) {
  switch (method) {
    case WipeMethod::kFast:
      return "fast";
    case WipeMethod::kZero:
      return "zero";
    case WipeMethod::kDiscard:
      return "discard";
    case WipeMethod::kCryptoErase:
      return "crypto-erase";
  }
  return "";
}

absl::StatusOr<WipeMethod> ParseWipeMethod(absl::string_view text) {
  for (WipeMethod method :
       {WipeMethod::kFast, WipeMethod::kZero, WipeMethod::kDiscard, WipeMethod::kCryptoErase}) {
    if (text == ToString(method)) return method;
  }
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-wipe-method",
                    absl::StrCat("`", text, "` is no way to wipe"),
                    "fast, zero, discard or crypto-erase");
}

absl::StatusOr<ResetSpec> ParseResetSpec(const v1::Action& action) {
  ResetSpec spec;
  bool wipe = false, then = false;
  for (const auto& [name, value] : action.arguments()) {
    if (name == "wipe") {
      absl::StatusOr<WipeMethod> method = ParseWipeMethod(value);
      if (!method.ok()) return method.status();
      spec.method = *method;
      wipe = true;
      continue;
    }
    if (name == "then") {
      if (value != "reboot" && value != "power-off") {
        return Bad(absl::StrCat("argument then: `", value, "`"), "reboot or power-off");
      }
      spec.then = value == "reboot" ? AfterReset::kReboot : AfterReset::kPowerOff;
      then = true;
      continue;
    }
    absl::StatusOr<bool> on = ParseBool(name, value);
    if (name == "state" || name == "data" || name == "all" || name == "graceful" ||
        name == "forgetTrust") {
      if (!on.ok()) return on.status();
    } else {
      return Bad(absl::StrCat("a reset has no argument `", name, "`"),
                 "state, data, all, wipe, graceful, then, forgetTrust");
    }
    if (name == "state" || name == "all") spec.state = spec.state || *on;
    if (name == "data" || name == "all") spec.data = spec.data || *on;
    if (name == "graceful") spec.graceful = *on;
    if (name == "forgetTrust") spec.forget_trust = *on;
  }
  if (spec.forget_trust && !(spec.state && spec.data)) {
    return Bad("trust is forgotten only with everything else", "say all: \"true\" as well");
  }
  if (wipe && spec.method != WipeMethod::kFast && !spec.partitions()) {
    return Bad("a way to wipe is of partitions", "say state, data or all as well");
  }
  if (spec.partitions() && !then) spec.then = AfterReset::kReboot;
  return spec;
}

absl::StatusOr<WipeSpec> ParseWipeSpec(const v1::Action& action) {
  WipeSpec spec;
  bool disk = false;
  for (const auto& [name, value] : action.arguments()) {
    absl::string_view field = name;
    if (name == "method") {
      absl::StatusOr<WipeMethod> method = ParseWipeMethod(value);
      if (!method.ok()) return method.status();
      spec.method = *method;
    } else if (name == "volume") {
      spec.volume = value;
    } else if (absl::ConsumePrefix(&field, "disk.")) {
      disk = true;
      absl::Status set = SetSelector(std::string(field), value, &spec.disk);
      if (!set.ok()) return set;
    } else {
      return Bad(absl::StrCat("a wipe has no argument `", name, "`"), "volume, disk.*, method");
    }
  }
  if (disk == !spec.volume.empty()) {
    return Bad("a wipe is of one volume or of one disk",
               "volume: NAME, or disk.id, disk.serial, ...");
  }
  return spec;
}

}  // namespace basalt::engine
