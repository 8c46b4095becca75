// What an owner does once: keys, nodes, files, releases.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  InitOptions init;
  PinOptions pin;
  GenConfigOptions gen;
  GenSecretsOptions gen_secrets;
  GenSecureBootOptions gen_secureboot;
  K3sPinOptions k3s_pin;
};

}  // namespace

void AddOwnerVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App* v = p.Verb(
      p.app(), "init", "Make keys, trust policy, certificates, tokens and inventory",
      "  nodectl init lab --cluster home\n"
      "  nodectl init lab --cluster home --no-passphrase\n"
      "  nodectl init lab --cluster home --with-secrets     # a recovery sheet to lock away\n"
      "  NODECTL_PASSPHRASE=... nodectl init lab --cluster home",
      [&w](Session& s) { return RunInit(s, w.init); });
  v->add_option("dir", w.init.directory, "New or empty directory")->required();
  v->add_option("--cluster", w.init.cluster, "Name of the cluster")->required();
  v->add_flag("--no-passphrase", w.init.no_passphrase, "Keys protected by file modes alone");
  v->add_flag("--with-secrets", w.init.with_secrets,
              "Also recovery-secrets.txt: the keys themselves, to print and lock away");
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(
      p.app(), "pin", "Record by what a node is known, and whom its secrets are sealed to",
      "  nodectl pin n1 --node 192.168.1.10:6050 --fingerprint 4c1f...\n"
      "  nodectl pin n1 --node \"$(cat run/endpoint)\" --fingerprint \"$(cat run/fingerprint)\"\n"
      "  nodectl pin n1 --node 192.168.1.10:6050 --words 'lusab babad gutih tugad gutuk bisog'\n"
      "  nodectl pin n1 --node 192.168.1.10:6050 --tofu\n"
      "  nodectl pin n1                                    # asks a pinned node for its recipient",
      [&w](Session& s) { return RunPin(s, w.pin); });
  v->add_option("name", w.pin.name, "Name of the node")->required();
  v->add_option("--node", w.pin.endpoint, "HOST:PORT (default: of the inventory)");
  v->add_option("--fingerprint", w.pin.fingerprint, "sha256 of the node's identity key");
  v->add_option(
       "--recipient", w.pin.recipient,
       "Whom its secrets are sealed to, from its run/recipient (default: the node says it)")
      ->type_name("AGE1...");
  v->add_option("--words", w.pin.fingerprint,
                "Ask the node, and compare with the words on its screen (four of them at least)")
      ->type_name("WORDS");
  v->add_flag("--tofu", w.pin.tofu, "Ask the node, and then you");
  v->add_flag("--yes,-y", w.pin.yes, "Do not ask");
  p.Output(v, {"table", "json", "yaml", "name"});

  CLI::App& gen = p.Group("gen", "Generate files");
  v = p.Verb(
      gen, "config", "Write a complete machine config for a node",
      "  nodectl gen config --name n1 --role server > n1.yaml\n"
      "  nodectl gen config --name n2 --role agent --server n1 > n2.yaml\n"
      "  nodectl gen config --name n1 --role server --set 'k3s.config.disable=[traefik]' -o "
      "n1.yaml\n"
      "  nodectl gen config --name n1 --role server --schema basalt.schema.json -o n1.yaml\n"
      "  nodectl gen config --name n1 --role server --plain -o n1.yaml   # secrets in the clear",
      [&w](Session& s) { return RunGenConfig(s, w.gen); });
  v->add_option("--name", w.gen.name, "Name of the node")->required();
  v->add_option("--role", w.gen.role, "server or agent")
      ->required()
      ->check(CLI::IsMember({"server", "agent"}));
  v->add_option("--server", w.gen.server, "Node of the inventory to join");
  v->add_option("--set", w.gen.set, "path=value; may be repeated")->allow_extra_args(false);
  v->add_option("-o,--output", w.gen.output_file, "New file (0600); default: standard output");
  v->add_option("--schema", w.gen.schema,
                "JSON Schema for the editor (default: basalt.schema.json beside the file, if any)")
      ->type_name("PATH|URL");
  v->add_flag("--plain", w.gen.plain, "Do not seal its secrets: the file must stay private then");

  v = p.Verb(gen, "secrets", "Make, rotate or seal anew the tokens of the cluster",
             "  nodectl gen secrets                     # those that are missing\n"
             "  nodectl gen secrets --rotate agent\n"
             "  nodectl gen secrets --reseal            # after context.yaml has other recipients",
             [&w](Session& s) { return RunGenSecrets(s, w.gen_secrets); });
  v->add_option("--rotate", w.gen_secrets.rotate, "Make a new one; may be repeated")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"server", "agent"}));
  v->add_flag("--reseal", w.gen_secrets.reseal,
              "Seal all of them to the recipients of the context");
  v->add_flag("--plain", w.gen_secrets.plain, "In the clear: the file must stay private then");
  v->add_option("-f,--file", w.gen_secrets.file,
                "The file to make or edit (default: secrets.yaml of the context)")
      ->type_name("FILE");
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(
      gen, "secureboot", "Make the keys of Secure Boot, or rotate and revoke with them",
      "  nodectl gen secureboot                     # secureboot/ beside the context\n"
      "  nodectl gen secureboot keys/sb\n"
      "  nodectl gen secureboot keys/sb --rotate    # one more db key, and db-2.auth that adds it\n"
      "  nodectl gen secureboot keys/sb --revoke keys/sb/db.crt         # dbx-1.auth\n"
      "  nodectl gen secureboot keys/sb --revoke basalt-1.2.0-vm-amd64.efi\n"
      "  # --microsoft does not exist: those certificates are not in Debian, and nothing is\n"
      "  # downloaded here. A card whose firmware Microsoft alone signed needs them: add them in\n"
      "  # the firmware's menu.",
      [&w](Session& s) { return RunGenSecureBoot(s, w.gen_secureboot); });
  v->add_option("dir", w.gen_secureboot.directory,
                "New or empty directory (default: secureboot/ beside the context)");
  v->add_flag("--no-passphrase", w.gen_secureboot.no_passphrase,
              "Keys protected by file modes alone");
  auto* rotate = v->add_flag("--rotate", w.gen_secureboot.rotate,
                             "With the keys that are there: one more key for db");
  v->add_option("--revoke", w.gen_secureboot.revoke,
                "With the keys that are there: forbid a certificate or an EFI program")
      ->type_name("FILE")
      ->excludes(rotate);
  p.Output(v, {"table", "json", "yaml"});

  CLI::App& k3s = p.Group("k3s", "K3s releases");
  v = p.Verb(k3s, "pin", "Write version, URLs and sha256 of a K3s into a config",
             "  nodectl k3s pin -f n1.yaml --version v1.30.4+k3s1\n"
             "  nodectl k3s pin -f n1.yaml --file /usr/local/bin/k3s",
             [&w](Session& s) { return RunK3sPin(s, w.k3s_pin); });
  v->add_option("-f", w.k3s_pin.file, "The config")->required();
  v->add_option("--version", w.k3s_pin.version, "Release, or version of --file");
  v->add_option("--file", w.k3s_pin.binary, "A K3s binary of this machine");
  v->add_option("--mirror", w.k3s_pin.base_url, "Base URL of the releases");
  p.Output(v, {"table", "json", "yaml"});
}

}  // namespace basalt::client
