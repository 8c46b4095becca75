// What an image may hold, and that an unpacked one is what was asked for.
#include "images/builder/tree.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "images/builder/formats/elf.h"

namespace basalt::image {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Node File(const std::string& content, unsigned mode = 0644) {
  return {.type = Node::Type::kFile, .mode = mode, .content = content, .from = "pkg", .why = "w"};
}

Node Link(const std::string& target) {
  return {.type = Node::Type::kLink, .mode = 0777, .content = target, .from = "recipe", .why = "w"};
}

const std::string& Self() {
  static const std::string* bytes = [] {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return new std::string(text.str());
  }();
  return *bytes;
}

uint16_t Machine() { return ReadElf(Self())->machine; }

// This very program with all that it needs by name, so that only the fault under test is left.
Tree WithProgram(const std::string& path, unsigned mode = 0755) {
  Tree tree;
  const std::string& self = Self();
  ElfFacts elf = *ReadElf(self);
  EXPECT_TRUE(AddNode(tree, path, File(self, mode)).ok());
  for (const std::string& library : elf.needed)
    (void)AddNode(tree, "/usr/lib/" + library, File("", 0644));
  EXPECT_TRUE(AddNode(tree, "/usr" + elf.interpreter, File("", 0644)).ok());
  (void)AddNode(tree, "/lib", Link("usr/lib"));
  (void)AddNode(tree, "/lib64", Link("usr/lib64"));
  return tree;
}

std::vector<std::string> Faults(const Tree& tree) { return FindFaults(tree, Machine()); }

TEST(Faults, U11_AGoodTreeHasNone) {
  Tree tree = WithProgram("/usr/bin/noded");
  EXPECT_TRUE(AddNode(tree, "/etc/hosts", Link("../run/etc/hosts")).ok());
  EXPECT_TRUE(AddNode(tree, "/etc/passwd", File("root:x:0:0::/:/nonexistent\n")).ok());
  EXPECT_THAT(Faults(tree), IsEmpty());
}

TEST(Faults, U11_ShellsInterpretersAndWaysInAreFound) {
  for (std::string name : {"sh", "bash", "busybox", "python3", "python3.11", "perl", "perl5.36.0",
                           "lua5.4", "login", "sshd", "apt-get", "env"}) {
    EXPECT_THAT(Faults(WithProgram("/usr/bin/" + name)), ElementsAre(HasSubstr("is a shell")))
        << name;
  }
  Tree tree = WithProgram("/usr/bin/noded");
  EXPECT_TRUE(AddNode(tree, "/usr/bin/sh", Link("noded")).ok());
  EXPECT_TRUE(AddNode(tree, "/usr/sbin/tool", File("#!/bin/sh\n", 0755)).ok());
  EXPECT_TRUE(AddNode(tree, "/usr/lib/libpython3.11.so.1.0", File("")).ok());
  EXPECT_THAT(Faults(tree), UnorderedElementsAre(HasSubstr("/usr/bin/sh: is a shell"),
                                                 HasSubstr("/usr/sbin/tool: is a script"),
                                                 HasSubstr("/usr/sbin/tool: may be executed"),
                                                 HasSubstr("interpreter's library")));
}

TEST(Faults, U11_SetuidWorldWritableAndDevicesAreFound) {
  EXPECT_THAT(Faults(WithProgram("/usr/bin/noded", 04755)), ElementsAre(HasSubstr("setuid")));
  EXPECT_THAT(Faults(WithProgram("/usr/bin/noded", 02755)), ElementsAre(HasSubstr("setgid")));
  Tree tree;
  EXPECT_TRUE(AddNode(tree, "/etc/a", File("", 0666)).ok());
  EXPECT_TRUE(AddNode(tree, "/tmp", {.type = Node::Type::kDirectory, .mode = 01777}).ok());
  EXPECT_TRUE(AddNode(tree, "/dev/null", {.type = Node::Type::kOther}).ok());
  EXPECT_THAT(Faults(tree),
              UnorderedElementsAre(HasSubstr("/etc/a"), HasSubstr("/tmp"), HasSubstr("/dev/null")));
}

// One field of this program's ELF headers changed.
std::vector<std::string> FaultsOf(const std::function<void(std::string&)>& change,
                                  const std::string& from = "pkg") {
  Tree tree = WithProgram("/usr/bin/noded");
  change(tree["/usr/bin/noded"].content);
  tree["/usr/bin/noded"].from = from;
  return Faults(tree);
}

void ForSegments(std::string& file, const std::function<void(Elf64_Phdr&)>& change) {
  auto* header = reinterpret_cast<Elf64_Ehdr*>(file.data());
  auto* segments = reinterpret_cast<Elf64_Phdr*>(file.data() + header->e_phoff);
  for (int i = 0; i < header->e_phnum; ++i) change(segments[i]);
}

TEST(Faults, U11_UnhardenedProgramsAreFound) {
  EXPECT_THAT(
      FaultsOf([](std::string& f) { reinterpret_cast<Elf64_Ehdr*>(f.data())->e_type = ET_EXEC; }),
      Contains(HasSubstr("not position-independent")));
  EXPECT_THAT(FaultsOf([](std::string& f) {
                ForSegments(f, [](Elf64_Phdr& p) {
                  if (p.p_type == PT_GNU_RELRO) p.p_type = PT_NULL;
                });
              }),
              ElementsAre(HasSubstr("no RELRO")));
  EXPECT_THAT(FaultsOf([](std::string& f) {
                ForSegments(f, [](Elf64_Phdr& p) {
                  if (p.p_type == PT_GNU_STACK) p.p_flags |= PF_X;
                });
              }),
              ElementsAre(HasSubstr("executable stack")));
  EXPECT_THAT(FaultsOf([](std::string& f) {
                ForSegments(f, [](Elf64_Phdr& p) {
                  if (p.p_type == PT_GNU_STACK) p.p_type = PT_NULL;
                });
              }),
              ElementsAre(HasSubstr("executable stack")));
  EXPECT_THAT(FaultsOf([](std::string& f) {
                ForSegments(f, [](Elf64_Phdr& p) {
                  if (p.p_type == PT_LOAD) p.p_flags |= PF_X | PF_W;
                });
              }),
              ElementsAre(HasSubstr("writable code")));
  EXPECT_THAT(FaultsOf([](std::string& f) {
                reinterpret_cast<Elf64_Ehdr*>(f.data())->e_machine = EM_RISCV;
              }),
              ElementsAre(HasSubstr("another machine")));
}

TEST(Faults, U11_OurOwnProgramsPassAsTheyAreBuilt) {
  std::vector<std::string> faults = FaultsOf([](std::string&) {}, "build");
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a program with sanitizers is not what ships";
#elif defined(_FORTIFY_SOURCE) && _FORTIFY_SOURCE > 0
  EXPECT_THAT(faults, IsEmpty());
#else
  EXPECT_THAT(faults, ElementsAre(HasSubstr("not fortified")));  // of the presets that do not ship
#endif
}

TEST(Faults, MissingLibrariesAndLinksToNowhereAreFound) {
  Tree tree = WithProgram("/usr/bin/noded");
  tree.erase("/usr/lib/libc.so.6");
  EXPECT_TRUE(AddNode(tree, "/usr/bin/other", Link("nothing")).ok());
  EXPECT_TRUE(AddNode(tree, "/usr/bin/loop", Link("loop")).ok());
  EXPECT_TRUE(AddNode(tree, "/usr/bin/up", Link("../../../usr/bin/noded")).ok());
  EXPECT_THAT(Faults(tree),
              UnorderedElementsAre(HasSubstr("needs libc.so.6"), HasSubstr("other: leads nowhere"),
                                   HasSubstr("loop: leads nowhere")));
}

TEST(Faults, U11_AModuleWithoutItsSignatureIsFound) {
  std::string object = Self().substr(0, 64);
  reinterpret_cast<Elf64_Ehdr*>(object.data())->e_type = ET_REL;
  Tree tree;
  EXPECT_TRUE(AddNode(tree, "/usr/lib/modules/6.1/a.ko", File(object)).ok());
  EXPECT_TRUE(
      AddNode(tree, "/usr/lib/modules/6.1/b.ko", File(object + "~Module signature appended~\n"))
          .ok());
  EXPECT_TRUE(AddNode(tree, "/usr/lib/modules/6.1/c.ko", File("text")).ok());
  EXPECT_THAT(Faults(tree), UnorderedElementsAre(HasSubstr("a.ko: is a module without"),
                                                 HasSubstr("c.ko: is no kernel module")));
}

TEST(Tree, NothingLiesBelowALinkAndNothingIsThereTwice) {
  Tree tree;
  EXPECT_TRUE(AddNode(tree, "/lib", Link("usr/lib")).ok());
  EXPECT_FALSE(AddNode(tree, "/lib/a.so", File("")).ok());
  EXPECT_TRUE(AddNode(tree, "/usr/lib/a.so", File("")).ok());
  EXPECT_FALSE(AddNode(tree, "/usr/lib/a.so", File("")).ok());
  EXPECT_EQ(tree["/usr"].type, Node::Type::kDirectory);
}

TEST(Tree, U11_AFileThatNobodyAskedForIsFoundInAnUnpackedRoot) {
  Tree tree;
  EXPECT_TRUE(AddNode(tree, "/etc/passwd", File("root")).ok());
  EXPECT_TRUE(AddNode(tree, "/bin", Link("usr/bin")).ok());
  EXPECT_TRUE(AddNode(tree, "/usr/bin", {.type = Node::Type::kDirectory, .mode = 0755}).ok());
  std::string expected = FormatContents(tree);
  std::string directory = ::testing::TempDir() + "/tree-test";
  ASSERT_TRUE(WriteTree(tree, directory).ok());
  Tree read = *ReadTree(directory);
  EXPECT_THAT(CompareContents(expected, FormatContents(read)), IsEmpty());
  read["/etc/passwd"].content = "root2";
  read["/usr/bin/more"] = File("");
  read.erase("/bin");
  EXPECT_THAT(
      CompareContents(expected, FormatContents(read)),
      UnorderedElementsAre(HasSubstr("/etc/passwd: is"), HasSubstr("/usr/bin/more: nothing asked"),
                           HasSubstr("/bin: is missing")));
}

}  // namespace
}  // namespace basalt::image
