#include "api/tls13.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::api {
namespace {

constexpr char kConfig[] =
    "openssl_conf = basalt\n"
    "[basalt]\n"
    "ssl_conf = basalt_ssl\n"
    "[basalt_ssl]\n"
    "system_default = basalt_tls\n"
    "[basalt_tls]\n"
    "Protocol = -ALL,TLSv1.3\n"
    "Options = -SessionTicket\n";

absl::Status Failed(absl::string_view what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  return Coded(absl::StatusCode::kInternal, "tls-setup", absl::StrCat(what, ": ", text));
}

absl::Status Load() {
  // NO_LOAD_CONFIG uses up the one chance that OpenSSL has of reading the machine's openssl.cnf.
  if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) != 1) return Failed("OpenSSL init");
  BIO* bio = BIO_new_mem_buf(kConfig, -1);
  CONF* conf = NCONF_new(nullptr);
  absl::Status result;
  long line = 0;
  if (bio == nullptr || conf == nullptr || NCONF_load_bio(conf, bio, &line) <= 0) {
    result = Failed("reading the TLS settings");
  } else if (CONF_modules_load(conf, nullptr, 0) <= 0) {
    result = Failed("applying the TLS settings");
  }
  NCONF_free(conf);
  BIO_free(bio);
  return result;
}

}  // namespace

absl::Status ForceTls13() {
  static const absl::Status* result = new absl::Status(Load());
  return *result;
}

}  // namespace basalt::api
