// What a cloud or a medium gives as "user-data", down to the signed document in it. Clouds and
// their tools compress it and put it in base64, once or twice, so both are taken off, at most
// kMostLayers of them and never to more than kMostBytes. Nothing else is understood: no
// cloud-config, no script, no MIME. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"

namespace basalt::first {

inline constexpr int kMostLayers = 4;

// InvalidArgument "not-a-signed-config" says what it is instead, as far as that is known;
// ResourceExhausted "user-data-too-large"; the reasons of sign::FromDsseJson. The signatures are
// not looked at.
absl::StatusOr<v1::SignedDocument> ReadUserData(absl::string_view bytes);

// CustomData of the ovf-env.xml on Azure's provisioning disc, as it stands there (base64);
// NotFound.
absl::StatusOr<std::string> CustomDataOf(absl::string_view ovf_env);

}  // namespace basalt::first
