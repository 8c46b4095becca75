#include "images/builder/build.h"

#include <filesystem>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "images/builder/disk.h"
#include "images/builder/formats/cpio.h"
#include "images/builder/formats/elf.h"
#include "images/builder/formats/gpt.h"
#include "images/builder/formats/uki.h"
#include "images/builder/formats/verity.h"
#include "images/builder/host.h"
#include "images/builder/oci.h"
#include "images/builder/pack.h"
#include "images/builder/root.h"
#include "images/builder/statement.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/image_manifest.h"

namespace basalt::image {
namespace {

constexpr absl::string_view kLoaderConfig =
    "# No menu and no editor: which entry boots is decided by version and by the tries that are "
    "left.\n"
    "timeout 0\n"
    "editor no\n";

class Build {
 public:
  explicit Build(const BuildOptions& options)
      : o_(options), tools_(options.time), read_(RecipeDirectory(options.recipe)) {}

  absl::StatusOr<BuildResult> Run() {
    for (auto step : {&Build::ReadInputs, &Build::GetPackages, &Build::MakeRoot, &Build::MakeSlot,
                      &Build::MakeKernel, &Build::MakeStatements, &Build::MakeDisks}) {
      if (absl::Status s = (this->*step)(); !s.ok()) return s;
      if (step != &Build::MakeRoot || o_.disk) continue;
      if (absl::Status s = RemoveTree(work_); !s.ok()) return s;
      break;  // nothing of a disk is wanted
    }
    return result_;
  }

 private:
  std::string Name(absl::string_view end) const {
    return absl::StrCat("basalt-", o_.version, "-", o_.profile, end);
  }
  std::string Out(absl::string_view end) const { return absl::StrCat(o_.out, "/", Name(end)); }

  absl::Status ReadInputs() {
    absl::StatusOr<Recipe> recipe = ReadRecipe(o_.profile, read_);
    if (!recipe.ok()) return recipe.status();
    recipe_ = *std::move(recipe);
    absl::StatusOr<std::string> text = ReadWhole(LockPath(o_));
    if (!text.ok()) return text.status();
    absl::StatusOr<std::vector<LockedPackage>> locked = ParseLock(*text);
    if (!locked.ok()) return locked.status();
    locked_ = *std::move(locked);
    // The lock has the kernel itself where the recipe has what points to the newest one.
    std::set<std::string> want, have;
    for (const Named& p : recipe_.packages) want.insert(p.name);
    for (const LockedPackage& p : locked_) {
      bool kernel = absl::StartsWith(p.name, "linux-image-") && want.count(p.name) == 0;
      if (kernel) kernel_name_ = p.name;
      have.insert(kernel ? recipe_.kernel_package : p.name);
    }
    if (want != have || kernel_name_.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("stale-lock: ", LockPath(o_),
                       " and the recipe name different packages; run ./dev image --update-lock"));
    }
    work_ = absl::StrCat(o_.out, "/work");
    if (absl::Status s = RemoveTree(work_); !s.ok()) return s;
    return MakeDirectories(work_);
  }

  absl::Status GetPackages() {
    o_.say(absl::StrCat("packages: ", locked_.size(), " of Debian, by version and sha256"));
    PackageStore store(tools_, o_.cache, absl::StrCat(o_.recipe, "/debian.sources"),
                       recipe_.architecture);
    if (absl::Status s = MakeDirectories(o_.cache); !s.ok()) return s;
    if (absl::Status s = store.Fetch(locked_); !s.ok()) return s;
    files_ = std::make_unique<PackageFiles>(recipe_.Triplet());
    for (const LockedPackage& p : locked_) {
      absl::StatusOr<std::string> directory = store.Unpack(p);
      if (!directory.ok()) return directory.status();
      files_->Add(p.name, *directory);
    }
    if (absl::Status s = CopyLicences(); !s.ok()) return s;
    absl::StatusOr<KernelModules> modules = KernelModules::Open(files_->Directory(kernel_name_));
    if (!modules.ok()) return modules.status();
    modules_ = std::make_unique<KernelModules>(*std::move(modules));
    info_ = {
        .version = o_.version, .epoch = o_.epoch, .time = o_.time, .kernel = modules_->release()};
    return absl::OkStatus();
  }

