// patch, edit, config migrate and describe: a person's files, by the real nodectl.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class Editing : public NodectlFixture {
 protected:
  // An editor that does `script` to the file in $1.
  std::map<std::string, std::string> Editor(const std::string& script) {
    const std::string path = Path("editor.sh");
    Write(path, "#!/bin/sh\nset -e\n" + script + "\n");
    chmod(path.c_str(), 0700);
    return {{"EDITOR", path}, {"VISUAL", ""}, {"TMPDIR", directory_}};
  }
  int FilesHere() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      count += entry.path().filename().string().find(".edit.") != std::string::npos;
    }
    return count;
  }
};

TEST_F(Editing, PatchWritesTheFileAnewOnStandardOutputAndShowsWhatChanges) {
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  Ran ran = Run({"patch", "-f", file, "--patch", "{k3s: {tlsSans: [n1.lan]}}", "--set",
                 "metadata.labels={site: lab}"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("  tlsSans:\n    - n1.lan\n"));
  EXPECT_THAT(ran.out, HasSubstr("# With it a reflashed node of the same name rejoins."));
  EXPECT_THAT(ran.err, HasSubstr("+ metadata.labels[site]: lab"));
  EXPECT_EQ(Read(file), before);
}

TEST_F(Editing, PatchOfSeveralFilesWritesAllOrNone) {
  std::filesystem::create_directory(Path("nodes"));
  const std::string one = WriteConfig("nodes/a.yaml"), two = Path("nodes/b.yaml");
  Write(two, absl::StrReplaceAll(Read(one), {{"name: n1", "name: n2"}}));
  struct stat mode;
  ASSERT_EQ(stat(one.c_str(), &mode), 0);

  Write(two, Read(two) + "nonsense: 1\n");
  const std::string before = Read(one);
  Ran bad = Run({"patch", "-f", Path("nodes"), "--set", "k3s.tlsSans=[x]", "--in-place"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.err, HasSubstr("nonsense: unknown field"));
  EXPECT_EQ(Read(one), before);

  Write(two, absl::StrReplaceAll(Read(two), {{"nonsense: 1\n", ""}}));
  Ran good = Run({"patch", "-f", Path("nodes"), "--set", "k3s.tlsSans=[x]", "--in-place"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  for (const std::string& file : {one, two}) EXPECT_THAT(Read(file), HasSubstr("    - x\n"));
  struct stat now;
  ASSERT_EQ(stat(one.c_str(), &now), 0);
  EXPECT_EQ(now.st_mode, mode.st_mode);

  Ran several = Run({"patch", "-f", Path("nodes"), "--set", "k3s.tlsSans=[x]"});
  EXPECT_EQ(several.exit_code, 2);
  EXPECT_THAT(several.err, HasSubstr("--in-place"));
}

TEST_F(Editing, APatchThatMakesAConfigWrongIsRefused) {
  const std::string file = WriteConfig();
  Ran ran = Run({"patch", "-f", file, "--patch", "{k3s: {version: latest}}", "--in-place"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("k3s.version"));
  EXPECT_THAT(Read(file), HasSubstr("version: v1.30.4+k3s1"));
}

TEST_F(Editing, WhatIsSignedIsNotPatched) {
  const std::string file = WriteConfig();
  StartNode();
  PinNode();
  Ran sign = Run({"sign", "-f", file, "--allow-plaintext", "-o", Path("n1.json")});
  ASSERT_EQ(sign.exit_code, 0) << sign.err;
  Ran ran = Run({"patch", "-f", Path("n1.json"), "--set", "k3s.role=agent"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("signed: "));
}

TEST_F(Editing, PatchTellsProgramsWhatChanged) {
  const std::string file = WriteConfig();
  Ran ran = Run({"patch", "-f", file, "--set", "k3s.token=7f3a9c1e5b2d8064acef1357bd9e2468",
                 "--in-place", "--output-format", "json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto out = nlohmann::json::parse(ran.out);
  EXPECT_TRUE(out["changed"]);
  EXPECT_TRUE(out["written"]);
  EXPECT_EQ(out["plan"]["changes"][0]["path"], "k3s.token");
  EXPECT_THAT(ran.both(), Not(HasSubstr("7f3a9c1e")));
}

TEST_F(Editing, AnExternalProgramShowsTheDifferenceAndSeesNoSecret) {
  const std::string file = WriteConfig();
  Write(Path("show.sh"), "#!/bin/sh\ncat \"$2\"/* >" + Path("before") + "; cat \"$3\"/* >" +
                             Path("after") + "; echo \"$1\"; exit 1\n");
  chmod(Path("show.sh").c_str(), 0700);
  const std::string token = "7f3a9c1e5b2d8064acef1357bd9e2468";
  Ran ran = Run({"patch", "-f", file, "--set", "k3s.tlsSans=[x]", "--set", "k3s.token=" + token,
                 "--in-place"},
                {{"NODECTL_EXTERNAL_DIFF", Path("show.sh") + " --flag"}, {"TMPDIR", directory_}});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "--flag\n");
  EXPECT_THAT(Read(Path("before")), HasSubstr("token: \"(redacted)\""));
  EXPECT_THAT(Read(Path("after")), HasSubstr("- x\n"));
  EXPECT_THAT(Read(Path("before")) + Read(Path("after")) + ran.both(), Not(HasSubstr(token)));
  Ran fails = Run({"patch", "-f", file, "--set", "k3s.tlsSans=[y]", "--dry-run"},
                  {{"NODECTL_EXTERNAL_DIFF", "/nowhere/diff"}});
  EXPECT_EQ(fails.exit_code, 1);
  EXPECT_THAT(fails.err, HasSubstr("external-diff-failed"));
}

TEST_F(Editing, EditWritesWhatIsRightAndKeepsEveryOtherByte) {
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  Ran ran =
      Run({"edit", "-f", file}, Editor("sed -i 's/role: server/role: server  # mine/' \"$1\""));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(Read(file), absl::StrReplaceAll(before, {{"role: server", "role: server  # mine"}}));
  EXPECT_EQ(FilesHere(), 0);
}

TEST_F(Editing, TheEditorOpensAgainWithTheErrorsAboveTheText) {
  const std::string file = WriteConfig();
  Ran ran = Run({"edit", "-f", file},
                Editor("if grep -q '^#| ' \"$1\"; then\n  cp \"$1\" " + Path("seen") +
                       "\n  sed -i 's/rolle:/role:/; s/home/home/' \"$1\"\n"
                       "else\n  sed -i 's/role: server/rolle: server/' \"$1\"\nfi"));
  // The second turn gives back what it was: nothing to write.
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("no changes"));
  const std::string seen = Read(Path("seen"));
  EXPECT_THAT(seen, StartsWith("#| This is not written yet"));
  EXPECT_THAT(seen, HasSubstr("k3s.rolle: unknown field; did you mean `role`?"));
  // The line that is named is the line of the text that the editor shows.
  const size_t at = seen.find("line ");
  const int line = std::atoi(seen.c_str() + at + 5);
  size_t begin = 0;
  for (int i = 1; i < line; ++i) begin = seen.find('\n', begin) + 1;
  EXPECT_THAT(seen.substr(begin, 20), HasSubstr("rolle"));
}

TEST_F(Editing, WhatIsNotMendedIsKeptAndNothingIsWritten) {
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  Ran ran = Run({"edit", "-f", file}, Editor("sed -i 's/role: server/role: boss/' \"$1\""));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("is kept in"));
  EXPECT_EQ(Read(file), before);
  EXPECT_EQ(FilesHere(), 1);
}

TEST_F(Editing, AnEditorThatFailsChangesNothing) {
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  Ran ran = Run({"edit", "-f", file}, Editor("echo x >> \"$1\"; exit 3"));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("editor-failed"));
  EXPECT_EQ(Read(file), before);
  EXPECT_EQ(FilesHere(), 0);
}

TEST_F(Editing, AFileThatChangedMeanwhileIsNotOverwritten) {
  const std::string file = WriteConfig();
  Ran ran = Run({"edit", "-f", file}, Editor("echo '# theirs' >> " + file +
                                             "\nsed -i 's/role: server/role: server # x/' \"$1\""));
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("changed-meanwhile"));
  EXPECT_THAT(Read(file), HasSubstr("# theirs"));
}

TEST_F(Editing, WhatEndsTheProgramLeavesNoOpenedSecretBehind) {
  const std::string file = WriteConfig(), before = Read(file);
  // The terminal is closed while the editor runs: the program hears of it, and so may the editor.
  Ran ran = Run({"edit", "-f", file, "--decrypt"},
                Editor("echo \"$1\" >" + Path("copy") +
                       "\necho '# more' >>\"$1\"\np=$PPID\n"
                       "while [ \"$(cat /proc/$p/comm)\" != nodectl ]; do\n"
                       "  p=$(ps -o ppid= -p $p | tr -d ' ')\ndone\nkill -HUP $p"));
  EXPECT_EQ(ran.exit_code, 128 + SIGHUP);  // held back until the file was gone
  std::string copy = Read(Path("copy"));
  ASSERT_THAT(copy, HasSubstr("nodectl-edit."));
  copy.pop_back();
  EXPECT_FALSE(std::filesystem::exists(copy));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(copy).parent_path()));
  EXPECT_EQ(Read(file), before);
}

TEST_F(Editing, AnotherSecretUnderAnOldNameIsSealed) {
  const std::string file = WriteConfig("n1.yaml", /*plain=*/true);
  Ran ran =
      Run({"edit", "-f", file, "--decrypt"},
          Editor("sed -i 's/^  nodePassword: .*/  nodePassword: a-new-password-of-this-node/' "
                 "\"$1\""));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(Read(file), Not(HasSubstr("a-new-password-of-this-node")));
  EXPECT_THAT(Read(file), HasSubstr("nodePassword: !sealed |"));
}

TEST_F(Editing, OpenedSecretsAreSealedAgainAndUnchangedOnesKeepTheirBytes) {
  const std::string file = WriteConfig();
  const std::string plain = Read(file);
  ASSERT_EQ(Run({"seal", "-f", file, "--all"}).exit_code, 0);
  const std::string sealed = Read(file);

  // Nothing changed but a comment: every sealed value keeps its bytes.
  Ran comment = Run({"edit", "-f", file, "--decrypt"},
                    Editor("cp \"$1\" " + Path("seen") + "\nls -l \"$1\" > " + Path("mode") +
                           "\nsed -i 's/role: server/role: server  # mine/' \"$1\""));
  EXPECT_EQ(comment.exit_code, 0) << comment.err;
  EXPECT_EQ(Read(file), absl::StrReplaceAll(sealed, {{"role: server", "role: server  # mine"}}));
  const std::string seen = Read(Path("seen"));
  EXPECT_THAT(seen, Not(HasSubstr("!sealed |")));
  EXPECT_THAT(seen, HasSubstr("#| Opened: k3s.agentToken"));
  EXPECT_THAT(Read(Path("mode")), StartsWith("-rw-------"));
  EXPECT_THAT(Read(Path("mode")), Not(HasSubstr(directory_)));

  // One is changed and a new one comes: both are sealed, and open to what was typed.
  Ran change = Run({"edit", "-f", file, "--decrypt"},
                   Editor("sed -i 's/^  token: .*/  token: 9e2468bd1357acef80645b2d3a9c1e7f/; "
                          "s/^k3s:/k3s:\\n  datastore: {endpoint: "
                          "\"postgres:\\/\\/u:typed-secret@h\\/d\"}/' \"$1\""));
  EXPECT_EQ(change.exit_code, 0) << change.err;
  EXPECT_THAT(change.err, HasSubstr("sealed "));
  EXPECT_THAT(Read(file), Not(HasSubstr("9e2468bd1357")));
  EXPECT_THAT(Read(file), Not(HasSubstr("typed-secret")));
  EXPECT_EQ(Run({"unseal", "-f", file, "k3s.token"}).out, "9e2468bd1357acef80645b2d3a9c1e7f");
  // The agent token was not touched.
  const size_t at = sealed.find("agentToken:");
  EXPECT_THAT(Read(file), HasSubstr(sealed.substr(at, sealed.find("END AGE", at) - at)));
  EXPECT_THAT(comment.both() + change.both(), Not(HasSubstr("9e2468bd1357")));
}

TEST_F(Editing, TheSourceOfANodeIsFoundBesideTheContext) {
  WriteConfig("lab/n1.yaml");
  Ran ran = Run({"edit", "-n", "n1"}, Editor("sed -i 's/role: server/role: server  # x/' \"$1\""));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(Read(Path("lab/n1.yaml")), HasSubstr("# x"));
  Ran none = Run({"edit", "-n", "n9"}, Editor("true"));
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("no-source"));
}

