#include <set>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/controllers/container/container_controller.h"

namespace basalt::container {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

constexpr char kSystem[] = "system", kNetwork[] = "network", kStorage[] = "storage";

void Add(engine::ControllerPlan* plan, std::string what) {
  plan->steps.push_back({.controller = "container",
                         .description = std::move(what),
                         .effect = v1::EFFECT_LIVE,
                         .unimplemented = {}});
}

bool Says(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  return field->is_repeated() ? reflection->FieldSize(message, field) > 0
                              : reflection->HasField(message, field);
}

const char* WhoseIs(const std::string& section, const std::string& field) {
  if (section == kStorage) return "the disks are of the machine that the container runs on";
  if (section == kNetwork) return "links and packets are of whoever runs the container";
  if (field == "image") return "another image is another container: whoever runs it starts that";
  if (field == "time") return "the clock is of the machine that the container runs on";
  if (field == "maintenance") return "a container restarts when whoever runs it says so";
  if (field == "logs") return "this release of noded neither keeps logs nor sends them";
  return "kernel and devices are of the machine that the container runs on";
}

// A new field is refused until somebody says here that it is the container's.
void Section(const std::string& name, const Message& from, const Message& to,
             const std::set<std::string>& own, engine::ControllerPlan* plan) {
  const auto* descriptor = to.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    MessageDifferencer differ;
    // An empty section may mean something too.
    if (Says(from, field) == Says(to, field) &&
        differ.CompareWithFields(from, to, {field}, {field})) {
      continue;
    }
    const std::string path = absl::StrCat(name, ".", field->json_name());
    if (own.count(field->json_name()) > 0) {
      Add(plan, absl::StrCat("take what ", path, " says"));
    } else if (Says(to, field)) {
      plan->steps.push_back({.controller = path,
                             .description = "apply what it says",
                             .effect = v1::EFFECT_LIVE,
                             .unimplemented = WhoseIs(name, field->json_name())});
    }
  }
}

}  // namespace

engine::ControllerPlan PlanContainer(const v1::MachineConfig* from, const v1::MachineConfig& to) {
  engine::ControllerPlan plan;
  const v1::MachineConfig none;
  const v1::MachineConfig& last = from == nullptr ? none : *from;
  if (last.metadata().name() != to.metadata().name()) {
    Add(&plan, absl::StrCat("call the container ", to.metadata().name()));
  }
  Section(kSystem, last.system(), to.system(), {"caCertificates", "proxy"}, &plan);
  Section(kNetwork, last.network(), to.network(), {"hosts", "dns"}, &plan);
  Section(kStorage, last.storage(), to.storage(), {}, &plan);
  return plan;
}

}  // namespace basalt::container
