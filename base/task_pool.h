// Threads that run tasks: a bound on how many run at once, and an end that waits for all.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace ctr {

/// Threads start when tasks come. The destructor runs what was submitted and waits. Thread-safe.
class TaskPool {
 public:
  explicit TaskPool(std::size_t threads) : limit_(threads == 0 ? 1 : threads) {}
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  /// The future holds the result or the exception.
  template <typename Task>
  std::future<std::invoke_result_t<Task>> submit(Task task) {
    auto packaged = std::make_shared<std::packaged_task<std::invoke_result_t<Task>()>>(std::move(task));
    std::future<std::invoke_result_t<Task>> future = packaged->get_future();
    add([packaged] { (*packaged)(); });
    return future;
  }

 private:
  void add(std::function<void()> task);
  void work();

  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ending_ = false;
};

/// The processors that this process may use.
std::size_t processor_count();

}  // namespace ctr
