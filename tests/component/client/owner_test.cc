// What nodectl does on the owner's side: init, pin, gen config, k3s pin, validate, sign, verify.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

mode_t ModeOf(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

class Owner : public NodectlFixture {};

TEST_F(Owner, InitKeepsSecretsPrivateAndNothingIsMissing) {
  for (const char* file : {"keys/root.key", "keys/config.key", "keys/image.key", "ca/ca.key",
                           "ca/admin.key", "keys/secrets.key"}) {
    EXPECT_EQ(ModeOf(lab_ + "/" + file), 0600u) << file;
  }
  for (const char* file : {"trust.yaml", "trust.json", "ca/ca.crt", "ca/admin.crt",
                           "inventory.yaml", "secrets.yaml", "context.yaml", ".gitignore"}) {
    EXPECT_EQ(ModeOf(lab_ + "/" + file), 0644u) << file;
  }
  EXPECT_EQ(Run({"validate", "-f", lab_ + "/trust.yaml"}).exit_code, 0);
  EXPECT_THAT(Read(lab_ + "/secrets.yaml"), HasSubstr("server: !sealed |\n  -----BEGIN AGE"));
  EXPECT_THAT(Read(lab_ + "/trust.yaml"), HasSubstr("allowPlaintextSecrets: false"));
}

TEST_F(Owner, InitRefusesADirectoryThatIsNotEmptyAndChangesNothing) {
  const std::string before = Read(lab_ + "/keys/root.key");
  Ran again = Run({"init", lab_, "--cluster", "other", "--no-passphrase"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("not-empty"));
  EXPECT_EQ(Read(lab_ + "/keys/root.key"), before);
}

TEST_F(Owner, InitWithoutATerminalWantsAPassphraseFromSomewhere) {
  Ran none = Run({"init", Path("lab2"), "--cluster", "home"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("passphrase-needed"));
  Ran made =
      Run({"init", Path("lab3"), "--cluster", "home"}, {{"NODECTL_PASSPHRASE", "correct horse"}});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(Read(Path("lab3/keys/config.key")), HasSubstr("ENCRYPTED PRIVATE KEY"));
}

TEST_F(Owner, PinWritesOneEntryAndKeepsComments) {
  const std::string inventory = lab_ + "/inventory.yaml";
  const std::string print(64, 'a');
  ASSERT_EQ(Run({"pin", "n1", "--node", "10.0.0.1:6050", "--fingerprint", print}).exit_code, 0);
  Write(inventory, Read(inventory) + "# the rack by the window\n");
  const std::string second(64, 'b');
  ASSERT_EQ(Run({"pin", "n2", "--node", "[::1]:6050", "--fingerprint", second}).exit_code, 0);
  ASSERT_EQ(Run({"pin", "n1", "--node", "10.0.0.9:6050", "--fingerprint", print}).exit_code, 0);
  EXPECT_THAT(Read(inventory), HasSubstr("# the rack by the window"));
  EXPECT_THAT(Read(inventory), HasSubstr("10.0.0.9:6050"));
  EXPECT_THAT(Read(inventory), Not(HasSubstr("10.0.0.1:6050")));
}

TEST_F(Owner, PinDoesNotReplaceAnotherFingerprintUnasked) {
  ASSERT_EQ(Run({"pin", "n1", "--node", "h:1", "--fingerprint", std::string(64, 'a')}).exit_code,
            0);
  Ran other = Run({"pin", "n1", "--node", "h:1", "--fingerprint", std::string(64, 'b')});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("needs-yes"));
  EXPECT_THAT(Read(lab_ + "/inventory.yaml"), HasSubstr(std::string(64, 'a')));
}

TEST_F(Owner, PinRefusesAMachineThatIsAnotherNodeAlready) {
  const std::string print(64, 'a');
  ASSERT_EQ(Run({"pin", "n1", "--node", "h:1", "--fingerprint", print}).exit_code, 0);
  Ran taken = Run({"pin", "n2", "--node", "h:2", "--fingerprint", print, "--yes"});
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_THAT(taken.err, HasSubstr("n2: fingerprint-taken: n1 (h:1)"));
  EXPECT_THAT(Read(lab_ + "/inventory.yaml"), Not(HasSubstr("n2")));
}

TEST_F(Owner, P5_PinRefusesANameThatNoConfigCanHave) {
  for (const char* name : {"N1", "a b", "../x", "-n", "\x1b[2J", ""}) {
    Ran ran = Run({"pin", "--node", "h:1", "--fingerprint", std::string(64, 'a'), "--", name});
    EXPECT_NE(ran.exit_code, 0) << name;
    EXPECT_THAT(ran.err, Not(HasSubstr("\x1b"))) << name;
  }
  EXPECT_THAT(Read(lab_ + "/inventory.yaml"), HasSubstr("nodes: []"));
}

TEST_F(Owner, K3sPinKeepsTheLinkAndTheModeOfTheFile) {
  const std::string file = WriteConfig(), link = Path("link.yaml");
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  ASSERT_EQ(symlink(file.c_str(), link.c_str()), 0);
  Ran ran = Run({"k3s", "pin", "-f", link, "--file", NODECTL, "--version", "v1.31.0+k3s1"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  struct stat st;
  ASSERT_EQ(lstat(link.c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  EXPECT_THAT(Read(file), HasSubstr("version: v1.31.0+k3s1"));
  EXPECT_EQ(ModeOf(file), 0640u);
}

TEST_F(Owner, FileThatCannotBeWrittenIsNamedAsItWasGiven) {
  ASSERT_EQ(PinAway().exit_code, 0);
  Ran ran = Run({"sign", "-f", WriteConfig(), "-o", Path("no/such/n1.json")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("cannot write " + Path("no/such/n1.json") + ":"));
}

TEST_F(Owner, SignKeepsNoCopyOfWhatNoNodeCanAccept) {
  ASSERT_EQ(PinAway().exit_code, 0);
  Write(Path("stranger.key"), sign::PrivateKey::GenerateEd25519().Pem());
  Ran ran = Run({"sign", "-f", WriteConfig(), "--key", Path("stranger.key")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("bad-signature"));
  EXPECT_NE(access((lab_ + "/signed").c_str(), F_OK), 0);
}

TEST_F(Owner, ConfigWithoutAK3sSaysHowToPinOne) {
  ASSERT_EQ(
      Run({"gen", "config", "--name", "n1", "--role", "server", "-o", Path("n1.yaml")}).exit_code,
      0);
  Ran ran = Run({"validate", "-f", Path("n1.yaml")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("nodectl k3s pin -f " + Path("n1.yaml")));
}

TEST_F(Owner, GeneratedConfigIsPrivateAndValidOncePinned) {
  ASSERT_EQ(Run({"pin", "n1", "--node", "h:1", "--fingerprint", std::string(64, 'a')}).exit_code,
            0);
  const std::string file = WriteConfig();
  EXPECT_EQ(ModeOf(file), 0600u);
  Ran valid = Run({"validate", "-f", file});
  EXPECT_EQ(valid.exit_code, 0) << valid.err;
  EXPECT_THAT(Read(file), HasSubstr("sha256:"));
  EXPECT_THAT(Read(file), HasSubstr("# With it a reflashed node"));
}

TEST_F(Owner, P3_MisspeltKeyIsNamedWithItsPlaceAndWhatWasMeant) {
  const std::string file = WriteConfig();
  std::string text = Read(file);
  text.replace(text.find("  version:"), 10, "  verison:");
  Write(file, text);
  Ran ran = Run({"validate", "-f", file});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("did you mean `version`"));
  EXPECT_THAT(ran.err, ::testing::ContainsRegex("n1.yaml:[0-9]+:3: k3s.verison"));
  auto json = nlohmann::json::parse(Run({"validate", "-f", file, "-o", "json"}).out);
  EXPECT_EQ(json["errors"][0]["code"], "unknown-field");
  EXPECT_EQ(json["errors"][0]["path"], "k3s.verison");
}

TEST_F(Owner, SignRefusesSecretsThatItCannotSealByName) {
  ASSERT_EQ(
      Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", std::string(64, 'a')}).exit_code,
      0);
  const std::string file = WriteConfig();
  Ran refused = Run({"sign", "-f", file, "-o", Path("n1.json")});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("no-recipient"));
  EXPECT_THAT(refused.err, HasSubstr("k3s.nodePassword"));
  EXPECT_THAT(refused.err, HasSubstr("nodectl pin n1"));
  EXPECT_TRUE(Read(Path("n1.json")).empty());
}

TEST_F(Owner, SignShowsWhatItFilledInAndVerifyNamesTheSigner) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string file = WriteConfig(), out = Path("n1.json");
  Ran made = Run({"sign", "-f", file, "-o", out});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("metadata.generation"));
  EXPECT_EQ(ModeOf(out), 0600u);
  Ran verified = Run({"verify", "-f", out, "--trust", lab_ + "/trust.json"});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("signed by config"));
}

TEST_F(Owner, GenerationsRiseAlsoWithinOneSecond) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string file = WriteConfig();
  int64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    Ran made = Run({"sign", "-f", file, "-o", Path("n1.json")});
    size_t at = made.err.find("metadata.generation: ");
    ASSERT_NE(at, std::string::npos) << made.err;
    int64_t generation = std::stoll(made.err.substr(at + 21));
    EXPECT_GT(generation, last);
    last = generation;
  }
}

TEST_F(Owner, S1_EditedByteIsNamedByVerify) {
  ASSERT_EQ(PinAway().exit_code, 0);
  ASSERT_EQ(Run({"sign", "-f", WriteConfig(), "-o", Path("n1.json")}).exit_code, 0);
  std::string text = Read(Path("n1.json"));
  char& byte = text[text.find("\"payload\"") + 60];
  byte = byte == 'A' ? 'B' : 'A';
  Write(Path("edited.json"), text);
  Ran ran = Run({"verify", "-f", Path("edited.json")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("bad-signature"));
}

TEST_F(Owner, S7_KeyWithoutAGrantMakesAFileThatVerifyRefuses) {
  ASSERT_EQ(PinAway().exit_code, 0);
  Ran made =
      Run({"sign", "-f", WriteConfig(), "--key", lab_ + "/keys/image.key", "-o", Path("n1.json")});
  EXPECT_THAT(made.err, HasSubstr("no node will accept it yet"));
  Ran ran = Run({"verify", "-f", Path("n1.json")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("too-few-signers"));
}

TEST_F(Owner, ErrorsAsJsonNameTheirFileInAKeyOfItsOwn) {
  const std::string file = WriteConfig();
  const auto first = [&](const std::vector<std::string>& words) {
    Ran ran = Run(words);
    EXPECT_EQ(ran.exit_code, 1) << words[0];
    const auto errors = nlohmann::json::parse(ran.out, nullptr, false);
    return errors.is_discarded() ? nlohmann::json() : errors["errors"][0];
  };
  auto error = first({"verify", "-f", file, "-o", "json"});
  EXPECT_EQ(error["code"], "not-signed");
  EXPECT_EQ(error["file"], file);
  Write(Path("bad.json"), "{\"payload\": 1}");
  for (const char* verb : {"verify", "plan", "apply"}) {
    error = first({verb, "-f", Path("bad.json"), "-o", "json"});
    EXPECT_EQ(error["file"], Path("bad.json")) << verb;
    EXPECT_THAT(error["message"].get<std::string>(), Not(HasSubstr("bad.json"))) << verb;
  }
  error = first({"apply", "-f", Path("nowhere.yaml"), "-o", "json"});
  EXPECT_EQ(error["code"], "no-such-file");
  EXPECT_EQ(error["file"], Path("nowhere.yaml"));
}

TEST_F(Owner, GenSecretsDoesNotWriteTokensIntoWhatIsNoFileOfThem) {
  const std::string file = WriteConfig();
  const std::string before = Read(file);
  Ran ran = Run({"gen", "secrets", "-f", file});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("is a MachineConfig"));
  EXPECT_THAT(ran.err, HasSubstr("nodectl seal -f " + file + " k3s.token"));
  EXPECT_EQ(Read(file), before);
  Write(Path("other.yaml"), "name: x\n");
  Ran other = Run({"gen", "secrets", "-f", Path("other.yaml")});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("file with `name`"));
  const auto made =
      nlohmann::json::parse(Run({"gen", "secrets", "--rotate", "agent", "-o", "json"}).out);
  EXPECT_EQ(made["secrets"][0]["name"], "agent");
  EXPECT_EQ(made["secrets"][0]["what"], "rotated");
}

TEST_F(Owner, MissingContextSaysHowToMakeOne) {
  Ran ran = Run({"status", "--context", ""}, {{"NODECTL_CONTEXT", ""}});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("NODECTL_CONTEXT"));
  EXPECT_THAT(Run({"status", "--context", Path("none/context.yaml")}).err,
              HasSubstr("nodectl init"));
}

TEST_F(Owner, UnknownFlagIsAUsageError) {
  EXPECT_EQ(Run({"apply", "--no-such-flag"}).exit_code, 2);
  EXPECT_EQ(Run({"apply", "-f", "x", "--timeout", "5 parsecs"}).exit_code, 2);
  EXPECT_EQ(Run({"apply", "--help"}).exit_code, 0);
}

TEST_F(Owner, AFileWithoutItsFlagIsUnderstood) {
  const std::string file = WriteConfig();
  for (const char* verb : {"validate", "plan", "apply", "verify"}) {
    Ran ran = Run({verb, file});
    EXPECT_EQ(ran.exit_code, 2) << verb;
    EXPECT_THAT(ran.err, HasSubstr(std::string("did you mean `nodectl ") + verb + " -f " + file))
        << verb;
  }
}

TEST_F(Owner, MisspeltVerbIsNamedWithTheOneThatWasMeant) {
  Ran verb = Run({"validte", "-f", "x"});
  EXPECT_EQ(verb.exit_code, 2);
  EXPECT_THAT(verb.err, HasSubstr("did you mean `nodectl validate`?"));
  EXPECT_THAT(Run({"gen", "confg"}).err, HasSubstr("did you mean `nodectl gen config`?"));
  EXPECT_THAT(Run({"help", "gen", "config"}).out, HasSubstr("nodectl gen config --name"));
  EXPECT_EQ(Run({}).exit_code, 2);
  EXPECT_THAT(Run({}).err, HasSubstr("kubeconfig"));
}

TEST_F(Owner, ExplainTellsAFieldWithoutAContext) {
  const std::map<std::string, std::string> nowhere = {{"NODECTL_CONTEXT", "/nonexistent"}};
  Ran within = Run({"explain", "metadata.apply.confirmWithin"}, nowhere);
  EXPECT_EQ(within.exit_code, 0) << within.err;
  EXPECT_THAT(within.out, HasSubstr("FORMAT:     duration: numbers with a unit"));
  EXPECT_THAT(within.out, HasSubstr("DEFAULT:    5m"));
  EXPECT_THAT(within.out, HasSubstr("confirmWithin: 10m"));

  Ran example = Run({"explain", "network.interfaces.vlan"}, nowhere);
  EXPECT_THAT(example.out, HasSubstr("NOT BESIDE: bond, bridge, wireguard, wifi\n"));
  EXPECT_THAT(example.out, HasSubstr("EXAMPLE:\n  vlan:\n    link: eth0\n    id: 20\n"));
  Ran section = Run({"explain", "k3s.registries", "--recursive"}, nowhere);
  EXPECT_THAT(section.out, HasSubstr("    rewrites  <list of sections>\n      match  <string>"));

  Ran key = Run({"explain", "k3s.config.no-deploy"}, nowhere);
  EXPECT_THAT(key.out, HasSubstr("K3S:        v1.21 to v1.24"));
  EXPECT_THAT(Run({"explain", "k3s.config.token"}, nowhere).out,
              HasSubstr("OWNER:      noded; set `k3s.token`"));
}

TEST_F(Owner, ExplainOfAMisspeltPathNamesTheNearest) {
  Ran ran = Run({"explain", "k3s.registries.mirors"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("unknown-path"));
  EXPECT_THAT(ran.err, HasSubstr("did you mean `k3s.registries.mirrors`?"));
  const auto error = nlohmann::json::parse(Run({"explain", "nonsense", "-o", "json"}).out);
  EXPECT_EQ(error["errors"][0]["code"], "unknown-path");
}

TEST_F(Owner, ExplainTellsKeysOfTheClusterFromThoseOfTheNode) {
  const Ran keys = Run({"explain", "k3s.config"});
  EXPECT_THAT(keys.out, HasSubstr("cluster-domain  <string>  default cluster.local  "
                                  "cluster-scoped\n"));
  EXPECT_THAT(keys.out, HasSubstr("snapshotter  <string>"));
  EXPECT_THAT(keys.out, Not(HasSubstr("write-kubeconfig")));
  const Ran key = Run({"explain", "k3s.config.supervisor-metrics"});
  EXPECT_THAT(key.out, HasSubstr("v1.27 and newer; first in v1.27.15, v1.28.11, v1.29.6, v1.30.2"));
  EXPECT_THAT(key.out, HasSubstr("SCOPE:      cluster: the same on all of its servers"));
}

TEST_F(Owner, ExplainAsJsonHasTheSameFacts) {
  const auto doc = nlohmann::json::parse(Run({"explain", "k3s.snapshots", "-o", "json"}).out);
  EXPECT_EQ(doc["kind"], "MachineConfig");
  EXPECT_EQ(doc["path"], "k3s.snapshots");
  EXPECT_EQ(doc["effect"], "restart-k3s");
  EXPECT_EQ(doc["fields"][2]["path"], "k3s.snapshots.retention");
  EXPECT_EQ(doc["fields"][2]["default"], "5");
  EXPECT_EQ(doc["clusterScoped"], false);
  EXPECT_EQ(nlohmann::json::parse(Run({"explain", "k3s.config.token", "-o", "json"}).out)["k3s"],
            nlohmann::json({{"on", "servers and agents"},
                            {"since", "v1.21"},
                            {"owner", "noded"},
                            {"use", "k3s.token"}}));
  const auto backend =
      nlohmann::json::parse(Run({"explain", "k3s.config.flannel-backend", "-o", "json"}).out);
  EXPECT_EQ(backend["clusterScoped"], true);
  EXPECT_EQ(backend["allowed"][0]["value"], "vxlan");
}

TEST_F(Owner, ExplainPathsAreCompleted) {
  EXPECT_THAT(Run({"__paths"}).out, HasSubstr("\nk3s.config.kubelet-arg\n"));
  EXPECT_THAT(Run({"--help"}).out, Not(HasSubstr("__paths")));
  // What bash would offer, with nodectl on its path.
  Write(Path("complete.sh"), "PATH=$(dirname " + std::string(NODECTL) +
                                 "):$PATH\nsource <(nodectl completion bash)\n"
                                 "COMP_WORDS=(nodectl explain k3s.regi)\nCOMP_CWORD=2\n"
                                 "__nodectl_words\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
  const std::string command = "bash " + Path("complete.sh") + " > " + Path("words");
  ASSERT_EQ(system(command.c_str()), 0);
  EXPECT_THAT(Read(Path("words")), HasSubstr("k3s.registries\nk3s.registries.mirrors\n"));
}

TEST_F(Owner, SchemaIsWrittenAnewButNothingElseIsOverwritten) {
  const std::string file = Path("basalt.schema.json");
  ASSERT_EQ(Run({"schema", "-o", file}).exit_code, 0);
  const auto schema = nlohmann::json::parse(Read(file));
  EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(schema["properties"]["kind"]["const"], "MachineConfig");
  EXPECT_EQ(Run({"schema", "-o", file, "--kind", "action"}).exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(Read(file))["properties"]["kind"]["const"], "Action");

  Write(Path("n1.yaml"), "kind: MachineConfig\n");
  Ran taken = Run({"schema", "-o", Path("n1.yaml")});
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_THAT(taken.err, HasSubstr("file-exists"));
  EXPECT_EQ(Read(Path("n1.yaml")), "kind: MachineConfig\n");

  Ran kind = Run({"schema", "--kind", "Pod"});
  EXPECT_EQ(kind.exit_code, 1);
  EXPECT_THAT(kind.err, HasSubstr("unknown-kind"));
}

TEST_F(Owner, GenConfigPointsTheEditorToASchemaThatIsThere) {
  auto first_line = [&](const std::string& file) {
    const std::string text = Read(file);
    return text.substr(0, text.find('\n'));
  };
  auto gen = [&](const std::string& file, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"gen",    "config", "--name", "n1",
                                      "--role", "server", "-o",     Path(file)};
    words.insert(words.end(), more.begin(), more.end());
    Ran ran = Run(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return ran.err;
  };
  gen("none.yaml", {});
  EXPECT_THAT(first_line(Path("none.yaml")), Not(HasSubstr("yaml-language-server")));

  const std::string warned = gen("asked.yaml", {"--schema", Path("basalt.schema.json")});
  EXPECT_EQ(first_line(Path("asked.yaml")),
            "# yaml-language-server: $schema=" + Path("basalt.schema.json"));
  EXPECT_THAT(warned, HasSubstr("no schema is there yet"));

  ASSERT_EQ(Run({"schema", "-o", Path("basalt.schema.json")}).exit_code, 0);
  gen("beside.yaml", {});
  EXPECT_EQ(first_line(Path("beside.yaml")),
            "# yaml-language-server: $schema=./basalt.schema.json");
  EXPECT_THAT(gen("url.yaml", {"--schema", "https://example.org/s.json"}),
              Not(HasSubstr("no schema is there yet")));
  EXPECT_EQ(first_line(Path("url.yaml")),
            "# yaml-language-server: $schema=https://example.org/s.json");
}

}  // namespace
}  // namespace basalt::client
