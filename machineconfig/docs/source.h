// Where what is said of a field comes from: compiled in, or the schema that a node serves. A node
// of a newer release has fields that this program does not know; with the node's schema they can be
// explained, checked and edited all the same. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "basalt/v1/schema.pb.h"
#include "google/protobuf/descriptor.h"
#include "machineconfig/schema/k3s_keys.h"

namespace basalt::docs {

struct Source {
  std::string release;                                       // empty: this program's own
  std::vector<const google::protobuf::Descriptor*> kinds;    // MachineConfig first
  std::map<std::string, std::string, std::less<>> comments;  // of a served schema
  std::vector<schema::K3sKey> k3s_keys;                      // sorted by name

  bool built_in() const { return release.empty(); }
  // By its name, in any case; null when there is none.
  const google::protobuf::Descriptor* FindKind(absl::string_view name) const;
  const google::protobuf::Descriptor& machine_config() const { return *kinds.front(); }
  const schema::K3sKey* FindKey(absl::string_view name) const;
  // Empty when the sources say nothing.
  absl::string_view CommentOf(absl::string_view full_name) const;
};

const Source& BuiltIn();

// The source that a descriptor is of, and what it says of it.
const Source& SourceOf(const google::protobuf::FileDescriptor& file);
inline absl::string_view CommentOf(const google::protobuf::Descriptor& message) {
  return SourceOf(*message.file()).CommentOf(message.full_name());
}
inline absl::string_view CommentOf(const google::protobuf::FieldDescriptor& field) {
  return SourceOf(*field.file()).CommentOf(field.full_name());
}
inline absl::string_view CommentOf(const google::protobuf::EnumValueDescriptor& value) {
  return SourceOf(*value.type()->file()).CommentOf(value.full_name());
}

// What a node serves: this program's own. Made anew each time: it is large and asked for rarely.
v1::ServedSchema Serve(absl::string_view release);

// A schema that was read and is known to be well, with all that it points into.
struct OwnedSource {
  std::unique_ptr<const v1::ServedSchema> texts;
  std::unique_ptr<const google::protobuf::DescriptorPool> pool;
  std::unique_ptr<const Source> source;
};
// What `Read` does with the bytes, without keeping anything: descriptors of it may be looked at,
// and described (field_doc.h) only once `Read` has kept them.
absl::StatusOr<OwnedSource> Parse(const v1::ServedSchema& served);

// The schema that a node served, kept for as long as the process lives (descriptors are addressed
// for ever). A node is believed, but not trusted to be well: InvalidArgument/"bad-schema" when it
// has no MachineConfig, is larger than what can be shown, contains itself, or has fields that no
// document can hold.
absl::StatusOr<const Source*> Read(const v1::ServedSchema& served);

}  // namespace basalt::docs
