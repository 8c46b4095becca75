#include "client/context/context.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "client/context/files.h"
#include "client/context/flat_yaml.h"
#include "client/context/inventory.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;

const std::string kA(64, 'a'), kB(64, 'b');

TEST(Inventory, ReadsNodesInOrder) {
  auto inventory = Inventory::Parse(
      "nodes:\n  - {name: b, endpoint: \"h:1\"}\n  - name: a\n    endpoint: \"h:2\"\n",
      "inventory.yaml");
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  ASSERT_EQ(inventory->nodes().size(), 2u);
  EXPECT_EQ(inventory->nodes()[0].name, "b");
  EXPECT_EQ(inventory->nodes()[1].endpoint, "h:2");
}

TEST(Inventory, ReportsEveryFaultWithItsLine) {
  auto inventory = Inventory::Parse(
      "nodes:\n  - name: a\n    endpoint: nowhere\n  - name: a\n    endpoint: \"h:2\"\n    "
      "fingerprint: zz\n",
      "i.yaml");
  ASSERT_FALSE(inventory.ok());
  EXPECT_THAT(std::string(inventory.status().message()), HasSubstr("not HOST:PORT"));
  EXPECT_THAT(std::string(inventory.status().message()), HasSubstr("twice"));
  EXPECT_THAT(std::string(inventory.status().message()), HasSubstr("hex digits"));
}

TEST(Inventory, PutKeepsCommentsOrderAndUnknownFields) {
  const std::string before =
      "# mine\nnodes:\n  - name: a   # first\n    endpoint: \"h:1\"  # lan\n    rack: left\n\n  - "
      "name: b\n"
      "    endpoint: \"h:2\"\n    fingerprint: " +
      kA + "\n# end\n";
  auto after = PutNode(before, "i.yaml", {"a", "h:9", kB});
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_THAT(
      *after,
      HasSubstr(
          "# mine\nnodes:\n  - name: a   # first\n    endpoint: h:9  # lan\n    rack: left\n"));
  EXPECT_THAT(*after, HasSubstr("    fingerprint: " + kB + "\n"));
  EXPECT_THAT(*after, HasSubstr("fingerprint: " + kA + "\n# end\n"));
}

TEST(Inventory, ARecipientIsAddedReplacedAndTakenAwayInPlace) {
  const std::string one = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
  const std::string two = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
  const std::string before =
      "nodes:\n  - name: a   # first\n    endpoint: h:1\n    fingerprint: " + kA +
      "\n\n  - name: b\n    endpoint: h:2\n";
  auto added = PutNode(before, "i.yaml", {"a", "h:1", kA, one});
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_THAT(*added, HasSubstr("    fingerprint: " + kA + "\n    recipient: " + one + "\n\n  - "));
  auto replaced = PutNode(*added, "i.yaml", {"a", "h:1", kA, two});
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_THAT(*replaced, HasSubstr("    recipient: " + two + "\n"));
  auto taken = PutNode(*replaced, "i.yaml", {"a", "h:1", kA});
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(*taken, before);
  auto wrong =
      Inventory::Parse("nodes:\n  - name: a\n    endpoint: h:1\n    recipient: age1x\n", "i");
  EXPECT_THAT(wrong.status().ToString(), HasSubstr("nodes[a].recipient"));
}

TEST(Inventory, PutThatCannotBeDoneInPlaceSaysWhatToWrite) {
  auto after = PutNode("nodes: [{name: a, endpoint: \"h:1\"}]\n", "i.yaml", {"a", "h:9", kB});
  ASSERT_FALSE(after.ok());
  EXPECT_THAT(after.status().ToString(), HasSubstr("cannot be edited"));
}

TEST(Inventory, PutIsTheSameTwice) {
  auto once = PutNode(NewInventoryText(), "i.yaml", {"a", "[fd00::1]:6050", kA});
  ASSERT_TRUE(once.ok()) << once.status();
  auto twice = PutNode(*once, "i.yaml", {"a", "[fd00::1]:6050", kA});
  ASSERT_TRUE(twice.ok());
  EXPECT_EQ(*once, *twice);
}

