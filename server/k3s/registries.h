// registries.yaml: mirrors and credentials of image registries. Pure.
#pragma once

#include <string>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "server/k3s/render.h"

namespace basalt::k3s {

// The file and the certificates that it names; empty when nothing is configured. `root` makes the
// paths in it absolute.
std::vector<RenderedFile> RenderRegistries(const v1::K3sRegistries& registries,
                                           const std::string& root);

}  // namespace basalt::k3s
