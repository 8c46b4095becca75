// gRPC's own threads end before the program does. By default the last channel leaves them to a
// thread of its own, and one that ends after libcrypto has cleaned up leaks what libcrypto keeps
// for it: harmless, but a leak checker is right to say so, now and then.
#pragma once

namespace basalt::api {

// From here on gRPC stays initialized. Thread-safe; further calls do nothing.
void HoldGrpc();

// Ends what HoldGrpc began and waits for gRPC's threads, a second at most; does nothing when it was
// not called. At the end of main, when every channel and server is gone.
void EndGrpc();

}  // namespace basalt::api
