// Which sources a machine asks, and what their bytes are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "server/first/sources.h"
#include "server/first/user_data.h"

namespace basalt::first {
namespace {

using ::testing::HasSubstr;

std::vector<SourceKind> Kinds(const MachineFacts& facts) {
  std::vector<SourceKind> out;
  for (const Source& source : SourcesFor(facts)) out.push_back(source.kind);
  return out;
}

TEST(Sources, AMachineOfNoCloudAsksNoNetwork) {
  const std::vector<SourceKind> media = {SourceKind::kBootPartition, SourceKind::kMedium};
  EXPECT_EQ(Kinds({}), media);
  EXPECT_EQ(Kinds({.sys_vendor = "QEMU", .product_name = "Standard PC (Q35 + ICH9, 2009)"}), media);
  EXPECT_EQ(Kinds({.sys_vendor = "Google", .product_name = "Chromebook"}), media);
  EXPECT_EQ(Kinds({.sys_vendor = "Microsoft Corporation", .product_name = "Virtual Machine"}),
            media);
}

TEST(Sources, FirmwareNamesTheCloud) {
  const std::pair<MachineFacts, SourceKind> clouds[] = {
      {{.sys_vendor = "Amazon EC2", .product_name = "t3.micro"}, SourceKind::kAws},
      {{.sys_vendor = "Xen", .bios_version = "4.11.amazon"}, SourceKind::kAws},
      {{.sys_vendor = "Google", .product_name = "Google Compute Engine"}, SourceKind::kGcp},
      {{.sys_vendor = "Microsoft Corporation",
        .chassis_asset_tag = "7783-7084-3265-9085-8269-3286-77"},
       SourceKind::kAzure},
      {{.sys_vendor = "OpenStack Foundation", .product_name = "OpenStack Nova"},
       SourceKind::kOpenStack},
      {{.sys_vendor = "RDO", .product_name = "OpenStack Compute"}, SourceKind::kOpenStack},
      {{.sys_vendor = "Hetzner", .product_name = "vServer"}, SourceKind::kHetzner}};
  for (const auto& [facts, kind] : clouds) {
    const std::vector<SourceKind> kinds = Kinds(facts);
    ASSERT_EQ(kinds.size(), 3u) << facts.sys_vendor;
    EXPECT_EQ(kinds.back(), kind) << facts.sys_vendor;
  }
}

TEST(Sources, AUrlComesFromTheCommandLineOrTheSerialNumber) {
  const auto urls = [](const std::string& command_line, const std::string& serial) {
    std::string out;
    for (const Source& s : SourcesFor({.product_serial = serial, .command_line = command_line})) {
      if (!s.url.empty()) absl::StrAppend(&out, s.url, " ");
    }
    return out;
  };
  EXPECT_EQ(urls("quiet noded.config=https://a.example/n1.json ro", ""),
            "https://a.example/n1.json ");
  EXPECT_EQ(urls("", "ds=nocloud;s=http://10.0.2.2:8000/n1/"),
            "http://10.0.2.2:8000/n1/user-data ");
  EXPECT_EQ(urls("", "ds=nocloud-net;h=n1;s=http://10.0.2.2"), "http://10.0.2.2/user-data ");
  for (const char* bad : {"file:///etc/passwd", "ftp://a/b", "http://", "http:///x",
                          "http://user:secret@a/b", "//a/b", ""}) {
    EXPECT_EQ(urls(absl::StrCat("noded.config=", bad), ""), "") << bad;
  }
  EXPECT_EQ(urls("", "VMware-42 1c"), "");
  EXPECT_EQ(NameOf({.kind = SourceKind::kUrl, .url = "https://a/n1?token=secret"}), "https://a/n1");
}

std::string Gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Lines(std::string text) {
  for (size_t at = 76; at < text.size(); at += 77) text.insert(at, "\n");
  return text;
}

class UserData : public ::testing::Test {
 protected:
  UserData() : key_(sign::PrivateKey::GenerateEd25519()) {
    json_ = sign::ToDsseJson(sign::Sign(v1::DOCUMENT_TYPE_MACHINE_CONFIG, "kind: x\n", {&key_}));
  }
  static std::string Why(const std::string& bytes) {
    return std::string(ReadUserData(bytes).status().message());
  }
  sign::PrivateKey key_;
  std::string json_;
};

TEST_F(UserData, IsTheSignedDocumentInWhateverCloudsWrapItIn) {
  const std::string base64 = absl::Base64Escape(json_);
  for (const std::string& bytes :
       {json_, "\xef\xbb\xbf" + json_, "\r\n " + json_ + "\n", base64, Lines(base64) + "\n",
        Gzip(json_), absl::Base64Escape(Gzip(json_)), Lines(absl::Base64Escape(Gzip(json_))),
        absl::Base64Escape(absl::Base64Escape(json_)), Gzip(base64)}) {
    absl::StatusOr<v1::SignedDocument> document = ReadUserData(bytes);
    ASSERT_TRUE(document.ok()) << document.status() << bytes.substr(0, 40);
    EXPECT_EQ(document->payload(), "kind: x\n");
  }
}

TEST_F(UserData, SaysWhatItIsInstead) {
  EXPECT_THAT(Why("#cloud-config\nusers: []\n"), HasSubstr("cloud-init"));
  EXPECT_THAT(Why("#!/bin/sh\nrm -rf /\n"), HasSubstr("a script"));
  EXPECT_THAT(Why("<!DOCTYPE html><html>"), HasSubstr("a web page"));
  EXPECT_THAT(Why("Content-Type: multipart/mixed; boundary=x\n"), HasSubstr("MIME"));
  EXPECT_THAT(Why("apiVersion: basalt/v1\nkind: MachineConfig\n"), HasSubstr("not signed"));
  EXPECT_EQ(api::Reason(ReadUserData("").status()), "not-a-signed-config");
  EXPECT_EQ(api::Reason(ReadUserData("#!/bin/sh").status()), "not-a-signed-config");
  EXPECT_FALSE(ReadUserData("{\"payload\": 1}").ok());
}

TEST_F(UserData, NeitherABombNorAnEndlessWrappingIsFollowed) {
  EXPECT_EQ(api::Reason(ReadUserData(Gzip(std::string(64 << 20, '{'))).status()),
            "user-data-too-large");
  std::string wrapped = json_;
  for (int i = 0; i < 6; ++i) wrapped = absl::Base64Escape(wrapped);
  EXPECT_EQ(api::Reason(ReadUserData(wrapped).status()), "not-a-signed-config");
  std::string cut = Gzip(json_);
  cut.resize(cut.size() / 2);
  EXPECT_THAT(Why(cut), HasSubstr("damaged"));
}

TEST(Ovf, HasItsCustomDataByWhateverPrefix) {
  EXPECT_EQ(CustomDataOf("<ns1:CustomData>\n QUJD </ns1:CustomData>").value_or(""), "QUJD");
  EXPECT_TRUE(absl::IsNotFound(CustomDataOf("<ns1:CustomData/>").status()));
  EXPECT_TRUE(absl::IsNotFound(CustomDataOf("<a><CustomData></CustomData></a>").status()));
}

}  // namespace
}  // namespace basalt::first
