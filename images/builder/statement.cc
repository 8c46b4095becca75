#include "images/builder/statement.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"

namespace basalt::image {
namespace {

using Json = nlohmann::ordered_json;

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// SPDX identifiers know letters, digits, '.' and '-'.
std::string Identifier(absl::string_view name) {
  return absl::StrCat(
      "SPDXRef-", absl::StrReplaceAll(name, {{"+", "-plus-"}, {"_", "-"}, {":", "-"}, {"~", "-"}}));
}

// A package URL: version and name percent-encoded where the archive's characters need it.
std::string Purl(const LockedPackage& p) {
  auto encode = [](absl::string_view text) {
    return absl::StrReplaceAll(text, {{"+", "%2B"}, {":", "%3A"}});
  };
  return absl::StrCat("pkg:deb/debian/", encode(p.name), "@", encode(p.version),
                      "?arch=", p.architecture, "&distro=bookworm");
}

Json Package(const std::string& id, absl::string_view name, absl::string_view version,
             absl::string_view supplier, absl::string_view licence) {
  return {{"SPDXID", id},
          {"name", std::string(name)},
          {"versionInfo", std::string(version)},
          {"supplier", std::string(supplier)},
          {"downloadLocation", "NOASSERTION"},
          {"filesAnalyzed", false},
          {"licenseConcluded", "NOASSERTION"},
          {"licenseDeclared", std::string(licence)},
          {"copyrightText", "NOASSERTION"}};
}

Json OfArtifact(const Artifact& a) {
  return {{"name", a.name}, {"size", a.size}, {"sha256", a.sha256.Hex()}};
}

}  // namespace

std::string MakeSbom(const SbomSubject& subject, const ImageInfo& info,
                     const std::vector<LockedPackage>& packages) {
  const std::string image_id = "SPDXRef-image";
  Json list = Json::array(), relations = Json::array();
  Json image = Package(image_id, subject.name, info.version, "NOASSERTION", "NOASSERTION");
  image["primaryPackagePurpose"] = subject.purpose;
  list.push_back(image);
  relations.push_back({{"spdxElementId", "SPDXRef-DOCUMENT"},
                       {"relationshipType", "DESCRIBES"},
                       {"relatedSpdxElement", image_id}});
  auto contains = [&](const std::string& id) {
    relations.push_back({{"spdxElementId", image_id},
                         {"relationshipType", "CONTAINS"},
                         {"relatedSpdxElement", id}});
  };
  if (subject.has_programs) {
    list.push_back(Package("SPDXRef-basalt", "basalt", info.version, "NOASSERTION", "Apache-2.0"));
    contains("SPDXRef-basalt");
  }
  std::string everything =
      absl::StrCat(subject.name, " ", info.version, " ", absl::ToUnixSeconds(info.time));
  for (const LockedPackage& p : packages) {
    std::string id = Identifier(absl::StrCat("deb-", p.name));
    Json package = Package(id, p.name, p.version, "Organization: Debian", "NOASSERTION");
    package["packageFileName"] = p.source;
    package["checksums"] = {{{"algorithm", "SHA256"}, {"checksumValue", p.sha256.Hex()}}};
    package["externalRefs"] = {{{"referenceCategory", "PACKAGE-MANAGER"},
                                {"referenceType", "purl"},
                                {"referenceLocator", Purl(p)}}};
    list.push_back(package);
    contains(id);
    absl::StrAppend(&everything, " ", p.sha256.Hex());
  }
  Json document = {
      {"spdxVersion", "SPDX-2.3"},
      {"dataLicense", "CC0-1.0"},
      {"SPDXID", "SPDXRef-DOCUMENT"},
      {"name", absl::StrCat(subject.name, "-", info.version)},
      // Unique to its content and the same in every build of it.
      {"documentNamespace", absl::StrCat("urn:basalt:sbom:", Sha256(everything).Hex())},
      {"creationInfo",
       {{"created", Rfc3339(info.time)}, {"creators", {"Tool: basalt-image-builder"}}}},
      {"packages", list},
      {"relationships", relations}};
  return document.dump(2) + "\n";
}

std::string FormatManifest(const Recipe& recipe, const ImageInfo& info, const Manifest& m) {
  Json document = {{"apiVersion", "basalt/v1"},
                   {"kind", "Image"},
                   {"profile", recipe.profile},
                   {"architecture", recipe.architecture},
                   {"version", info.version},
                   {"epoch", info.epoch},
                   {"buildTime", Rfc3339(info.time)},
                   {"kernelRelease", info.kernel},
                   {"root", absl::StrCat(m.root_hash.Hex(), ":", m.data_blocks)},
                   {"slot", OfArtifact(m.slot)},
                   {"kernel", OfArtifact(m.kernel)},
                   {"sbom", OfArtifact(m.sbom)}};
  return document.dump(2) + "\n";
}

}  // namespace basalt::image
