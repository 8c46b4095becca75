// What the journal's records add up to. Pure.
#pragma once

#include <string>

#include "server/engine/state.pb.h"

namespace basalt::engine {

inline constexpr int kGenerationsKept = 32;

// One record applied. Records that say what is known already change nothing, so a prefix that was
// written twice is harmless.
void Fold(stored::Ledger& ledger, const stored::Record& record);

// Null when the history has no such line.
const stored::Entry* FindEntry(const stored::Ledger& ledger, const std::string& digest);

// Raises, never lowers. Lexicographic over (epoch, generation).
void RaiseFloor(stored::Floor& floor, int64_t epoch, int64_t generation, const std::string& digest);

}  // namespace basalt::engine
