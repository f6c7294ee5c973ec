// Owns what an InitPlan points to: texts, lists and descriptors. Nothing moves or goes away before the arena does.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "runtime/init_plan.h"

namespace ctr {

class PlanArena {
 public:
  const char* text(std::string_view text) {
    char* copy = allocate<char>(text.size() + 1);
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = '\0';
    return copy;
  }

  template <typename T>
  PlannedList<T> list(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (values.empty()) return {};
    T* copy = allocate<T>(values.size());
    std::memcpy(copy, values.data(), values.size() * sizeof(T));
    return {copy, values.size()};
  }

  /// A null-terminated array of texts, as execve takes it.
  const char* const* texts(const std::vector<std::string>& values) {
    const char** array = allocate<const char*>(values.size() + 1);
    for (std::size_t index = 0; index < values.size(); ++index) array[index] = text(values[index]);
    array[values.size()] = nullptr;
    return array;
  }

  PlannedWrite write(std::string_view path, std::string_view content) {
    return {text(path), text(content), content.size()};
  }

  /// Keeps the descriptor open until the child has been made; the child has it too.
  int hold(Fd fd) {
    fds_.push_back(std::move(fd));
    return fds_.back().get();
  }

  /// Every descriptor that is held.
  std::vector<int> held() const {
    std::vector<int> numbers;
    for (const Fd& fd : fds_) numbers.push_back(fd.get());
    return numbers;
  }

  void close_held() { fds_.clear(); }

 private:
  template <typename T>
  T* allocate(std::size_t count) {
    blocks_.push_back(std::make_unique<std::byte[]>(count * sizeof(T)));
    return reinterpret_cast<T*>(blocks_.back().get());
  }

  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::vector<Fd> fds_;
};

}  // namespace ctr
