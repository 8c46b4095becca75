// Secret and ConfigValue: the two messages that a document shows as values and not as sections.
// They are read and written here as the compiled-in types whichever pool their descriptors come
// from: a node serves its own schema, and a message of it is no v1::Secret in memory. Pure,
// thread-safe.
#pragma once

#include "basalt/v1/machine_config.pb.h"
#include "google/protobuf/message.h"

namespace basalt::schema {

// The message itself when it is of the compiled-in type, else `scratch` with what it holds.
template <typename T>
const T& Read(const google::protobuf::Message& message, T& scratch) {
  if (message.GetDescriptor() == T::descriptor()) return static_cast<const T&>(message);
  scratch.ParseFromString(message.SerializeAsString());
  return scratch;
}

// `message` becomes `value`.
template <typename T>
void Write(const T& value, google::protobuf::Message& message) {
  if (message.GetDescriptor() == T::descriptor()) {
    static_cast<T&>(message) = value;
  } else {
    message.ParseFromString(value.SerializeAsString());
  }
}

}  // namespace basalt::schema
