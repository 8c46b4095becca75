// What is seen of images and slots.
#include "absl/strings/str_cat.h"
#include "server/update/controller_impl.h"

namespace basalt::update {

std::vector<v1::Resource> ControllerImpl::Resources() const {
  std::vector<v1::Resource> out;
  if (deps_.disk == nullptr) return out;
  const host::BootSlot running = deps_.disk->running_slot();
  v1::Resource& resource = out.emplace_back();
  resource.set_kind("Image");
  resource.set_name("image");
  v1::Image& image = *resource.mutable_image();
  image.set_version(deps_.running.version);
  image.set_slot(std::string(host::ToString(running)));
  image.set_epoch(deps_.running.epoch);
  image.set_epoch_floor(EpochFloor());
  image.set_architecture(deps_.architecture);
  image.set_profile(deps_.running.profile);
  if (deps_.running.build_time != absl::Time()) {
    image.mutable_build_time()->set_seconds(absl::ToUnixSeconds(deps_.running.build_time));
  }
  image.set_root_hash(running_root());
  const auto with_algorithm = [](const std::string& digest) {
    return digest.empty() ? "" : absl::StrCat("sha256:", digest);
  };
  image.set_digest(with_algorithm(DigestOfRoot(running_root())));
  image.set_secure_boot(secure_boot_);
  image.set_pcr11_measured(measured_pcr_);
  image.set_pcr11_expected(PredictedPcr(running_root()));
  if (!measured_pcr_.empty()) {
    image.set_pcr11(!measured()                               ? "not-measured"
                    : image.pcr11_expected().empty()          ? "not-predicted"
                    : image.pcr11_expected() == measured_pcr_ ? "as-predicted"
                                                              : "differs");
  }
  image.set_state("unnamed");
  if (wanted_) {
    image.set_wanted_digest(with_algorithm(wanted_->digest));
    for (const engine::Condition& condition : Observe()) {
      if (condition.type != "ImageRunning") continue;
      image.set_state(condition.holds                    ? "as-wanted"
                      : condition.reason == "FellBack"   ? "fell-back"
                      : condition.reason == "RolledBack" ? "rolled-back"
                                                         : "differs");
      image.set_message(condition.message);
    }
  }
  for (host::BootSlot slot : {host::BootSlot::kA, host::BootSlot::kB}) {
    v1::Resource& one = out.emplace_back();
    one.set_kind("Slot");
    one.set_name(std::string(host::ToString(slot)));
    v1::Slot& body = *one.mutable_slot();
    body.set_running(slot == running);
    const BootEntry* entry = view_ ? view_->OfSlot(slot) : nullptr;
    if (entry == nullptr) {
      body.set_state("empty");
      if (slot == running) body.set_version(deps_.running.version);
      continue;
    }
    const std::string root = entry->kernel->root.ToString();
    body.set_version(entry->kernel->version);
    body.set_state(entry->name.good() ? "good" : entry->name.given_up() ? "failed" : "trial");
    body.set_tries_left(entry->name.left);
    body.set_tries_done(entry->name.done);
    body.set_root_hash(root);
    body.set_entry(entry->file);
    body.set_digest(with_algorithm(DigestOfRoot(root)));
    body.set_pcr11(PredictedPcr(root));
  }
  return out;
}

}  // namespace basalt::update