  // Whoever hands an image on hands these on with it.
  absl::Status CopyLicences() {
    std::string directory = absl::StrCat(o_.out, "/licences");
    if (absl::Status s = RemoveTree(directory); !s.ok()) return s;
    if (absl::Status s = MakeDirectories(directory); !s.ok()) return s;
    for (const LockedPackage& p : locked_) {
      std::string place = absl::StrCat(files_->Directory(p.name), "/usr/share/doc/", p.name),
                  owner = p.name;
      // Packages of one source share it: then the directory is a link to another package's.
      std::error_code error;
      if (std::filesystem::is_symlink(place, error))
        owner = std::filesystem::read_symlink(place, error).filename();
      absl::StatusOr<std::string> text =
          ReadWhole(absl::StrCat(files_->Directory(owner), "/usr/share/doc/", owner, "/copyright"));
      if (!text.ok()) {
        return absl::NotFoundError(absl::StrCat("no-licence: of ", p.name,
                                                "; it may be in the package ", owner,
                                                ", which the recipe has to name then"));
      }
      if (absl::Status s = WriteWhole(absl::StrCat(directory, "/", p.name), *text); !s.ok())
        return s;
    }
    return absl::OkStatus();
  }

  // Of our own build, without what a node does not need.
  absl::StatusOr<std::string> Program(absl::string_view name) {
    std::string from = absl::StrCat(o_.programs, "/", name), to = absl::StrCat(work_, "/", name);
    std::string strip =
        recipe_.architecture == "amd64" ? "x86_64-linux-gnu-strip" : "aarch64-linux-gnu-strip";
    auto done = tools_.Run({strip, "--strip-all", "-o", to, from});
    if (!done.ok()) return done.status();
    absl::StatusOr<std::string> bytes = ReadWhole(to);
    if (bytes.ok()) RenewBuildId(*bytes);
    return bytes;
  }

  absl::Status MakeRoot() {
    RootSources sources{*files_, *modules_,
                        [this](absl::string_view name) { return Program(name); }, read_};
    absl::StatusOr<Tree> tree = AssembleRoot(recipe_, info_, sources);
    if (!tree.ok()) return tree.status();
    std::vector<std::string> faults = FindFaults(*tree, recipe_.ElfMachine());
    if (!faults.empty())
      return absl::FailedPreconditionError(
          absl::StrCat("faults:\n  ", absl::StrJoin(faults, "\n  ")));
    uint64_t bytes = 0;
    for (const auto& [path, node] : *tree) bytes += node.content.size();
    o_.say(absl::StrFormat("root: %d entries, %.1f MB; no shell, no interpreter, nothing setuid",
                           tree->size(), bytes / 1e6));
    if (absl::Status s = WriteWhole(Out(".contents.tsv"), FormatContents(*tree)); !s.ok()) return s;
    if (absl::Status s = o_.oci ? MakeContainer(*tree) : absl::OkStatus(); !s.ok()) return s;
    return WriteTree(*tree, work_ + "/root");
  }

  absl::Status MakeContainer(const Tree& root) {
    const Tree tree = ContainerTree(root);
    const OciOptions oci = {recipe_.architecture, info_, !o_.trust.empty()};
    absl::StatusOr<std::string> archive = MakeOciArchive(tree, oci);
    if (!archive.ok()) return archive.status();
    o_.say(absl::StrFormat("container: %s, %.1f MB, and the bundle beside it", Out(".oci.tar"),
                           archive->size() / 1e6));
    if (absl::Status s = WriteWhole(Out(".oci.tar"), *archive); !s.ok()) return s;
    return WriteBundle(tree, oci, o_.trust, Out(".bundle"));
  }

