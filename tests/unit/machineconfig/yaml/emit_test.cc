#include "machineconfig/yaml/emit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::yaml {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Emit, WritesFieldsInOrderAndQuotesWhatReadsAsAnotherType) {
  v1::MachineConfig config;
  config.set_kind("MachineConfig");
  v1::Metadata& metadata = *config.mutable_metadata();
  metadata.set_name("007");
  metadata.set_generation(5);
  metadata.mutable_apply()->set_mode(v1::APPLY_MODE_TRY);
  metadata.set_reason("a: b");
  (*metadata.mutable_labels())["z"] = "no";
  (*metadata.mutable_labels())["a"] = "lab";
  config.mutable_k3s()->mutable_token()->set_sealed("line\nmore\n");
  config.mutable_k3s()->add_tls_sans("k3s.example.org");
  config.mutable_k3s()->add_manifests()->mutable_content()->set_plain("a: b\nc: d");
  EXPECT_EQ(Emit(config), R"(kind: MachineConfig
metadata:
  name: "007"
  generation: 5
  apply:
    mode: try
  reason: "a: b"
  labels:
    a: lab
    z: "no"
k3s:
  token: !sealed |
    line
    more
  tlsSans:
    - k3s.example.org
  manifests:
    - content: |-
        a: b
        c: d
)");
}

TEST(Emit, RedactsSecretsOnRequest) {
  v1::MachineConfig config;
  config.mutable_k3s()->mutable_token()->set_plain("hunter2");
  (*config.mutable_k3s()->mutable_config())["etcd-s3-secret-key"].set_text("hunter2");
  EXPECT_THAT(Emit(config), HasSubstr("hunter2"));
  EXPECT_THAT(Emit(config, {.redact = true}), Not(HasSubstr("hunter2")));
}

TEST(Emit, AnEmptyMessageIsAnEmptyMap) { EXPECT_EQ(Emit(v1::MachineConfig()), "{}\n"); }

// Texts that YAML is known to bend.
const char* const kTexts[] = {"",         "a",
                              " ",        "a ",
                              " a",       "\n",
                              "a\n",      "\na",
                              "a\n\n",    "a\nb",
                              "a\n\nb",   "a\n b\n",
                              " a\nb",    "a \nb",
                              "a\t\nb",   "\ta\nb",
                              "a\tb",     "#a",
                              "a #b",     "a: b",
                              "a:",       ":a",
                              "- a",      "-",
                              "?",        "? a",
                              "[a",       "{a",
                              "a]",       "a,b",
                              "*a",       "&a",
                              "!a",       "!sealed x",
                              "|",        ">",
                              "%a",       "@a",
                              "`a",       "\"a\"",
                              "'a'",      "a'b\"c\\",
                              "null",     "~",
                              "true",     "No",
                              "0644",     "1e3",
                              "12:30",    "2026-11-23",
                              "0x1",      ".5",
                              ".inf",     "---",
                              "...",      "a\n---\nb",
                              "---\na",   "<<",
                              "=",        "a\n#b\n",
                              "\xC3\xA9", "x\xF0\x9F\x98\x80",
                              "a  b",     "\\n",
                              "\\",       "a\n\tb",
                              "a\n  \nb", "https://x:1/y?z=%2B#f",
                              "a\\\nb"};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int Below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine_); }

  void Fill(google::protobuf::Message& message) {
    using schema::FieldKind;
    const auto& r = *message.GetReflection();
    for (const auto& field : schema::Describe(message.GetDescriptor()).fields) {
      if (Below(3) == 0) continue;
      const auto* fd = field.field;
      if (field.kind == FieldKind::kMap) {
        const auto* type = fd->message_type();
        for (int i = Below(3); i > 0; --i) {
          auto& entry = *r.AddMessage(&message, fd);
          // The index keeps keys distinct.
          entry.GetReflection()->SetString(&entry, type->map_key(), std::to_string(i) + Text());
          if (field.value_kind == FieldKind::kString) {
            entry.GetReflection()->SetString(&entry, type->map_value(), Text());
          } else {
            Value(static_cast<v1::ConfigValue&>(
                *entry.GetReflection()->MutableMessage(&entry, type->map_value())));
          }
        }
        continue;
      }
      for (int i = field.repeated ? Below(3) : 1; i > 0; --i) {
        switch (field.kind) {
          case FieldKind::kString:
            field.repeated ? r.AddString(&message, fd, Text()) : r.SetString(&message, fd, Text());
            break;
          case FieldKind::kBool:
            r.SetBool(&message, fd, Below(2) == 0);
            break;
          case FieldKind::kInt:
            field.repeated ? r.AddInt64(&message, fd, Below(1000))
                           : r.SetInt64(&message, fd, Below(2) == 0 ? INT64_MIN : Below(1000));
            break;
          case FieldKind::kEnum:
            r.SetEnumValue(&message, fd, 1);
            break;
          case FieldKind::kSecret: {
            auto& secret = static_cast<v1::Secret&>(*r.MutableMessage(&message, fd));
            Below(2) == 0 ? secret.set_plain(Text()) : secret.set_sealed(Text());
            break;
          }
          case FieldKind::kMessage:
            Fill(field.repeated ? *r.AddMessage(&message, fd) : *r.MutableMessage(&message, fd));
            break;
          default:
            FAIL() << fd->full_name();
        }
      }
    }
  }

 private:
  std::string Text() {
    std::string out = kTexts[Below(std::size(kTexts))];
    if (Below(3) == 0) out += kTexts[Below(std::size(kTexts))];
    return out;
  }
  void Value(v1::ConfigValue& value) {
    switch (Below(4)) {
      case 0:
        return value.set_boolean(Below(2) == 0);
      case 1:
        return value.set_integer(Below(100) - 50);
      case 2:
        return value.set_text(Text());
      default:
        value.mutable_list();
        for (int i = Below(3); i > 0; --i) value.mutable_list()->add_values(Text());
    }
  }
  std::mt19937 engine_;
};

template <typename Message>
void ExpectRoundTrip(const Message& message, unsigned seed) {
  const std::string text = Emit(message);
  Message again;
  const auto result = Decode(text, "f", again);
  ASSERT_TRUE(result.ok()) << "seed " << seed << ": " << result.errors[0].ToString() << "\n"
                           << text;
  ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(message, again))
      << "seed " << seed << "\n"
      << text << "\n"
      << message.DebugString() << again.DebugString();
  ASSERT_EQ(Emit(again), text);
}

TEST(Emit, WhatIsWrittenReadsBackAsTheSame) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    v1::MachineConfig config;
    Random(seed).Fill(config);
    ExpectRoundTrip(config, seed);
    v1::TrustPolicy policy;
    Random(seed).Fill(policy);
    ExpectRoundTrip(policy, seed);
    v1::Action action;
    Random(seed).Fill(action);
    ExpectRoundTrip(action, seed);
    if (HasFatalFailure()) return;
  }
}

TEST(Flow, TextsReadBackInsideFlowCollections) {
  for (const char* text : kTexts) {
    v1::MachineConfig config;
    const std::string document = std::string("metadata: {allow: [") + ScalarText(text) +
                                 "], reason: " + ScalarText(text) + "}";
    const auto result = Decode(document, "f", config);
    ASSERT_TRUE(result.ok()) << document << "\n" << result.errors[0].ToString();
    EXPECT_EQ(config.metadata().allow(0), text);
    EXPECT_EQ(config.metadata().reason(), text);
  }
}

}  // namespace
}  // namespace basalt::yaml
