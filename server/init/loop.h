// The event loop of noded-init: waits, reads signals, calls into Program. One thread.
#pragma once

#include "server/init/core/program.h"
#include "server/init/real_os.h"

namespace basalt::init {

// So that no signal has an action but the one that Program gives it.
void BlockSignals();

// Blocks every signal, so that none has an action but the one that Program gives it, opens what the
// loop needs and runs `program` to its end. Its exit code, or 1 with a line on stderr.
int RunLoop(RealOs& os, Program& program);

}  // namespace basalt::init