  absl::Status MakeSlot() {
    absl::StatusOr<VeritySlot> slot =
        PackSlot(tools_, work_ + "/root", "basalt root " + o_.profile, work_ + "/root.erofs");
    if (!slot.ok()) return slot.status();
    manifest_.root_hash = slot->root_hash;
    manifest_.data_blocks = slot->data_blocks;
    result_.slot_size = slot->bytes.size();
    manifest_.slot = {Name(".slot"), slot->bytes.size(), Sha256(slot->bytes)};
    o_.say(absl::StrFormat("slot: %.1f MB, root hash %s", slot->bytes.size() / 1e6,
                           slot->root_hash.Hex()));
    return WriteWhole(Out(".slot"), slot->bytes);
  }

  absl::StatusOr<std::string> Initramfs() {
    absl::StatusOr<std::string> init = Program("basalt-boot");
    if (!init.ok()) return init.status();
    absl::StatusOr<ElfFacts> elf = ReadElf(*init);
    if (!elf.ok()) return elf.status();
    if (elf->machine != recipe_.ElfMachine() || !elf->needed.empty() || !elf->interpreter.empty() ||
        elf->relocations_size > 0) {
      return absl::FailedPreconditionError(
          "faults: basalt-boot is not static, has relocations, or is for another machine");
    }
    std::vector<std::string> names;
    for (const Module& m : recipe_.modules) {
      if (m.early) names.push_back(m.name);
    }
    absl::StatusOr<std::vector<KernelModules::File>> modules = modules_->Closure(names);
    if (!modules.ok()) return modules.status();
    CpioWriter cpio;
    for (absl::string_view directory : {"dev", "modules", "proc", "root", "sys"})
      cpio.AddDirectory(directory);
    cpio.AddFile("init", 0755, *init);
    std::string list;
    for (const KernelModules::File& m : *modules) {
      absl::StatusOr<std::string> bytes = ReadWhole(m.file);
      if (!bytes.ok()) return bytes.status();
      cpio.AddFile(absl::StrCat("modules/", m.name, ".ko"), 0644, *bytes);
      absl::StrAppend(&list, "/modules/", m.name, ".ko\n");
    }
    cpio.AddFile("modules.list", 0644, list);
    std::string file = work_ + "/initramfs";
    if (absl::Status s = WriteWhole(file, cpio.Finish()); !s.ok()) return s;
    auto packed = tools_.Run(
        {"zstd", "-19", "-q", "-f", "--single-thread", "--no-progress", file, "-o", file + ".zst"});
    if (!packed.ok()) return packed.status();
    return ReadWhole(file + ".zst");
  }

  std::string BootProgram(absl::string_view name) const {
    return absl::StrCat("/usr/lib/systemd/boot/efi/", name);
  }

  absl::Status MakeKernel() {
    absl::StatusOr<std::string> initramfs = Initramfs();
    if (!initramfs.ok()) return initramfs.status();
    absl::StatusOr<std::string> kernel = ReadWhole(modules_->KernelFile());
    if (!kernel.ok()) return kernel.status();
    absl::StatusOr<std::string> stub_file =
        files_->Find(recipe_.stub_package,
                     BootProgram(absl::StrCat("linux", recipe_.EfiArchitecture(), ".efi.stub")));
    if (!stub_file.ok()) return stub_file.status();
    absl::StatusOr<std::string> stub = ReadWhole(*stub_file);
    if (!stub.ok()) return stub.status();
    UkiParts parts{.os_release = info_.OsRelease(recipe_),
                   .command_line = absl::StrCat(recipe_.CommandLine(),
                                                " noded.root=", manifest_.root_hash.Hex(), ":",
                                                manifest_.data_blocks),
                   .kernel_version = modules_->release(),
                   .kernel = *std::move(kernel),
                   .initramfs = *std::move(initramfs)};
    absl::StatusOr<std::string> uki = MakeUki(*stub, parts);
    if (!uki.ok()) return uki.status();
    uki_ = *std::move(uki);
    result_.kernel_size = uki_.size();
    manifest_.kernel = {Name(".efi"), uki_.size(), Sha256(uki_)};
    uint64_t sum = result_.slot_size + result_.kernel_size;
    o_.say(absl::StrFormat(
        "kernel image: %.1f MB (initramfs %.2f MB); with the slot %.1f of %.1f MB",
        uki_.size() / 1e6, parts.initramfs.size() / 1e6, sum / 1e6, recipe_.budget / 1e6));
    if (sum > recipe_.budget) {
      return absl::ResourceExhaustedError(absl::StrCat("over-budget: slot and kernel take ", sum,
                                                       " bytes, the profile allows ",
                                                       recipe_.budget));
    }
    return WriteWhole(Out(".efi"), uki_);
  }

