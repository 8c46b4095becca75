// Reads: from the snapshot on the caller's thread; logs on the loop, where the supervisor is asked.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/docs/source.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"
#include "server/engine/config_secrets.h"
#include "server/engine/node_impl.h"

namespace basalt::engine {
namespace {

constexpr size_t kRing = 256 << 10;

// Same length, so that offsets stay true and no secret is cut in two by the edge of a chunk.
void Mask(std::string& text, const v1::MachineConfig* config) {
  if (config == nullptr) return;
  for (const std::string& secret : schema::SecretValues(*config)) {
    for (size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + secret.size())) {
      text.replace(at, secret.size(), std::string(secret.size(), '*'));
    }
  }
}

}  // namespace

v1::HelloReply NodeImpl::Hello(const Caller& caller) {
  v1::HelloReply reply = box_.Get()->hello;
  if (!caller.authenticated) reply.clear_name();
  reply.mutable_now()->set_seconds(absl::ToUnixSeconds(deps_.clock.Now()));
  reply.set_time_synced(deps_.clock.Synced());
  return reply;
}

absl::StatusOr<v1::GetReply> NodeImpl::Get(const v1::GetRequest& request) {
  std::shared_ptr<const Snapshot> snapshot = box_.Get();
  for (const v1::Resource& resource : snapshot->resources) {
    if (resource.kind() != request.kind() || resource.name() != request.name()) continue;
    v1::GetReply reply;
    *reply.mutable_resource() = resource;
    return reply;
  }
  return api::Coded(absl::StatusCode::kNotFound, "no-such-resource",
                    absl::StrCat("no ", request.kind(), " named `", request.name(), "`"),
                    "nodectl get without a name lists them");
}

absl::StatusOr<v1::ListReply> NodeImpl::List(const v1::ListRequest& request) {
  std::shared_ptr<const Snapshot> snapshot = box_.Get();
  v1::ListReply reply;
  for (const v1::Resource& resource : snapshot->resources) {
    if (request.kind().empty() || request.kind() == resource.kind()) {
      *reply.add_resources() = resource;
    }
  }
  return reply;
}

absl::StatusOr<v1::HistoryReply> NodeImpl::History(const v1::HistoryRequest& request) {
  v1::HistoryReply reply = box_.Get()->history;
  int limit = request.limit();
  if (limit > 0 && limit < reply.generations_size()) {
    reply.mutable_generations()->DeleteSubrange(limit, reply.generations_size() - limit);
  }
  return reply;
}

v1::GetSchemaReply NodeImpl::GetSchema() {
  v1::GetSchemaReply reply;
  *reply.mutable_schema() = docs::Serve(deps_.version);
  return reply;
}

// Old generations are decoded when somebody asks: keeping 32 in memory would cost each node what
// hardly anyone reads. The store is only read here.
absl::StatusOr<v1::GetConfigReply> NodeImpl::GetConfig(const v1::GetConfigRequest& request) {
  std::shared_ptr<const Snapshot> snapshot = box_.Get();
  int64_t generation =
      request.generation() == 0 ? snapshot->committed_generation : request.generation();
  auto it = snapshot->digests.find(generation);
  std::string digest = generation == snapshot->committed_generation ? snapshot->committed_digest
                       : it == snapshot->digests.end()              ? ""
                                                                    : it->second;
  if (digest.empty()) {
    return api::Coded(absl::StatusCode::kNotFound, "no-such-generation",
                      request.generation() == 0
                          ? "no config is in force"
                          : absl::StrCat("generation ", generation, " is not kept"),
                      "nodectl history lists those that are");
  }
  GenerationStore store(deps_.vfs, absl::StrCat(deps_.platform.paths().state, "/generations"));
  absl::StatusOr<stored::StoredGeneration> stored = store.Load(digest);
  if (!stored.ok()) return stored.status();
  absl::StatusOr<v1::MachineConfig> config = validate::LoadAccepted(stored->document().payload());
  if (!config.ok()) return config.status();
  v1::GetConfigReply reply;
  reply.set_yaml(yaml::Emit(schema::Redact(*std::move(config)), {.redact = true}));
  reply.set_digest(absl::StrCat("sha256:", digest));
  reply.set_generation(generation);
  return reply;
}

