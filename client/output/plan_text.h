// A plan as people read it: what changes, what will be done, what it costs. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "basalt/v1/node_service.pb.h"
#include "client/output/io.h"
#include "machineconfig/diff/diff.h"

namespace basalt::client {

// "+ path: new", "- path: old", "~ path: old -> new"; then the steps, warnings and the effect.
std::string PlanText(const Io& io, const v1::PlanReply& plan);
// Only the changes, as `diff` prints them. Of a long value that changes the part that differs is
// shown, however long the value is. What is new or goes is cut, unless a signer must see it whole.
enum class PlanDetail { kShort, kWhole };
std::string DiffText(const Io& io, const v1::PlanReply& plan,
                     PlanDetail detail = PlanDetail::kShort);

// A plan computed here, against a node without a config.
v1::PlanReply ToPlan(const std::vector<diff::Change>& changes);

// What an apply asks about first: reboot or worse.
bool IsDrastic(const v1::PlanReply& plan);

}  // namespace basalt::client
