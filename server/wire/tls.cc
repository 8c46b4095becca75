#include "server/wire/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/wire/fault.h"

namespace basalt::wire {
namespace {

constexpr int kMaxChain = 16;

std::string Reason() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
  return text == nullptr ? "the connection ended" : text;
}

absl::Status Bad(const char* code, const char* what) {
  return Fault(absl::StatusCode::kInvalidArgument, code, absl::StrCat(what, ": ", Reason()));
}

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
BioPtr Memory(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free);
}

bool AddAuthorities(SSL_CTX* context, const std::string& pem) {
  BioPtr bio = Memory(pem);
  int found = 0;
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    found += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one);
    X509_free(one);
  }
  ERR_clear_error();
  return found > 0;
}

bool UseChain(SSL_CTX* context, const std::string& pem) {
  BioPtr bio = Memory(pem);
  X509* leaf = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
  if (leaf == nullptr) return false;
  bool ok = SSL_CTX_use_certificate(context, leaf) == 1;
  X509_free(leaf);
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    ok = ok && SSL_CTX_add0_chain_cert(context, next) == 1;
  }
  if (ok) ERR_clear_error();
  return ok;
}

class Tls : public Stream {
 public:
  Tls(SSL* ssl, host::UniqueFd fd) : fd_(std::move(fd)), ssl_(ssl) {}
  ~Tls() override {
    SSL_shutdown(ssl_);
    SSL_free(ssl_);
    ERR_clear_error();
  }

  absl::Status Write(absl::string_view bytes, absl::Time deadline) override {
    size_t written = 0;
    return Try([&] { return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written); }, deadline,
               nullptr);
  }
  absl::StatusOr<std::string> Read(size_t most, absl::Time deadline) override {
    std::string buffer(most, '\0');
    size_t read = 0;
    bool ended = false;
    absl::Status status = Try(
        [&] { return SSL_read_ex(ssl_, buffer.data(), buffer.size(), &read); }, deadline, &ended);
    if (!status.ok()) return status;
    buffer.resize(ended ? 0 : read);
    return buffer;
  }
  // Tickets of TLS 1.3 come unasked: they are read away by asking for a byte.
  bool Stale() override {
    char byte;
    size_t read = 0;
    if (SSL_peek_ex(ssl_, &byte, 1, &read) == 1) return true;
    const int error = SSL_get_error(ssl_, 0);
    ERR_clear_error();
    return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
  }

  // Runs `step` until it is through. `ended`: the peer has said goodbye.
  template <typename Step>
  absl::Status Try(Step step, absl::Time deadline, bool* ended) {
    while (true) {
      ERR_clear_error();
      const int done = step();
      if (done == 1) return absl::OkStatus();
      const int error = SSL_get_error(ssl_, done);
      if (error == SSL_ERROR_ZERO_RETURN && ended != nullptr) {
        *ended = true;
        return absl::OkStatus();
      }
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        return Fault(absl::StatusCode::kUnavailable, "tls-failed", absl::StrCat("TLS: ", Reason()));
      }
      absl::Status ready =
          Await(fd_.get(), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline);
      if (!ready.ok()) return ready;
    }
  }

  SSL* ssl() { return ssl_; }

 private:
  host::UniqueFd fd_;
  SSL* const ssl_;
};

void Describe(SSL* ssl, const std::string& fault, TlsPeer* peer) {
  peer->version = SSL_get_version(ssl);
  const char* cipher = SSL_get_cipher_name(ssl);
  peer->cipher = cipher == nullptr ? "" : cipher;
  peer->fault = fault;
  peer->chain.clear();
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain) && i < kMaxChain; ++i) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(sk_X509_value(chain, i), &der);
    if (size > 0) peer->chain.emplace_back(reinterpret_cast<char*>(der), size);
    OPENSSL_free(der);
  }
}

int AcceptAny(int, X509_STORE_CTX*) { return 1; }

}  // namespace

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Make(const TlsSettings& settings) {
  ERR_clear_error();
  std::unique_ptr<TlsContext> out(new TlsContext(SSL_CTX_new(TLS_client_method()), settings));
  SSL_CTX* context = out->context_;
  if (context == nullptr) return absl::InternalError(absl::StrCat("TLS: ", Reason()));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  if (settings.ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context);  // SSL_CERT_FILE, else the system's
    ERR_clear_error();
  } else if (!AddAuthorities(context, settings.ca_pem)) {
    return Bad("bad-ca", "the authorities");
  }
  if (!settings.certificate_pem.empty() && !UseChain(context, settings.certificate_pem)) {
    return Bad("bad-certificate", "the client certificate");
  }
  if (!settings.key_pem.empty()) {
    BioPtr bio = Memory(settings.key_pem);
    // A key that wants a passphrase is refused: nobody is there to type it.
    auto none = [](char*, int, int, void*) { return 0; };
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, none, nullptr);
    const bool ok = key != nullptr && SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    if (!ok) return Bad("bad-key", "the private key of the client certificate");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, settings.verify ? nullptr : &AcceptAny);
  return out;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

absl::StatusOr<std::unique_ptr<Stream>> TlsContext::Handshake(host::UniqueFd fd,
                                                              absl::Time deadline, TlsPeer* peer) {
  SSL* ssl = SSL_new(context_);
  if (ssl == nullptr || SSL_set_fd(ssl, fd.get()) != 1) {
    SSL_free(ssl);
    return absl::InternalError(absl::StrCat("TLS: ", Reason()));
  }
  auto stream = std::make_unique<Tls>(ssl, std::move(fd));
  X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // An address is looked for among the addresses of the certificate, and is no name to ask for.
  if (X509_VERIFY_PARAM_set1_ip_asc(rules, settings_.name.c_str()) != 1) {
    ERR_clear_error();
    X509_VERIFY_PARAM_set1_host(rules, settings_.name.c_str(), settings_.name.size());
    SSL_set_tlsext_host_name(ssl, settings_.name.c_str());
  }
  absl::Status status = stream->Try([ssl] { return SSL_connect(ssl); }, deadline, nullptr);
  const long verdict = SSL_get_verify_result(ssl);
  const std::string fault = verdict == X509_V_OK ? "" : X509_verify_cert_error_string(verdict);
  if (peer != nullptr) Describe(ssl, fault, peer);
  if (!status.ok()) {
    if (fault.empty() || absl::IsDeadlineExceeded(status)) return status;
    return Fault(absl::StatusCode::kUnavailable, "tls-not-trusted",
                 absl::StrCat("the certificate of ", settings_.name, ": ", fault));
  }
  return stream;
}

}  // namespace basalt::wire
