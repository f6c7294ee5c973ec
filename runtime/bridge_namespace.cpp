#include "runtime/bridge_namespace.h"

#include <fcntl.h>
#include <sched.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "runtime/network_namespace.h"
#include "runtime/user_session.h"

namespace ctr {
namespace {

/// What the thread outside does while it waits for the one inside.
class Outside {
 public:
  /// For the thread inside: hands over work and waits for its end.
  void run(const std::function<void()>& body) {
    std::unique_lock lock(mutex_);
    work_ = &body;
    failure_ = nullptr;
    changed_.notify_all();
    changed_.wait(lock, [&] { return work_ == nullptr; });
    if (failure_) std::rethrow_exception(failure_);
  }

  void finish() {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    changed_.notify_all();
  }

  /// For the thread outside: works until finish().
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return work_ != nullptr || is_over_; });
      if (work_ == nullptr) return;
      try {
        (*work_)();
      } catch (...) {
        failure_ = std::current_exception();
      }
      work_ = nullptr;
      changed_.notify_all();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;
  std::exception_ptr failure_;
  bool is_over_ = false;
};

/// Set in a thread that is inside: a namespace is a property of the thread as well.
thread_local Outside* outside_of_this_thread = nullptr;

}  // namespace

void in_bridge_namespace(const Paths& paths, const std::function<void()>& body) {
  const std::optional<fs::path> network = session_network(paths);
  if (!network || outside_of_this_thread != nullptr) return body();
  const Fd netns = open_network_namespace(*network);
  Outside outside;
  std::exception_ptr failure;
  std::thread inside([&] {
    try {
      // There is no way back to a namespace that is not ours: the thread ends in here.
      check(::setns(netns.get(), CLONE_NEWNET), "enter the network of the user's session");
      outside_of_this_thread = &outside;
      body();
    } catch (...) {
      failure = std::current_exception();
    }
    outside.finish();
  });
  outside.serve();
  inside.join();
  if (failure) std::rethrow_exception(failure);
}

void outside_bridge_namespace(const std::function<void()>& body) {
  if (outside_of_this_thread == nullptr) return body();
  outside_of_this_thread->run(body);
}

}  // namespace ctr
