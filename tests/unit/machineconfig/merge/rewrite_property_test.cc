// Every file of the golden corpus, changed at random again and again: the rewritten text means what
// was asked for, and what was not asked for is there byte for byte.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/merge/rewrite.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"
#include "machineconfig/yaml/flow.h"
#include "machineconfig/yaml/layout.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::merge {
namespace {

namespace fs = std::filesystem;
using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;

struct Sample {
  std::string name;
  std::string text;
  v1::MachineConfig config;
};

const std::vector<Sample>& Samples() {
  static const auto* const samples = [] {
    auto* out = new std::vector<Sample>;
    for (const auto& entry : fs::directory_iterator(fs::path(BASALT_GOLDEN_DIR) / "configs")) {
      if (entry.path().extension() != ".yaml") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      Sample sample{.name = entry.path().filename(),
                    .text = {std::istreambuf_iterator<char>(in), {}}};
      if (!yaml::Decode(sample.text, "", sample.config).ok()) continue;
      // The same in brackets, on one line.
      Sample flow{.name = sample.name + " (flow)",
                  .text = yaml::FlowText(sample.config, {.redact = false}),
                  .config = sample.config};
      Sample cut{.name = sample.name + " (no last line end)",
                 .text = sample.text.substr(0, sample.text.size() - 1)};
      if (yaml::Decode(cut.text, "", cut.config).ok()) out->push_back(std::move(cut));
      out->push_back(std::move(sample));
      if (flow.text != "{}") out->push_back(std::move(flow));
    }
    std::sort(out->begin(), out->end(),
              [](const Sample& a, const Sample& b) { return a.name < b.name; });
    return out;
  }();
  return *samples;
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  size_t Below(size_t n) { return n == 0 ? 0 : random_() % n; }

  // One change, of the kind that `donor` (of the same type) allows.
  void Change(Message& message, const Message& donor) {
    const auto& fields = schema::Describe(message.GetDescriptor()).fields;
    const FieldInfo& field = fields[Below(fields.size())];
    const Reflection& r = *message.GetReflection();
    if (field.repeated || field.kind == FieldKind::kMap) return ChangeList(field, message, donor);
    if (field.kind == FieldKind::kMessage && r.HasField(message, field.field) && Below(4) != 0) {
      return Change(*r.MutableMessage(&message, field.field), r.GetMessage(donor, field.field));
    }
    r.ClearField(&message, field.field);
    CopyField(field, donor, message);
  }

 private:
  static void CopyField(const FieldInfo& field, const Message& from, Message& to) {
    const std::unique_ptr<Message> one(from.New());
    one->CopyFrom(from);
    std::vector<const google::protobuf::FieldDescriptor*> all;
    one->GetReflection()->ListFields(*one, &all);
    for (const auto* other : all) {
      if (other != field.field) one->GetReflection()->ClearField(one.get(), other);
    }
    to.MergeFrom(*one);
  }

  void ChangeList(const FieldInfo& field, Message& message, const Message& donor) {
    const Reflection& r = *message.GetReflection();
    const int size = r.FieldSize(message, field.field);
    switch (Below(4)) {
      case 0:
        if (size == 0) return;
        r.SwapElements(&message, field.field, static_cast<int>(Below(size)), size - 1);
        return r.RemoveLast(&message, field.field);
      case 1:
        if (field.kind != FieldKind::kMessage || size == 0 ||
            r.FieldSize(donor, field.field) == 0) {
          return;
        }
        return Change(
            *r.MutableRepeatedMessage(&message, field.field, static_cast<int>(Below(size))),
            r.GetRepeatedMessage(donor, field.field, 0));
      case 2: {
        r.ClearField(&message, field.field);
        return CopyField(field, donor, message);
      }
      default:
        // A map's entries through the wire: reflection alone would leave one key twice.
        CopyField(field, donor, message);
        if (field.kind == FieldKind::kMap) message.ParseFromString(message.SerializeAsString());
    }
  }

  std::mt19937 random_;
};

// Every field of the text whose value is the same in both is there with the same bytes.
void ExpectUntouched(const Sample& sample, const Message& after, const std::string& out) {
  std::vector<api::Violation> none;
  const yaml::Tree tree = yaml::ParseTree(sample.text, "", none);
  const auto layout = yaml::Layout(sample.text, tree);
  ASSERT_TRUE(layout.has_value());
  const schema::MessageInfo& info = schema::Describe(after.GetDescriptor());
  for (int i = tree.root().first_child; i >= 0;) {
    const int value = tree.at(i).next;
    const FieldInfo* field = info.Find(tree.at(i).text);
    ASSERT_NE(field, nullptr);
    const auto text_of = [&](const Message& m) {
      return yaml::IsPresent(m, *field) ? yaml::EmitField(m, *field) : "";
    };
    // A block text at the end of a file without a last line end may get `|-` when more follows.
    const bool open_end = tree.at(value).next < 0 && sample.text.back() != '\n';
    if (text_of(sample.config) == text_of(after) && yaml::IsPresent(after, *field) && !open_end) {
      const size_t begin = (*layout)[static_cast<size_t>(i)].begin;
      const size_t end = (*layout)[static_cast<size_t>(value)].end;
      EXPECT_NE(out.find(sample.text.substr(begin, end - begin)), std::string::npos)
          << sample.text.substr(begin, end - begin);
    }
    i = tree.at(value).next;
  }
}

TEST(RewriteProperty, TheTextMeansWhatWasAskedAndTheRestIsUntouched) {
  ASSERT_GT(Samples().size(), 20u);
  int changed = 0;
  for (size_t s = 0; s < Samples().size(); ++s) {
    const Sample& sample = Samples()[s];
    for (unsigned round = 0; round < 30; ++round) {
      Mutator mutator(static_cast<unsigned>(s) * 1000 + round);
      v1::MachineConfig after = sample.config;
      for (size_t i = 0; i <= mutator.Below(4); ++i) {
        mutator.Change(after, Samples()[mutator.Below(Samples().size())].config);
      }
      // Two elements of one name, say: no document says that, so none is asked for.
      v1::MachineConfig possible;
      if (!yaml::Decode(yaml::Emit(after), "", possible).ok()) continue;
      const absl::StatusOr<std::string> out = Rewrite(sample.text, sample.name, after);
      ASSERT_TRUE(out.ok()) << sample.name << " round " << round << ": " << out.status() << "\n"
                            << yaml::Emit(after);
      v1::MachineConfig again;
      ASSERT_TRUE(yaml::Decode(*out, "", again).ok()) << *out;
      ASSERT_EQ(yaml::Emit(again), yaml::Emit(after)) << sample.name << " round " << round;
      ExpectUntouched(sample, after, *out);
      changed += *out != sample.text;
    }
  }
  EXPECT_GT(changed, 500);
}

TEST(RewriteProperty, AnEqualMessageLeavesEveryByte) {
  for (const Sample& sample : Samples()) {
    EXPECT_EQ(*Rewrite(sample.text, sample.name, sample.config), sample.text) << sample.name;
  }
}

TEST(RewriteProperty, TheWayThereAndBackMeansTheSame) {
  for (size_t s = 0; s + 1 < Samples().size(); ++s) {
    const Sample& one = Samples()[s];
    const Sample& other = Samples()[s + 1];
    const absl::StatusOr<std::string> there = Rewrite(one.text, one.name, other.config);
    ASSERT_TRUE(there.ok()) << one.name << " to " << other.name << ": " << there.status();
    const absl::StatusOr<std::string> back = Rewrite(*there, one.name, one.config);
    ASSERT_TRUE(back.ok()) << one.name << " and back: " << back.status() << "\n" << *there;
  }
}

}  // namespace
}  // namespace basalt::merge