  absl::Status MakeStatements() {
    std::string sbom =
        MakeSbom({absl::StrCat("basalt-", o_.profile), "OPERATING-SYSTEM"}, info_, locked_);
    manifest_.sbom = {Name(".spdx.json"), sbom.size(), Sha256(sbom)};
    if (absl::Status s = WriteWhole(Out(".spdx.json"), sbom); !s.ok()) return s;
    std::string manifest = FormatManifest(recipe_, info_, manifest_);
    // What a node could not read, it could not boot: a version with a plus, for one.
    if (auto read = sign::ParseImageManifest(manifest); !read.ok()) return read.status();
    result_.manifest = Out(".image.yaml");
    if (absl::Status s = WriteWhole(result_.manifest, manifest); !s.ok()) return s;
    if (o_.key == nullptr)
      return RemoveTree(Out(".image.json"));  // of an earlier build: not its signature
    return WriteWhole(Out(".image.json"),
                      sign::ToDsseJson(sign::Sign(v1::DOCUMENT_TYPE_IMAGE, manifest, {o_.key})));
  }

  absl::Status MakeDisks() {
    absl::StatusOr<std::string> loader_file =
        files_->Find(recipe_.stub_package,
                     BootProgram(absl::StrCat("systemd-boot", recipe_.EfiArchitecture(), ".efi")));
    if (!loader_file.ok()) return loader_file.status();
    absl::StatusOr<std::string> loader = ReadWhole(*loader_file);
    if (!loader.ok()) return loader.status();
    bool amd64 = recipe_.architecture == "amd64";
    std::vector<EspFile> esp = {
        {absl::StrCat("EFI/BOOT/BOOT", amd64 ? "X64" : "AA64", ".EFI"), *std::move(loader)},
        {absl::StrCat("EFI/Linux/noded_", o_.version,
                      o_.tries > 0 ? absl::StrCat("+", o_.tries) : "", ".efi"),
         uki_},
        {"loader/loader.conf", std::string(kLoaderConfig)}};
    if (!o_.trust.empty()) esp.push_back({"basalt/trust.json", o_.trust});
    if (o_.data_limit_mib > 0) {
      esp.push_back({"basalt/data-limit", absl::StrCat(o_.data_limit_mib << 20, "\n")});
    }
    uint64_t mebibytes = 0;
    for (const PartitionSize& p : recipe_.partitions)
      mebibytes += p.name == "ESP" ? p.mebibytes : 0;
    if (absl::Status s = MakeEsp(tools_, work_ + "/esp", mebibytes, work_, esp); !s.ok()) return s;
    result_.disk = Out(".raw");
    result_.qcow2 = Out(".qcow2");
    if (absl::Status s = MakeDisk(result_.disk, recipe_, absl::StrCat("basalt ", o_.profile),
                                  {{"ESP", work_ + "/esp"}, {"SLOT-A", Out(".slot")}});
        !s.ok())
      return s;
    auto converted = tools_.Run({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-S", "64k",
                                 result_.disk, result_.qcow2});
    if (!converted.ok()) return converted.status();
    o_.say(absl::StrCat("disk: ", result_.disk, " and .qcow2"));
    return RemoveTree(work_);
  }

  const BuildOptions& o_;
  Tools tools_;
  ReadRecipeFile read_;
  Recipe recipe_;
  std::vector<LockedPackage> locked_;
  std::string kernel_name_, work_, uki_;
  std::unique_ptr<PackageFiles> files_;
  std::unique_ptr<KernelModules> modules_;
  ImageInfo info_;
  Manifest manifest_;
  BuildResult result_;
};

}  // namespace

absl::StatusOr<BuildResult> BuildImage(const BuildOptions& options) { return Build(options).Run(); }

}  // namespace basalt::image
