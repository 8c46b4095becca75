// engine/one_shot.h by the names that this directory has for it.
#pragma once

#include "server/engine/one_shot.h"

namespace basalt::k3s {

using engine::OneShot;
using engine::OneShotCommand;
using engine::OneShotResult;

}  // namespace basalt::k3s
