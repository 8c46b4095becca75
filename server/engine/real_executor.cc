#include "server/engine/real_executor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/host/fd.h"

namespace basalt::engine {
namespace {

using Function = std::function<void()>;

absl::Duration BootTime() {
  timespec ts{};
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return absl::DurationFromTimespec(ts);
}

struct Job {
  Function work;
  Function done;
};

class EpollExecutor : public RealExecutor {
 public:
  EpollExecutor(const RealExecutorOptions& options, host::UniqueFd epoll, host::UniqueFd wake,
                host::UniqueFd timer)
      : options_(options),
        epoll_(std::move(epoll)),
        wake_(std::move(wake)),
        timer_(std::move(timer)) {
    for (int i = 0; i < options_.pool_threads; ++i) pool_.emplace_back([this] { Work(); });
  }

  ~EpollExecutor() override {
    Stop();
    {
      std::lock_guard lock(pool_mu_);
      pool_stopping_ = true;
      jobs_.clear();
    }
    pool_cv_.notify_all();
    for (std::thread& thread : pool_) thread.join();
  }

  void Post(Function fn) override {
    {
      std::lock_guard lock(post_mu_);
      if (stopped_) return;
      posted_.push_back(std::move(fn));
    }
    Wake();
  }

  TimerId After(absl::Duration delay, Function fn) override {
    TimerId id = next_timer_++;
    absl::Duration at = BootTime() + std::max(delay, absl::ZeroDuration());
    timer_at_[id] = at;
    timers_[{at, id}] = std::move(fn);
    return id;
  }

  void CancelTimer(TimerId id) override {
    auto it = timer_at_.find(id);
    if (it == timer_at_.end()) return;
    timers_.erase({it->second, id});
    timer_at_.erase(it);
  }

  bool RunBlocking(Function work, Function done) override {
    {
      std::lock_guard lock(pool_mu_);
      if (pool_stopping_ || jobs_.size() >= options_.queue) return false;
      jobs_.push_back({std::move(work), std::move(done)});
    }
    pool_cv_.notify_one();
    return true;
  }

  void WatchFd(int fd, Function ready) override {
    uint64_t tag = next_watch_++;
    auto [it, fresh] = watches_.insert_or_assign(fd, Watch{tag, std::move(ready)});
    epoll_event event{.events = EPOLLIN, .data = {.u64 = Tagged(fd, tag)}};
    epoll_ctl(epoll_.get(), fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
  }

  void UnwatchFd(int fd) override {
    if (watches_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }

  void Run() override {
    std::array<epoll_event, 32> events;
    while (true) {
      RunPosted();
      RunTimers();
      if (Stopped()) break;
      ArmTimer();
      int n = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      for (int i = 0; i < n; ++i) Dispatch(events[static_cast<size_t>(i)].data.u64);
    }
    // Functions that were never run may own what must be destroyed on this thread.
    std::deque<Function> dropped;
    {
      std::lock_guard lock(post_mu_);
      dropped.swap(posted_);
    }
  }

  void Stop() override {
    {
      std::lock_guard lock(post_mu_);
      stopped_ = true;
    }
    Wake();
  }

 private:
  struct Watch {
    uint64_t tag = 0;
    Function ready;
  };

  // The tag tells a descriptor from its successor of the same number: an event that was fetched
  // before UnwatchFd must not reach who watches the reused number now.
  static uint64_t Tagged(int fd, uint64_t tag) { return (tag << 32) | static_cast<uint32_t>(fd); }

  bool Stopped() {
    std::lock_guard lock(post_mu_);
    return stopped_;
  }

  void Wake() {
    uint64_t one = 1;
    // A full counter means that a wake-up waits already.
    [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof one);
  }

  static void Drain(int fd) {
    uint64_t count;
    [[maybe_unused]] ssize_t n = read(fd, &count, sizeof count);  // EAGAIN: drained before
  }

  void Dispatch(uint64_t data) {
    int fd = static_cast<int>(data & 0xffffffffu);
    if (fd == wake_.get() || fd == timer_.get()) {
      Drain(fd);
      if (fd == timer_.get()) armed_ = absl::InfiniteDuration();
      return;  // the next turn runs what is posted and due
    }
    auto it = watches_.find(fd);
    if (it == watches_.end() || Tagged(fd, it->second.tag) != data) return;
    Function ready = it->second.ready;  // a copy: it may unwatch itself
    ready();
  }

  void RunPosted() {
    std::deque<Function> batch;
    {
      std::lock_guard lock(post_mu_);
      if (stopped_) return;
      batch.swap(posted_);
    }
    for (Function& fn : batch) fn();
  }

  void RunTimers() {
    while (!timers_.empty() && timers_.begin()->first.first <= BootTime()) {
      auto node = timers_.extract(timers_.begin());
      timer_at_.erase(node.key().second);
      node.mapped()();
    }
  }

  // Before each wait: the kernel's timer stands at the first of ours.
  void ArmTimer() {
    absl::Duration next = timers_.empty() ? absl::InfiniteDuration() : timers_.begin()->first.first;
    if (next == armed_) return;
    armed_ = next;
    itimerspec spec{};  // all zero disarms
    if (!timers_.empty()) spec.it_value = absl::ToTimespec(next);
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  }

  void Work() {
    while (true) {
      Job job;
      {
        std::unique_lock lock(pool_mu_);
        pool_cv_.wait(lock, [this] { return pool_stopping_ || !jobs_.empty(); });
        if (pool_stopping_) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job.work();
      job.work = nullptr;
      Post(std::move(job.done));
    }
  }

  const RealExecutorOptions options_;
  host::UniqueFd epoll_, wake_, timer_;

  std::mutex post_mu_;
  std::deque<Function> posted_;  // guarded by post_mu_
  bool stopped_ = false;         // guarded by post_mu_

  std::map<std::pair<absl::Duration, TimerId>, Function> timers_;  // loop thread
  std::map<TimerId, absl::Duration> timer_at_;                     // loop thread
  std::map<int, Watch> watches_;                                   // loop thread
  absl::Duration armed_ = absl::InfiniteDuration();                // loop thread
  TimerId next_timer_ = 1;
  uint64_t next_watch_ = 1;

  std::mutex pool_mu_;
  std::condition_variable pool_cv_;
  std::deque<Job> jobs_;        // guarded by pool_mu_
  bool pool_stopping_ = false;  // guarded by pool_mu_
  std::vector<std::thread> pool_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RealExecutor>> MakeRealExecutor(const RealExecutorOptions& options) {
  host::UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  host::UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  host::UniqueFd timer(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!epoll.valid() || !wake.valid() || !timer.valid()) {
    return absl::ResourceExhaustedError(absl::StrCat("event loop: ", strerror(errno)));
  }
  for (int fd : {wake.get(), timer.get()}) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = static_cast<uint64_t>(fd)}};
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return absl::InternalError(absl::StrCat("event loop: ", strerror(errno)));
    }
  }
  return std::make_unique<EpollExecutor>(options, std::move(epoll), std::move(wake),
                                         std::move(timer));
}

}  // namespace basalt::engine
