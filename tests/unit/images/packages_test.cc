// Unpacked packages as one file system, and which kernel modules a list means.
#include "images/builder/packages.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "images/builder/host.h"
#include "images/builder/kernel_modules.h"
#include "images/builder/sysroot.h"

namespace basalt::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Directory {
 public:
  Directory() : path_(::testing::TempDir() + "/packages-XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~Directory() { (void)RemoveTree(path_); }
  void Write(const std::string& file, absl::string_view bytes) {
    std::string full = path_ + file;
    EXPECT_TRUE(MakeDirectories(full.substr(0, full.rfind('/'))).ok());
    EXPECT_TRUE(WriteWhole(full, bytes).ok());
  }
  void Link(const std::string& target, const std::string& file) {
    EXPECT_TRUE(MakeSymlink(target, path_ + file).ok());
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(PackageFiles, AreFoundWithAndWithoutUsr) {
  Directory d;
  d.Write("/sbin/mke2fs", "x");
  d.Write("/usr/share/a", "y");
  PackageFiles files("x86_64-linux-gnu");
  files.Add("p", d.path());
  EXPECT_EQ(*files.Find("p", "/usr/sbin/mke2fs"), d.path() + "/sbin/mke2fs");
  EXPECT_EQ(*files.Find("p", "/share/a"), d.path() + "/usr/share/a");
  EXPECT_FALSE(files.Find("p", "/sbin/none").ok());
  EXPECT_FALSE(files.Find("q", "/sbin/mke2fs").ok());
}

TEST(PackageFiles, ADirectoryIsListedWithWhatIsBelowIt) {
  Directory d;
  d.Write("/lib/firmware/qed/b.bin", "b");
  d.Write("/lib/firmware/qed/old/a.bin", "a");
  d.Write("/lib/firmware/other", "x");
  PackageFiles files("x86_64-linux-gnu");
  files.Add("p", d.path());
  absl::StatusOr<std::vector<std::string>> names = files.ListBelow("p", "/usr/lib/firmware/qed");
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_THAT(*names, ElementsAre("b.bin", "old/a.bin"));
  EXPECT_FALSE(files.ListBelow("p", "/lib/none").ok());
}

// From a package in the cache: no network.
TEST(Sysroot, IsWhatTheLockSaysAndStaysUntilThatChanges) {
  Directory d;
  d.Write("/deb/DEBIAN/control",
          "Package: libx-dev\nVersion: 1\nArchitecture: arm64\nMaintainer: x\nDescription: x\n");
  d.Write("/deb/usr/include/x.h", "int x;");
  d.Write("/deb/lib/aarch64-linux-gnu/libx.so.1", "x");
  d.Link("/lib/aarch64-linux-gnu/libx.so.1", "/deb/usr/lib.so");
  ASSERT_TRUE(MakeDirectories(d.path() + "/cache").ok());
  Tools tools(absl::FromUnixSeconds(1700000000));
  std::string deb = d.path() + "/x.deb";
  auto built = tools.Run({"dpkg-deb", "--build", "--root-owner-group", d.path() + "/deb", deb});
  ASSERT_TRUE(built.ok()) << built.status();
  absl::StatusOr<std::string> bytes = ReadWhole(deb);
  ASSERT_TRUE(bytes.ok());
  std::string digest = Sha256(*bytes).Hex();
  ASSERT_TRUE(WriteWhole(absl::StrCat(d.path(), "/cache/", digest, ".deb"), *bytes).ok());
  d.Write("/recipe/sysroot-arm64.lock",
          absl::StrCat("libx-dev 1 arm64 ", bytes->size(), " ", digest, " pool/x.deb\n"));
  SysrootOptions options{.architecture = "arm64",
                         .packages = {"libx-dev"},
                         .recipe = d.path() + "/recipe",
                         .cache = d.path() + "/cache",
                         .out = d.path() + "/out",
                         .time = tools.time()};
  absl::StatusOr<bool> changed = MakeSysroot(options);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(*changed);
  EXPECT_EQ(*ReadWhole(d.path() + "/out/usr/include/x.h"), "int x;");
  EXPECT_EQ(*ReadWhole(d.path() + "/out/lib/aarch64-linux-gnu/libx.so.1"), "x");
  EXPECT_EQ(*ReadWhole(d.path() + "/out/usr/lib.so"), "x") << "an absolute link stays inside";
  EXPECT_FALSE(*MakeSysroot(options));
  options.packages.push_back("liby-dev");
  EXPECT_THAT(MakeSysroot(options).status().message(), HasSubstr("stale-lock"));
}

TEST(PackageFiles, LibrariesAreFoundByTheNameThatProgramsAskFor) {
  Directory d;
  d.Write("/usr/lib/x86_64-linux-gnu/libz.so.1.2.13", "z");
  d.Link("libz.so.1.2.13", "/usr/lib/x86_64-linux-gnu/libz.so.1");
  PackageFiles files("x86_64-linux-gnu");
  files.Add("zlib1g", d.path());
  const PackageFiles::Library* library = files.FindLibrary("libz.so.1");
  ASSERT_NE(library, nullptr);
  EXPECT_EQ(library->package, "zlib1g");
  EXPECT_EQ(*ReadWhole(library->file), "z");
  EXPECT_EQ(files.FindLibrary("libother.so"), nullptr);
}

TEST(PackageFiles, LinksNeverLeaveThePackage) {
  Directory d;
  d.Write("/usr/lib/x", "x");
  d.Link("../../../../../../etc/passwd", "/usr/lib/up");
  d.Link("/etc/passwd", "/usr/lib/absolute");
  d.Link("loop", "/usr/lib/loop");
  PackageFiles files("x86_64-linux-gnu");
  files.Add("p", d.path());
  for (std::string name : {"up", "absolute", "loop"})
    EXPECT_FALSE(files.Find("p", "/usr/lib/" + name).ok()) << name;
}

// The least that is a signed module with this information.
std::string ModuleFile(absl::string_view info) {
  std::string names("\0.modinfo\0.shstrtab\0", 20);
  Elf64_Ehdr header = {};
  memcpy(header.e_ident, "\177ELF\2\1\1", 7);
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 2;
  header.e_shoff = sizeof header;
  Elf64_Shdr sections[3] = {};
  sections[1].sh_name = 1;
  sections[1].sh_offset = sizeof header + sizeof sections;
  sections[1].sh_size = info.size();
  sections[2].sh_name = 10;
  sections[2].sh_offset = sections[1].sh_offset + info.size();
  sections[2].sh_size = names.size();
  return absl::StrCat(absl::string_view(reinterpret_cast<char*>(&header), sizeof header),
                      absl::string_view(reinterpret_cast<char*>(sections), sizeof sections), info,
                      names, "~Module signature appended~\n");
}

std::string Info(absl::string_view depends, absl::string_view soft = "") {
  std::string info = absl::StrCat("depends=", depends, absl::string_view("\0", 1),
                                  "vermagic=6.1 SMP ", absl::string_view("\0", 1));
  if (!soft.empty()) absl::StrAppend(&info, "softdep=", soft, absl::string_view("\0", 1));
  return info;
}

class Modules : public ::testing::Test {
 protected:
  Modules() {
    d_.Write("/boot/vmlinuz-6.1", "kernel");
    d_.Write("/lib/modules/6.1/modules.builtin", "kernel/fs/ext4/ext4.ko\n");
  }
  void Add(const std::string& file, absl::string_view info) {
    d_.Write("/lib/modules/6.1/kernel/" + file, ModuleFile(info));
  }
  absl::StatusOr<std::vector<std::string>> Order(const std::vector<std::string>& names) {
    absl::StatusOr<KernelModules> modules = KernelModules::Open(d_.path());
    if (!modules.ok()) return modules.status();
    absl::StatusOr<std::vector<KernelModules::File>> files = modules->Closure(names);
    if (!files.ok()) return files.status();
    std::vector<std::string> order;
    for (const auto& f : *files) order.push_back(f.name);
    return order;
  }
  Directory d_;
};

TEST_F(Modules, ComeBehindWhatTheyNeed) {
  Add("drivers/md/dm-mod.ko", Info(""));
  Add("drivers/md/dm-bufio.ko", Info("dm-mod"));
  Add("drivers/md/dm-verity.ko", Info("dm-bufio,dm-mod"));
  Add("net/a.ko", Info("", "pre: b post: c"));
  Add("net/b.ko", Info("ext4"));
  Add("net/c.ko", Info(""));
  EXPECT_THAT(*Order({"dm_verity"}), ElementsAre("dm_mod", "dm_bufio", "dm_verity"));
  EXPECT_THAT(*Order({"dm-verity", "dm_mod"}), ElementsAre("dm_mod", "dm_bufio", "dm_verity"));
  EXPECT_THAT(*Order({"a"}), ElementsAre("b", "a"))
      << "what it wants first comes first, built-in ones are there";
  EXPECT_THAT(*Order({"ext4"}), IsEmpty());
}

TEST_F(Modules, PathsAreThoseOfTheImage) {
  Add("net/c.ko", Info(""));
  auto files = KernelModules::Open(d_.path())->Closure({"c"});
  ASSERT_TRUE(files.ok());
  EXPECT_EQ((*files)[0].path, "/usr/lib/modules/6.1/kernel/net/c.ko");
}

TEST_F(Modules, WhatIsNotThereOrNotOfThisKernelIsNamed) {
  Add("net/a.ko", Info("b"));
  Add("net/b.ko", Info("a"));
  Add("net/other.ko", absl::StrCat("vermagic=6.2 SMP", absl::string_view("\0", 1)));
  d_.Write("/lib/modules/6.1/kernel/net/unsigned.ko", ModuleFile(Info("")).substr(0, 250));
  EXPECT_THAT(Order({"none"}).status().message(), HasSubstr("no module none"));
  EXPECT_THAT(Order({"a"}).status().message(), HasSubstr("needs itself"));
  EXPECT_THAT(Order({"other"}).status().message(), HasSubstr("is for 6.2"));
  EXPECT_THAT(Order({"unsigned"}).status().message(), HasSubstr("no signed module"));
}

TEST(KernelModulesTest, OneKernelAPackage) {
  Directory d;
  EXPECT_FALSE(KernelModules::Open(d.path()).ok());
  d.Write("/lib/modules/6.1/modules.builtin", "");
  EXPECT_FALSE(KernelModules::Open(d.path()).ok()) << "modules without a kernel";
}

TEST(ToolsTest, RunInAnEnvironmentOfTheirOwn) {
  Tools tools(absl::FromUnixSeconds(1234));
  setenv("TZ", "Asia/Tokyo", 1);
  absl::StatusOr<std::string> seen = tools.Run({"env"});
  unsetenv("TZ");
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_THAT(*seen, HasSubstr("TZ=UTC\n"));
  EXPECT_THAT(*seen, HasSubstr("SOURCE_DATE_EPOCH=1234\n"));
  EXPECT_THAT(tools.Run({"basalt-no-such-program"}).status().message(), HasSubstr("tool-missing"));
  EXPECT_THAT(tools.Run({"ls", "/basalt-no-such-file"}).status().message(),
              HasSubstr("tool-failed"));
}

TEST(CopySparseTest, KeepsContentAndHoles) {
  Directory d;
  ASSERT_TRUE(MakeSparse(d.path() + "/from", 4 << 20).ok());
  ASSERT_TRUE(WriteAt(d.path() + "/from", 1 << 20, "middle").ok());
  ASSERT_TRUE(MakeSparse(d.path() + "/to", 8 << 20).ok());
  ASSERT_TRUE(CopySparse(d.path() + "/from", d.path() + "/to", 2 << 20).ok());
  std::string to = *ReadWhole(d.path() + "/to");
  EXPECT_EQ(to.substr(3 << 20, 6), "middle");
  EXPECT_EQ(to.find_first_not_of('\0'), size_t{3} << 20);
  EXPECT_EQ(to.find_last_not_of('\0'), (size_t{3} << 20) + 5);
}

}  // namespace
}  // namespace basalt::image