TEST(Endpoint, SyntaxIsChecked) {
  for (const char* good : {"h:1", "10.0.0.1:6050", "[::1]:65535", "a-b.c:80"}) {
    EXPECT_TRUE(CheckEndpoint(good).ok()) << good;
  }
  for (const char* bad :
       {"", "h", "h:", "h:0", "h:65536", ":1", "h x:1", "::1:5", "dns:///h:1", "h:1\n"}) {
    EXPECT_FALSE(CheckEndpoint(bad).ok()) << bad;
  }
}

TEST(FlatYaml, QuotedValuesReadBackAsTheyWere) {
  for (const std::string text : {"plain", "no", "0123", "a: b", "x #y", "\"q\"", "c:\\d", "", " s ",
                                 "-", "[a]", "1e3", "two\nlines", "http://h:1/x"}) {
    auto back = ReadFlatYaml("key: " + QuoteYaml(text) + "\n", "f");
    ASSERT_TRUE(back.ok()) << text << back.status();
    ASSERT_NE(back->top.Find("key"), nullptr) << text;
    EXPECT_EQ(*back->top.Find("key"), text);
  }
}

constexpr char kRecipient[] = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

TEST(FlatYaml, ListOfTextsIsReadWhereItIsAskedForAndRefusedElsewhere) {
  auto texts = ReadFlatYaml("a: b\nlist: [x, \"y z\"]\n", "f", "list", ListOf::kTexts);
  ASSERT_TRUE(texts.ok()) << texts.status();
  ASSERT_EQ(texts->texts.size(), 2u);
  EXPECT_EQ(texts->texts[1].value, "y z");
  EXPECT_FALSE(ReadFlatYaml("list: [{a: b}]\n", "f", "list", ListOf::kTexts).ok());
  EXPECT_FALSE(ReadFlatYaml("list: [x]\n", "f", "list").ok());
  EXPECT_FALSE(ReadFlatYaml("list: [x]\n", "f").ok());
}

TEST(Context, PathsAreRelativeToItsFileAndUnknownFieldsAreNamed) {
  std::string directory = ::testing::TempDir() + "/context.XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/context.yaml";
  ASSERT_TRUE(WriteNewFile(path, NewContextText("home", kRecipient), 0644).ok());
  auto context = LoadContext(path);
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ(context->cluster, "home");
  EXPECT_EQ(context->key, directory + "/keys/config.key");
  EXPECT_EQ(context->identity, directory + "/keys/secrets.key");
  EXPECT_EQ(context->recipients, std::vector<std::string>{kRecipient});
  EXPECT_EQ(context->SignedFile("n1", 7), directory + "/signed/n1/7.json");
  ASSERT_TRUE(WriteFileAtomically(path, "cluster: home\nkeys: x\n", 0644).ok());
  EXPECT_THAT(LoadContext(path).status().ToString(), HasSubstr("keys: unknown field"));
}

TEST(Files, AtomicWriteReplacesWholeAndSetsTheMode) {
  std::string directory = ::testing::TempDir() + "/files.XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/f";
  ASSERT_TRUE(WriteFileAtomically(path, "one", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
  struct stat st;
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(ListFiles(directory)->size(), 1u);
  EXPECT_FALSE(WriteNewFile(path, "three", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
}

TEST(Files, ManyAreWrittenWholeOrNotAtAll) {
  std::string directory = ::testing::TempDir() + "/files.XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string a = directory + "/a", b = directory + "/b";
  ASSERT_TRUE(WriteFilesAtomically({{a, "1"}, {b, "2"}}, 0600).ok());
  ASSERT_TRUE(WriteFilesAtomically({{a, "3"}, {b, "4"}}, 0600).ok());
  EXPECT_EQ(*ReadFile(a), "3");
  EXPECT_EQ(*ReadFile(b), "4");
  struct stat st;
  ASSERT_EQ(stat(b.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  // One of them has no place: the others stay as they were, and nothing is left lying.
  EXPECT_FALSE(WriteFilesAtomically({{a, "5"}, {directory + "/no/such", "6"}}, 0600).ok());
  EXPECT_EQ(*ReadFile(a), "3");
  EXPECT_EQ(ListFiles(directory)->size(), 2u);
  EXPECT_TRUE(WriteFilesAtomically({}, 0600).ok());
}

}  // namespace
}  // namespace basalt::client