TEST_F(Editing, EditAppliesWhatWasWritten) {
  StartNode();
  PinNode();
  const std::string file = WriteConfig();
  auto environment = Editor("sed -i 's/role: server/role: server  # x/' \"$1\"");
  Ran ran = Run({"edit", "-f", file, "--apply", "--allow-plaintext"}, environment);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(api_.CallCount("Apply"), 1);
}

TEST_F(Editing, MigrateShowsAPlanAndWritesItWhenAsked) {
  Write(Path("old.yaml"),
        "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata: {cluster: home, name: x}\n"
        "# mine\nk3s:\n  role: server\n  version: v1.30.4+k3s1\n  config:\n"
        "    no-deploy: [traefik]\n    debug: true  # stays\n");
  const std::string before = Read(Path("old.yaml"));
  Ran plan = Run({"config", "migrate", "-f", Path("old.yaml")});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("k3s.config[no-deploy]"));
  EXPECT_EQ(Read(Path("old.yaml")), before);
  Ran done = Run({"config", "migrate", "-f", Path("old.yaml"), "--write", "-o", "json"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_TRUE(nlohmann::json::parse(done.out)["steps"][0]["automatic"]);
  EXPECT_THAT(Read(Path("old.yaml")), HasSubstr("disable:\n      - traefik\n"));
  EXPECT_THAT(Read(Path("old.yaml")), HasSubstr("debug: true  # stays\n"));
  EXPECT_THAT(Run({"config", "migrate", "-f", Path("old.yaml")}).out,
              HasSubstr("nothing to migrate"));
}

TEST_F(Editing, DescribeTellsWhereEachValueComesFrom) {
  const std::string file = WriteConfig();
  Ran ran = Run({"describe", "-f", file, "-o", "json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  bool defaults = false, written = false;
  const auto page = nlohmann::json::parse(ran.out);
  for (const auto& value : page["values"]) {
    defaults = defaults || (value["path"] == "k3s.health.readyz" && value["from"] == "default");
    written = written || (value["path"] == "k3s.role" && value["from"] == "file" &&
                          value["line"].get<int>() > 1);
    if (value["path"] == "k3s.token") {
      EXPECT_EQ(value["value"], "(redacted)");
    }
  }
  EXPECT_TRUE(defaults);
  EXPECT_TRUE(written);
}

TEST_F(Editing, DescribeIsAPageAboutANode) {
  StartNode(true);
  PinNode();
  v1::Resource resource;
  resource.set_kind("K3sStatus");
  resource.set_name("k3s");
  resource.mutable_k3s_status()->set_role("server");
  resource.mutable_k3s_status()->set_version("v1.30.4+k3s1\x1b[31m");
  api_.PutResource(resource);
  Ran applied = Run({"apply", "-f", WriteConfig(), "--allow-plaintext"});
  ASSERT_EQ(applied.exit_code, 0) << applied.err;
  Ran ran = Run({"describe", "n1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("Endpoint:       " + endpoint()));
  EXPECT_THAT(ran.out, HasSubstr("\nHistory\n"));
  EXPECT_THAT(ran.out, HasSubstr("v1.30.4+k3s1"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b")));
  Ran json = Run({"describe", "n1", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["name"], "n1");
}

}  // namespace
}  // namespace basalt::client
