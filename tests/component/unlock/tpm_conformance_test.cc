// One suite for the fake TPM and for the real code over swtpm: whom a sealed key is given to.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tcti_swtpm.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/unlock/esys_tpm.h"
#include "server/unlock/keyslot.h"
#include "server/unlock/tpm_policy.h"
#include "tests/support/unlock/fake_unlock.h"

extern char** environ;

namespace basalt::unlock {
namespace {

constexpr char kSwtpm[] = "/usr/bin/swtpm";

// A machine with a TPM: what a test does to it from outside.
class TpmMachine {
 public:
  virtual ~TpmMachine() = default;
  virtual StatusOr<std::unique_ptr<Tpm>> Open() = 0;
  virtual void Restart() = 0;           // registers as at boot
  virtual void ChangePcr(int pcr) = 0;  // something is measured into it
  virtual void Replace() = 0;           // another TPM
  // Signatures for PCR 11 as it is now, and the key.
  virtual PcrAuthority SignNow() = 0;
};

class FakeTpmMachine : public TpmMachine {
 public:
  StatusOr<std::unique_ptr<Tpm>> Open() override { return std::make_unique<FakeTpm>(state_); }
  void Restart() override {
    state_.locked = false;
    state_.pcr7 = std::string(32, '7');
    state_.pcr11 = "image 1";
  }
  void ChangePcr(int pcr) override {
    if (pcr == 7) state_.pcr7 = std::string(32, '8');
    if (pcr == 11) state_.pcr11 += "+";
  }
  void Replace() override { state_.seed = "another TPM"; }
  PcrAuthority SignNow() override {
    return {.public_key = "owner", .signatures = absl::StrCat("[", state_.pcr11, "]")};
  }

 private:
  FakeTpmState state_;
};

// Two ports beside each other that nobody has now.
uint16_t FreePort() {
  for (int attempt = 0; attempt < 50; ++attempt) {
    int fds[2];
    uint16_t port = 0;
    bool good = true;
    for (int i = 0; i < 2; ++i) {
      fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address = {};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(i == 0 ? 0 : static_cast<uint16_t>(port + 1));
      socklen_t size = sizeof address;
      good = good && bind(fds[i], reinterpret_cast<sockaddr*>(&address), size) == 0;
      getsockname(fds[i], reinterpret_cast<sockaddr*>(&address), &size);
      if (i == 0) port = ntohs(address.sin_port);
    }
    close(fds[0]);
    close(fds[1]);
    if (good && port < 65535) return port;
  }
  return 0;
}

class Swtpm : public TpmMachine {
 public:
  Swtpm() {
    root_ = ::testing::TempDir() + "/swtpm-XXXXXX";
    if (mkdtemp(root_.data()) == nullptr) std::abort();
    NewKey();
    Start();
  }
  ~Swtpm() override {
    EVP_PKEY_free(key_);
    Stop();
    std::filesystem::remove_all(root_);
  }
  StatusOr<std::unique_ptr<Tpm>> Open() override { return MakeEsysTpm(transport_); }
  void Restart() override {
    Stop();
    Start();
  }
  void ChangePcr(int pcr) override {
    ESYS_CONTEXT* esys = nullptr;
    ASSERT_EQ(Esys_Initialize(&esys, transport_, nullptr), TSS2_RC_SUCCESS);
    TPML_DIGEST_VALUES values = {.count = 1, .digests = {}};
    values.digests[0].hashAlg = TPM2_ALG_SHA256;
    values.digests[0].digest.sha256[0] = 1;
    EXPECT_EQ(Esys_PCR_Extend(esys, ESYS_TR_PCR0 + static_cast<ESYS_TR>(pcr), ESYS_TR_PASSWORD,
                              ESYS_TR_NONE, ESYS_TR_NONE, &values),
              TSS2_RC_SUCCESS);
    Esys_Finalize(&esys);
    if (pcr == 11) pcr11_ = Sha256Of(pcr11_ + std::string(1, '\1') + std::string(31, '\0'));
  }
  void Replace() override {
    Stop();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    Start();
  }
  PcrAuthority SignNow() override {
    PcrAuthority out;
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key_);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    out.public_key.assign(text, static_cast<size_t>(size));
    BIO_free(bio);
    unsigned char* der = nullptr;
    const int der_size = i2d_PublicKey(key_, &der);
    const std::string fingerprint = absl::BytesToHexString(
        Sha256Of({reinterpret_cast<char*>(der), static_cast<size_t>(der_size)}));
    OPENSSL_free(der);
    const std::string policy = PolicyPcr(std::string(32, '\0'), 1U << 11, pcr11_);
    EVP_MD_CTX* ctx = EVP_MD_CTX_new();
    std::string signature(1024, '\0');
    size_t signature_size = signature.size();
    EXPECT_EQ(EVP_DigestSignInit(ctx, nullptr, EVP_sha256(), nullptr, key_), 1);
    EXPECT_EQ(
        EVP_DigestSign(ctx, reinterpret_cast<unsigned char*>(signature.data()), &signature_size,
                       reinterpret_cast<const unsigned char*>(policy.data()), policy.size()),
        1);
    EVP_MD_CTX_free(ctx);
    signature.resize(signature_size);
    out.signatures = absl::StrCat("{\"sha256\":[{\"pcrs\":[11],\"pkfp\":\"", fingerprint,
                                  "\",\"pol\":\"", absl::BytesToHexString(policy), "\",\"sig\":\"",
                                  absl::Base64Escape(signature), "\"}]}");
    return out;
  }
  void UseRsa() {
    EVP_PKEY_free(key_);
    key_ = EVP_RSA_gen(2048);
  }