void NodeImpl::Logs(const LogQuery& query, Reply<LogChunk> reply) {
  if (!query.stored || deps_.logs == nullptr) {
    deps_.executor.Post([this, query, reply] { reply(ReadLog(query)); });
    return;
  }
  // A disk may be slow.
  auto chunk = std::make_shared<absl::StatusOr<LogChunk>>(absl::UnknownError("not read"));
  const bool queued =
      deps_.executor.RunBlocking([this, query, chunk] { *chunk = deps_.logs->Stored(query); },
                                 [this, chunk, reply] {
                                   if (absl::Status maskable = CheckMaskable(); !maskable.ok())
                                     return reply(maskable);
                                   if (chunk->ok()) MaskAll((*chunk)->data);
                                   reply(std::move(*chunk));
                                 });
  if (!queued) {
    reply(api::Coded(absl::StatusCode::kResourceExhausted, "busy",
                     "the node reads as much as it may", "try again in a moment"));
  }
}

absl::Status NodeImpl::CheckMaskable() const {
  absl::Status opened = CheckOpened(machine_->config_in_force());
  if (opened.ok()) return opened;
  return api::Coded(opened.code(), "logs-not-maskable",
                    absl::StrCat("no log is given out: ", opened.message()), api::Hint(opened));
}

// The output outlives the config under which it was written: a revert, a new password.
void NodeImpl::MaskAll(std::string& text) const {
  for (const ConfigPtr& earlier : controllers_.executed()) Mask(text, earlier.get());
  Mask(text, state_->committed_config());
  Mask(text, machine_->config_in_force());
  Mask(text, machine_->pending() == nullptr ? nullptr : machine_->pending()->target->config.get());
}

absl::Status NodeImpl::MaskLog(std::string& text) const {
  if (absl::Status maskable = CheckMaskable(); !maskable.ok()) return maskable;
  MaskAll(text);
  return absl::OkStatus();
}

absl::StatusOr<NodeApi::LogChunk> NodeImpl::ReadLog(const LogQuery& query) {
  if (absl::Status maskable = CheckMaskable(); !maskable.ok()) return maskable;
  if (query.stored) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-stored-logs",
                      "this node keeps no logs on disk", "system.logs.retention asks for it");
  }
  if (deps_.logs != nullptr && query.service == LogSources::kKernel) {
    absl::StatusOr<LogChunk> chunk = deps_.logs->Kernel(query);
    if (chunk.ok()) MaskAll(chunk->data);
    return chunk;
  }
  if (query.since == absl::InfiniteDuration() || query.from_offset > 0) return ReadRing(query);
  std::optional<uint64_t> start;
  if (deps_.logs != nullptr) start = deps_.logs->OffsetAt(query.service, query.since);
  if (!start) {
    // There may be no such service.
    if (absl::StatusOr<LogChunk> ring = ReadRing(query); !ring.ok()) return ring.status();
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "log-times-unknown",
        absl::StrCat("this node does not know when ", query.service, " said what it said then"),
        "ask for less time, or for the last lines: --tail");
  }
  LogQuery from = query;
  from.from_offset = *start;
  return ReadRing(from);
}

absl::StatusOr<NodeApi::LogChunk> NodeImpl::ReadRing(const LogQuery& query) {
  uint64_t end = 0;
  absl::StatusOr<std::string> ring = deps_.supervisor.Output(query.service, kRing, &end);
  if (!ring.ok()) return ring.status();
  uint64_t start = end - std::min<uint64_t>(end, ring->size());
  MaskAll(*ring);
  absl::string_view text = *ring;
  // The edges may have cut a secret in two: only whole lines, unless one is longer than any secret
  // could be told from.
  size_t last = text.rfind('\n');
  if (last != absl::string_view::npos) {
    text = text.substr(0, last + 1);
  } else if (text.size() < kRing / 2) {
    text = "";
  }
  if (start > 0) {
    size_t first = text.find('\n');
    size_t cut = first == absl::string_view::npos ? 0 : first + 1;
    text.remove_prefix(cut);
    start += cut;
  }
  LogChunk chunk;
  uint64_t begin = std::clamp<uint64_t>(query.from_offset, start, start + text.size());
  text.remove_prefix(begin - start);
  text = text.substr(0, query.max_bytes);
  chunk.data = std::string(text);
  chunk.next_offset = begin + text.size();
  return chunk;
}

}  // namespace basalt::engine
