// Signed manifests of images and of their extensions, as a person names them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"
#include "client/commands/session.h"
#include "machineconfig/sign/document.h"

namespace basalt::client {

bool IsUrl(absl::string_view text);

// The text of a file of this machine, by its path or file://, or of a URL: noded-fetch gets it.
// Unavailable "image-unreachable".
absl::StatusOr<std::string> ReadManifest(const std::string& source);

// The document, whole and signed by whom the trust policy of the context lets sign images for
// `config`. `name` is what messages call it. InvalidArgument "not-an-image"; those of sign.
absl::StatusOr<sign::VerifiedDocument> VerifyImageDocument(Session& session,
                                                           const std::string& text,
                                                           const std::string& name,
                                                           const v1::MachineConfig& config);

}  // namespace basalt::client
