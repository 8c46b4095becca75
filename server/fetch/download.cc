#include "server/fetch/download.h"

#include <curl/curl.h>
#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "server/fetch/local_copy.h"
#include "server/fetch/target_file.h"

namespace basalt::fetch {
namespace {

constexpr int kAttempts = 4;  // at one URL, while each makes progress
constexpr long kConnectSeconds = 15;
constexpr long kSlowestBytesPerSecond = 1024;

struct Transfer {
  CURL* curl = nullptr;
  TargetFile* target = nullptr;
  Outcome outcome = Outcome::kOk;  // of writing
  std::string why;
  std::string etag;
  int64_t content_length = -1;
  int64_t range_start = -1;
  int64_t range_total = -1;
  bool begun = false;  // the first bytes of the body were looked at
};

// Header names arrive in any case; a new status line begins the headers of the next answer of a
// chain of redirects.
size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  std::string line(data, size * count);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.pop_back();
  if (line.rfind("HTTP/", 0) == 0) {
    transfer->etag.clear();
    transfer->content_length = transfer->range_start = transfer->range_total = -1;
  } else if (strncasecmp(line.c_str(), "etag:", 5) == 0) {
    size_t from = line.find_first_not_of(' ', 5);
    if (from != std::string::npos) transfer->etag = line.substr(from);
  } else if (strncasecmp(line.c_str(), "content-length:", 15) == 0) {
    transfer->content_length = strtoll(line.c_str() + 15, nullptr, 10);
  } else if (strncasecmp(line.c_str(), "content-range:", 14) == 0) {
    long long start = -1, end = -1, total = -1;
    if (sscanf(line.c_str() + 14, " bytes %lld-%lld/%lld", &start, &end, &total) >= 2) {
      transfer->range_start = start;
      transfer->range_total = total;
    }
  }
  return size * count;
}

// The first bytes of the body: does it continue what is there, or begin anew?
bool Begin(Transfer* transfer) {
  TargetFile& target = *transfer->target;
  long status = 0;
  curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 206 && transfer->range_start == target.size()) {
    target.set_total(std::max<int64_t>(transfer->range_total, 0));
    if (transfer->range_total > target.limit()) transfer->outcome = Outcome::kTooLarge;
  } else if (status == 206) {
    transfer->outcome = Outcome::kFailed;
    transfer->why = "the server sent another range than was asked for";
  } else {
    transfer->outcome = target.Restart();
    target.set_total(std::max<int64_t>(transfer->content_length, 0));
    if (transfer->content_length > target.limit()) transfer->outcome = Outcome::kTooLarge;
  }
  return transfer->outcome == Outcome::kOk;
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  if (!transfer->begun) {
    transfer->begun = true;
    if (!Begin(transfer)) return 0;
    char* url = nullptr;
    curl_easy_getinfo(transfer->curl, CURLINFO_EFFECTIVE_URL, &url);
    transfer->target->SetValidator(url == nullptr ? "" : url, transfer->etag);
  }
  transfer->outcome = transfer->target->Append(data, size * count);
  return transfer->outcome == Outcome::kOk ? size * count : 0;
}

void SetOptions(CURL* curl, const Arguments& arguments, const Asking& asking,
                const std::string& url, Transfer* transfer) {
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "noded-fetch");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  // With none left it is an error to be sent elsewhere, and the page that says so is no answer.
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS,
                   asking.redirects ? static_cast<long>(kMaxRedirects) : 0L);
  if (asking.method != "GET") curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, asking.method.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
  // One file over one connection: what HTTP/2 adds is a library more (left_out.cc).
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kSlowestBytesPerSecond);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(arguments.stall_seconds));
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
  // The library, unlike the curl tool, does not look at it by itself.
  if (const char* bundle = getenv("SSL_CERT_FILE"); bundle != nullptr && *bundle != '\0') {
    curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
  }
}

Outcome Classify(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return Outcome::kOk;
    case CURLE_TOO_MANY_REDIRECTS:
      return Outcome::kRedirectLoop;
    case CURLE_OPERATION_TIMEDOUT:
      return Outcome::kStalled;
    case CURLE_FILESIZE_EXCEEDED:
      return Outcome::kTooLarge;
    default:
      return Outcome::kFailed;
  }
}

bool WorthAnotherTry(CURLcode code) {
  switch (code) {
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2_STREAM:
    case CURLE_HTTP2:
    case CURLE_OPERATION_TIMEDOUT:
      return true;
    default:
      return false;
  }
}