 private:
  void NewKey() { key_ = EVP_EC_gen("P-256"); }
  void Start() {
    pcr11_ = std::string(32, '\0');
    const uint16_t port = FreePort();
    std::vector<std::string> argv = {
        kSwtpm,
        "socket",
        "--tpm2",
        "--tpmstate",
        absl::StrCat("dir=", root_),
        "--server",
        absl::StrCat("type=tcp,port=", port, ",bindaddr=127.0.0.1"),
        "--ctrl",
        absl::StrCat("type=tcp,port=", port + 1, ",bindaddr=127.0.0.1"),
        "--flags",
        "not-need-init,startup-clear"};
    std::vector<char*> args;
    for (std::string& a : argv) args.push_back(a.data());
    args.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&pid_, kSwtpm, nullptr, nullptr, args.data(), environ), 0);
    const std::string where = absl::StrCat("host=127.0.0.1,port=", port);
    size_t size = 0;
    Tss2_Tcti_Swtpm_Init(nullptr, &size, where.c_str());
    transport_ = static_cast<TSS2_TCTI_CONTEXT*>(calloc(1, size));
    // Until it listens.
    const absl::Time until = absl::Now() + absl::Seconds(30);
    while (Tss2_Tcti_Swtpm_Init(transport_, &size, where.c_str()) != TSS2_RC_SUCCESS) {
      ASSERT_LT(absl::Now(), until) << "swtpm does not listen";
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  void Stop() {
    if (transport_ != nullptr) {
      Tss2_Tcti_Finalize(transport_);
      free(transport_);
      transport_ = nullptr;
    }
    if (pid_ > 0) {
      kill(pid_, SIGTERM);  // not reaped yet, so the pid is still its own
      waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
  }

  std::string root_, pcr11_;
  pid_t pid_ = -1;
  TSS2_TCTI_CONTEXT* transport_ = nullptr;
  EVP_PKEY* key_ = nullptr;
};

class TpmConformanceTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "fake") {
      machine_ = std::make_unique<FakeTpmMachine>();
      return;
    }
    if (access(kSwtpm, X_OK) != 0) GTEST_SKIP() << "no swtpm here";
    setenv("TSS2_LOG", "all+none", 1);
    auto swtpm = std::make_unique<Swtpm>();
    if (GetParam() == "swtpm_rsa") swtpm->UseRsa();
    machine_ = std::move(swtpm);
  }
  StatusOr<Sealed> Seal(const std::optional<PcrAuthority>& authority = std::nullopt) {
    auto tpm = machine_->Open();
    if (!tpm.ok()) return tpm.status();
    return (*tpm)->Seal(secret_, authority);
  }
  Status Unseal(const Sealed& sealed, const std::optional<PcrAuthority>& authority = std::nullopt) {
    auto tpm = machine_->Open();
    if (!tpm.ok()) return tpm.status();
    auto secret = (*tpm)->Unseal(sealed, authority);
    if (secret.ok() && secret->view() != secret_.view()) return InternalError("another one");
    return secret.status();
  }
  std::unique_ptr<TpmMachine> machine_;
  SecretBytes secret_ = RandomSecret(32);
};

TEST_P(TpmConformanceTest, WhatWasSealedIsGivenBackAlsoAfterARestart) {
  auto sealed = Seal();
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  EXPECT_TRUE(Unseal(*sealed).ok()) << Unseal(*sealed);
  machine_->Restart();
  EXPECT_TRUE(Unseal(*sealed).ok()) << Unseal(*sealed);
}

