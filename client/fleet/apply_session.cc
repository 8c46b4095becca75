#include "client/fleet/apply_session.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/context/inventory.h"

namespace basalt::client {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(2);
// The node gives its caller two minutes.
constexpr absl::Duration kReturnFor = absl::Seconds(110);

bool IsLoss(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kCancelled ||
         // A listener that was replaced answers the old connection's streams in this way.
         (status.code() == absl::StatusCode::kUnknown && api::Reason(status).empty());
}

// A node that listens everywhere says so, and knows no address of its own: "everywhere" dialled
// from here would be this machine. The host is the one that we know, the port the one that it
// names.
std::string Dialable(const std::string& endpoint, const std::string& known) {
  const std::string host = HostOf(endpoint);
  if (known.empty() || (host != "0.0.0.0" && host != "[::]")) return endpoint;
  return absl::StrCat(HostOf(known), endpoint.substr(host.size()));
}

class Session {
 public:
  Session(std::unique_ptr<NodeClient> client, const std::string& known,
          const v1::ApplyRequest& request, absl::Time deadline, const ApplyObserver& observer,
          const std::function<void(absl::Duration)>& pause)
      : client_(std::move(client)),
        known_(known),
        request_(request),
        deadline_(deadline),
        observer_(observer),
        pause_(pause) {}

  absl::StatusOr<v1::ApplyEvent> Run() {
    absl::Duration wait = kFirstPause;
    while (true) {
      const int before = events_;
      absl::Status status = client_->Apply(
          request_, deadline_, [this](const v1::ApplyEvent& event) { return OnEvent(event); });
      if (done_) {
        TellMove();
        return last_;
      }
      if (absl::Now() >= deadline_ || status.code() == absl::StatusCode::kDeadlineExceeded) {
        return events_ == 0 && !status.ok() ? status : WaitEnded();
      }
      // Nothing arrived ever: the document was not taken, and the answer says why.
      if (!status.ok() && (events_ == 0 || !IsLoss(status))) return status;
      if (events_ != before) wait = kFirstPause;
      if (observer_.note) observer_.note("the connection ended; joining the apply again");
      pause_(std::min(wait, deadline_ - absl::Now()));
      wait = std::min(wait * 2, kLongestPause);
      dialled_ = NextEndpoint();
      joining_ = true;
      client_ = client_->Fresh(dialled_);
    }
  }

 private:
  bool OnEvent(const v1::ApplyEvent& event) {
    ++events_;
    // Only the first: a connection may outlive the listener that took it.
    if (joining_) reached_ = dialled_;
    joining_ = false;
    // A node that was asked again after it had committed says `unchanged`; this call did change it.
    v1::ApplyEvent shown = event;
    if (shown.unchanged() && accepted_) shown.set_unchanged(false);
    accepted_ = accepted_ || event.state() >= v1::APPLY_STATE_PERSISTED;
    if (!event.return_endpoints().empty()) {
      endpoints_.clear();
      for (const std::string& named : event.return_endpoints()) {
        std::string endpoint = Dialable(named, known_);
        if (endpoint != known_) endpoints_.push_back(std::move(endpoint));
      }
    }
    if (observer_.event) observer_.event(shown);
    last_ = shown;
    done_ = event.final() || event.state() == v1::APPLY_STATE_AWAITING_CONFIRM ||
            event.state() == v1::APPLY_STATE_STAGED;
    if (!event.return_token().empty() && event.return_token() != returned_) {
      ComeBack(event.return_token());
    }
    return !done_;
  }

  // Every address the node named, the one we know first. What fails here is decided by the node's
  // own deadline, so it is told and not returned.
  void ComeBack(const std::string& token) {
    std::vector<std::string> addresses = {""};
    addresses.insert(addresses.end(), endpoints_.begin(), endpoints_.end());
    // The node switches its listener in these moments: refused connections are tried again.
    const absl::Time until = std::min(deadline_, absl::Now() + kReturnFor);
    absl::Status status;
    for (absl::Duration wait = kFirstPause;; wait = std::min(wait * 2, kLongestPause)) {
      for (const std::string& address : addresses) {
        status = client_->Fresh(address)->Return(token);
        if (status.ok()) {
          returned_ = token;
          reached_ = address;
          if (observer_.note) observer_.note("came back over a new connection");
          return;
        }
      }
      if (!IsLoss(status) || absl::Now() + wait >= until) break;
      pause_(wait);
    }
    if (observer_.note) {
      observer_.note(absl::StrCat("could not come back over a new connection: ", status.message()));
    }
  }

  void TellMove() const {
    const bool holds = last_.state() == v1::APPLY_STATE_COMMITTED ||
                       last_.state() == v1::APPLY_STATE_AWAITING_CONFIRM;
    if (holds && !reached_.empty() && observer_.moved) observer_.moved(reached_);
  }

  // The address that we know, then those that the node named, in turns.
  std::string NextEndpoint() {
    size_t i = attempt_++ % (endpoints_.size() + 1);
    return i == 0 ? "" : endpoints_[i - 1];
  }

  absl::Status WaitEnded() const {
    return api::Coded(absl::StatusCode::kDeadlineExceeded, "wait-ended",
                      "the wait ended, the apply did not: the node goes on with it",
                      "nodectl status shows how it ends; --timeout waits longer");
  }

  std::unique_ptr<NodeClient> client_;
  const std::string& known_;
  const v1::ApplyRequest& request_;
  const absl::Time deadline_;
  const ApplyObserver& observer_;
  const std::function<void(absl::Duration)>& pause_;
  std::vector<std::string> endpoints_;
  // An empty address is the one that we know.
  std::string dialled_;
  std::string reached_;
  std::string returned_;
  v1::ApplyEvent last_;
  size_t attempt_ = 0;
  int events_ = 0;
  bool joining_ = false;
  bool accepted_ = false;
  bool done_ = false;
};

}  // namespace

absl::StatusOr<v1::ApplyEvent> RunApply(std::unique_ptr<NodeClient> client,
                                        const std::string& known, const v1::ApplyRequest& request,
                                        absl::Time deadline, const ApplyObserver& observer,
                                        const std::function<void(absl::Duration)>& pause) {
  return Session(std::move(client), known, request, deadline, observer, pause).Run();
}

}  // namespace basalt::client
