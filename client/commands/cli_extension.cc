// Add-ons of the image.
#include "client/commands/parser.h"

namespace basalt::client {
namespace {

struct Words {
  ExtensionPinOptions pin;
  ExtensionRemoveOptions remove;
};

}  // namespace

void AddExtensionVerbs(Parser& p) {
  Words& w = p.Keep<Words>();
  CLI::App& extension = p.Group("extension", "Signed add-ons of the image");
  CLI::App* v = p.Verb(
      extension, "pin", "Write an extension into a config, by the digest of its signed manifest",
      "  nodectl extension pin -f n1.yaml "
      "https://example.org/basalt/basalt-nfs-1.4.0-amd64.extension.json\n"
      "  nodectl extension pin -f n1.yaml basalt-nfs-1.4.0-amd64.extension.json --url "
      "http://10.0.0.2/basalt-nfs-1.4.0-amd64.extension.json",
      [&w](Session& s) { return RunExtensionPin(s, w.pin); });
  v->add_option("manifest", w.pin.manifest, "The signed manifest: a file here, or a URL")
      ->required()
      ->type_name("FILE|URL");
  v->add_option("-f,--file", w.pin.file, "The source, edited in place")
      ->required()
      ->type_name("FILE");
  v->add_option("--url", w.pin.urls,
                "Where nodes fetch the manifest, the extension beside it; several: mirrors")
      ->type_name("URL")
      ->allow_extra_args(false);
  p.Output(v, {"table", "json", "yaml"});

  v = p.Verb(extension, "remove", "Take an extension out of a config",
             "  nodectl extension remove -f n1.yaml nfs",
             [&w](Session& s) { return RunExtensionRemove(s, w.remove); });
  v->add_option("name", w.remove.name, "As in system.extensions")->required();
  v->add_option("-f,--file", w.remove.file, "The source, edited in place")
      ->required()
      ->type_name("FILE");
  p.Output(v, {"table", "json", "yaml"});
}

}  // namespace basalt::client
