// A patch in the shape of the document: what it holds is merged in, what it leaves out stays, as
// Kubernetes merges strategically. Pure, thread-safe.
//
// | in the document | a patch |
// | --- | --- |
// | section, map of names | merges, field by field; `null` takes a field or entry away |
// | list of named things (LIST_MAP) | merges by name; a new name is added at the end; `$patch:
// delete` in an element takes that one away, `$patch: replace` writes it anew | | list of different
// values (LIST_SET) | adds what is missing; `$deleteFromPrimitiveList/NAME: [..]` beside it takes
// values away | | any other list, a value | replaces |
//
// `$patch: replace` in a section or as an element of a list: what else the section or list holds is
// the new value. `$patch: delete` in a section: it is taken away.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace basalt::merge {

// `patch` is YAML or JSON; `file` names it in errors. On an error (InvalidArgument with every
// violation) the message stays as it was. The message may be of any descriptor pool.
absl::Status Patch(absl::string_view patch, absl::string_view file,
                   google::protobuf::Message& message);

}  // namespace basalt::merge
