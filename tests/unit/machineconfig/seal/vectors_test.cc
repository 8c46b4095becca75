// The published vectors of age (vectors/README.md): each is opened, or refused at the layer that
// the vector names; and those that are made of known random bytes are made again, byte for byte.
#include <openssl/evp.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/seal/age.h"
#include "machineconfig/seal/armor.h"
#include "tests/unit/machineconfig/seal/testing.h"

namespace basalt::seal {
namespace {

struct Vector {
  std::multimap<std::string, std::string> facts;
  std::string file;
  std::string Fact(const std::string& key) const {
    auto it = facts.find(key);
    return it == facts.end() ? "" : it->second;
  }
};

std::string Inflate(const std::string& bytes) {
  std::string out(1 << 20, '\0');
  uLongf size = out.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                       reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()),
            Z_OK);
  out.resize(size);
  return out;
}

Vector ReadVector(const std::string& name) {
  std::ifstream in(absl::StrCat(VECTORS, "/", name), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const size_t end = text.find("\n\n");
  Vector out;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text).substr(0, end), '\n')) {
    const std::pair<std::string, std::string> fact = absl::StrSplit(line, absl::MaxSplits(": ", 1));
    out.facts.insert(fact);
  }
  out.file = text.substr(end + 2);
  if (out.Fact("compressed") == "zlib") out.file = Inflate(out.file);
  return out;
}

std::vector<Identity> IdentitiesOf(const Vector& vector) {
  std::vector<Identity> out;
  auto [from, to] = vector.facts.equal_range("identity");
  for (auto it = from; it != to; ++it) out.push_back(Identity::Parse(it->second).value());
  return out;
}

std::vector<std::string> Names() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(VECTORS)) {
    if (entry.path().filename() != "README.md") out.push_back(entry.path().filename());
  }
  return out;
}

TEST(Vectors, EachIsOpenedOrRefusedWhereItSays) {
  const std::map<std::string, std::set<std::string>> reasons = {
      {"success", {""}},
      {"armor failure", {"bad-armor"}},
      {"header failure", {"bad-age-header", "unknown-age-version"}},
      {"no match", {"no-matching-identity"}},
      {"HMAC failure", {"bad-age-mac"}},
      {"payload failure", {"bad-age-payload"}},
  };
  std::map<std::string, int> seen;
  for (const std::string& name : Names()) {
    const Vector vector = ReadVector(name);
    const std::string expect = vector.Fact("expect");
    ASSERT_TRUE(reasons.count(expect)) << name << ": " << expect;
    ++seen[expect];
    absl::StatusOr<std::string> file = vector.file;
    if (vector.Fact("armored") == "yes") file = Dearmor(vector.file);
    absl::StatusOr<SecretBytes> opened =
        file.ok() ? Decrypt(*file, IdentitiesOf(vector)) : file.status();
    EXPECT_TRUE(reasons.at(expect).count(api::Reason(opened.status())))
        << name << ": expected " << expect << ", got " << opened.status();
    if (opened.ok()) {
      EXPECT_EQ(Sha256(opened->view()).Hex(), vector.Fact("payload")) << name;
    }
  }
  EXPECT_EQ(seen.size(), reasons.size());  // none of the kinds was lost from the directory
}

// The generator that the vectors were made with: the ChaCha20 stream under a fixed key.
std::string TestRandomness(size_t size) {
  std::string out(size, '\0'), zero(size, '\0');
  const unsigned char nonce[16] = {};
  EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new();
  int written = 0;
  EVP_EncryptInit_ex(ctx, EVP_chacha20(), nullptr,
                     reinterpret_cast<const unsigned char*>("TEST RANDOMNESS TEST RANDOMNESS!"),
                     nonce);
  EVP_EncryptUpdate(ctx, reinterpret_cast<unsigned char*>(out.data()), &written,
                    reinterpret_cast<const unsigned char*>(zero.data()), static_cast<int>(size));
  EVP_CIPHER_CTX_free(ctx);
  return out;
}

TEST(Vectors, AreMadeAgainByteForByte) {
  const std::string stream = TestRandomness(200);
  {
    const Vector vector = ReadVector("x25519");
    Scripted random(Hex(vector.Fact("file key")) + stream);
    auto made = Encrypt("age", {IdentitiesOf(vector)[0].recipient()}, random);
    EXPECT_EQ(made.value(), vector.file);
  }
  {
    const Vector vector = ReadVector("armor_x25519");
    Scripted random(Hex(vector.Fact("file key")) + stream);
    auto made = Encrypt("age", {IdentitiesOf(vector)[0].recipient()}, random);
    EXPECT_EQ(Armor(made.value()), vector.file);
  }
  {
    // Its first recipient's identity is the first draw of all.
    const Vector vector = ReadVector("x25519_multiple_recipients");
    Scripted first(stream.substr(0, 32));
    const Identity unknown = Identity::Generate(first).value();
    Scripted random(Hex(vector.Fact("file key")) + stream.substr(32));
    auto made = Encrypt("age", {unknown.recipient(), IdentitiesOf(vector)[0].recipient()}, random);
    EXPECT_EQ(made.value(), vector.file);
  }
  for (const char* name : {"stream_last_chunk_full", "stream_two_chunks", "stream_three_chunks",
                           "stream_last_chunk_full_second", "stream_empty_payload"}) {
    const Vector vector = ReadVector(name);
    const std::vector<Identity> identities = IdentitiesOf(vector);
    const SecretBytes plaintext = Decrypt(vector.file, identities).value();
    Scripted random(Hex(vector.Fact("file key")) + stream);
    auto made = Encrypt(plaintext.view(), {identities[0].recipient()}, random);
    EXPECT_TRUE(made.value() == vector.file) << name;
  }
}

}  // namespace
}  // namespace basalt::seal