TEST_P(TpmConformanceTest, NotWhenSecureBootIsAnother) {
  auto sealed = Seal();
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  machine_->ChangePcr(7);
  Status status = Unseal(*sealed);
  EXPECT_TRUE(IsPermissionDenied(status)) << status;
  EXPECT_NE(std::string(status.message()).find("PCR 7"), std::string::npos) << status;
  machine_->Restart();
  EXPECT_TRUE(Unseal(*sealed).ok());
}

TEST_P(TpmConformanceTest, NotByAnotherTpm) {
  auto sealed = Seal();
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  machine_->Replace();
  Status status = Unseal(*sealed);
  EXPECT_TRUE(IsPermissionDenied(status)) << status;
  EXPECT_NE(std::string(status.message()).find("not the TPM"), std::string::npos) << status;
}

TEST_P(TpmConformanceTest, NotAfterTheDisksAreOpen) {
  auto sealed = Seal();
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  ASSERT_TRUE((*machine_->Open())->Lock().ok());
  Status status = Unseal(*sealed);
  EXPECT_TRUE(IsPermissionDenied(status)) << status;
  EXPECT_NE(std::string(status.message()).find("PCR 15"), std::string::npos) << status;
  EXPECT_TRUE((*machine_->Open())->Lock().ok());
  // Nor is anything sealed that nobody would get.
  EXPECT_TRUE(IsFailedPrecondition(Seal().status()));
  machine_->Restart();
  EXPECT_TRUE(Unseal(*sealed).ok());
}

TEST_P(TpmConformanceTest, AnImageThatTheOwnerSignedOpensWhatAnotherOneSealed) {
  machine_->ChangePcr(11);
  auto sealed = Seal(machine_->SignNow());
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  Status status = Unseal(*sealed, machine_->SignNow());
  EXPECT_TRUE(status.ok()) << status;
  machine_->Restart();
  machine_->ChangePcr(11);
  machine_->ChangePcr(11);  // an update
  EXPECT_TRUE(IsPermissionDenied(Unseal(*sealed))) << "without signatures";
  status = Unseal(*sealed, machine_->SignNow());
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(TpmConformanceTest, AnImageThatNobodySignedDoesNot) {
  machine_->ChangePcr(11);
  const PcrAuthority of_first = machine_->SignNow();
  auto sealed = Seal(of_first);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  machine_->ChangePcr(11);
  Status status = Unseal(*sealed, of_first);
  EXPECT_TRUE(IsPermissionDenied(status)) << status;
  EXPECT_NE(std::string(status.message()).find("PCR 11"), std::string::npos) << status;
}

INSTANTIATE_TEST_SUITE_P(Fake, TpmConformanceTest, ::testing::Values("fake"));
INSTANTIATE_TEST_SUITE_P(Real, TpmConformanceTest, ::testing::Values("swtpm", "swtpm_rsa"));

TEST(SwtpmTest, ASignatureByAnotherKeyIsNoSignature) {
  if (access(kSwtpm, X_OK) != 0) GTEST_SKIP() << "no swtpm here";
  Swtpm machine;
  const SecretBytes secret = RandomSecret(32);
  machine.ChangePcr(11);
  auto sealed = (*machine.Open())->Seal(secret, machine.SignNow());
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  const PcrAuthority good = machine.SignNow();
  machine.UseRsa();
  PcrAuthority bad = machine.SignNow();
  EXPECT_TRUE(IsPermissionDenied((*machine.Open())->Unseal(*sealed, bad).status()));
  // The right fingerprint over a signature that is somebody else's.
  const size_t at = good.signatures.find("pkfp");
  bad.signatures.replace(bad.signatures.find("pkfp"), 72, good.signatures, at, 72);
  EXPECT_TRUE(IsPermissionDenied((*machine.Open())->Unseal(*sealed, bad).status()));
}

TEST(SwtpmTest, ADamagedBlobIsRefused) {
  if (access(kSwtpm, X_OK) != 0) GTEST_SKIP() << "no swtpm here";
  Swtpm machine;
  auto sealed = (*machine.Open())->Seal(RandomSecret(32), std::nullopt);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  Sealed damaged = *sealed;
  damaged.private_part.back() = static_cast<char>(damaged.private_part.back() ^ 1);
  EXPECT_FALSE((*machine.Open())->Unseal(damaged, std::nullopt).ok());
  damaged = *sealed;
  damaged.public_part.clear();
  EXPECT_TRUE(IsDataLoss((*machine.Open())->Unseal(damaged, std::nullopt).status()));
}

}  // namespace
}  // namespace basalt::unlock