// One request. `again`: the connection broke; the same URL may go on from where it stopped.
Outcome Attempt(const Arguments& arguments, const Asking& asking, const std::string& url,
                TargetFile& target, const Hooks& hooks, std::string* why, bool* again) {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  Transfer transfer;
  transfer.curl = curl.get();
  transfer.target = &target;
  SetOptions(curl.get(), arguments, asking, url, &transfer);
  char text[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, text);
  curl_slist* headers = nullptr;
  for (const std::string& header : asking.headers) {
    headers = curl_slist_append(headers, header.c_str());
  }
  std::string range = std::to_string(target.size()) + "-";
  if (target.size() > 0) {
    curl_easy_setopt(curl.get(), CURLOPT_RANGE, range.c_str());
    // An ETag means something only to the server that gave it; weak ones are not for ranges.
    std::string etag = target.Validator();
    if (!etag.empty() && etag.rfind("W/", 0) != 0 && target.ValidatorUrl() == url) {
      headers = curl_slist_append(headers, ("If-Range: " + etag).c_str());
    }
  }
  if (headers != nullptr) curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers);
  CURLcode code = curl_easy_perform(curl.get());
  curl_slist_free_all(headers);
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (hooks.status && status != 0) hooks.status(static_cast<int>(status));
  *again = WorthAnotherTry(code);
  if (transfer.outcome != Outcome::kOk) {
    *why = !transfer.why.empty() ? transfer.why
           : transfer.outcome == Outcome::kTooLarge
               ? "more than the " + std::to_string(target.limit()) + " bytes that are allowed"
               : "cannot write the file";
    return transfer.outcome;
  }
  if (code == CURLE_HTTP_RETURNED_ERROR && status == 416) {
    // What is there is as long as the whole, or longer: from the start, to be sure.
    *again = target.Restart() == Outcome::kOk;
    *why = "the server has nothing beyond what is there";
    return Outcome::kFailed;
  }
  *why = text[0] != '\0' ? text : curl_easy_strerror(code);
  curl_off_t connected = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_CONNECT_TIME_T, &connected);
  if (code == CURLE_OPERATION_TIMEDOUT && connected == 0) return Outcome::kFailed;
  return Classify(code);
}

Outcome FromUrl(const Arguments& arguments, const Asking& asking, const std::string& url,
                TargetFile& target, const Hooks& hooks, std::string* why) {
  if (url.rfind("file:", 0) == 0) return CopyLocal(url, target, why);
  Outcome outcome = Outcome::kFailed;
  bool restarted = false;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    int64_t before = target.size();
    bool again = false;
    outcome = Attempt(arguments, asking, url, target, hooks, why, &again);
    if (outcome == Outcome::kOk || !again) return outcome;
    bool moved = target.size() > before;
    bool cut_back = target.size() < before && !restarted;
    if (cut_back) restarted = true;
    if (!moved && !cut_back) return outcome;
    if (attempt < kAttempts) hooks.pause(attempt);
  }
  return outcome;
}

}  // namespace

Outcome Download(const Arguments& arguments, int fd, const Hooks& hooks, std::string* why,
                 const Asking& asking) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  TargetFile target(fd, arguments.limit, hooks.progress);
  Outcome overall = Outcome::kOk;
  int index = -1;
  for (const std::string& url : arguments.urls) {
    ++index;
    Outcome outcome = FromUrl(arguments, asking, url, target, hooks, why);
    if (outcome == Outcome::kOk && arguments.expected > 0 && target.size() != arguments.expected) {
      *why =
          std::to_string(target.size()) + " bytes instead of " + std::to_string(arguments.expected);
      outcome = Outcome::kFailed;
      // Another mirror must not continue what is not the beginning of the artifact.
      if (target.Restart() != Outcome::kOk) return Outcome::kNotWritable;
    }
    target.Flush();
    if (outcome == Outcome::kOk) {
      hooks.from(index);
      return Outcome::kOk;
    }
    hooks.failed(outcome, url, *why);
    if (outcome == Outcome::kDiskFull || outcome == Outcome::kNotWritable) return outcome;
    bool first = overall == Outcome::kOk;
    overall = first || overall == outcome ? outcome : Outcome::kFailed;
  }
  return overall == Outcome::kOk ? Outcome::kFailed : overall;
}

}  // namespace basalt::fetch
