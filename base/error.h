// The one exception type of the program. An Error carries a kind for code and one sentence for people; where a system
// call failed it keeps errno too, so that nobody parses text to tell EBUSY from ENOSPC.
#pragma once

#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ctr {

enum class ErrorKind { Invalid, NotFound, Exists, Denied, Busy, Unavailable, Corrupt, System };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, int error_number = 0)
      : std::runtime_error(message), kind_(kind), error_number_(error_number) {}

  ErrorKind kind() const noexcept { return kind_; }

  /// The errno of the system call that failed, or 0.
  int error_number() const noexcept { return error_number_; }

 private:
  ErrorKind kind_;
  int error_number_;
};

/// The kind that a program reacts to for an errno: NotFound for ENOENT, Denied for EACCES and EPERM, and so on.
ErrorKind kind_of_errno(int error_number) noexcept;

/// "what subject failed: text of the errno". Throws an Error of the matching kind.
[[noreturn]] void throw_errno(int error_number, std::string_view what, std::string_view subject = {});

namespace detail {
inline std::string context_text(std::string_view text) { return std::string(text); }
inline std::string context_text(const char* text) { return text; }
inline std::string context_text(const std::string& text) { return text; }
template <std::integral Number>
std::string context_text(Number number) {
  return std::to_string(number);
}
template <typename Path>
  requires requires(const Path& path) { path.native(); }
std::string context_text(const Path& path) {
  return path.native();
}
[[noreturn]] void throw_current_errno(std::string what, std::string subject);
}  // namespace detail

/// Returns `result`, or throws with errno and the context when it is negative. The context is only turned into text on
/// failure, so a successful call costs one comparison.
template <std::signed_integral Result, typename What>
Result check(Result result, const What& what) {
  if (result < 0) detail::throw_current_errno(detail::context_text(what), {});
  return result;
}
template <std::signed_integral Result, typename What, typename Subject>
Result check(Result result, const What& what, const Subject& subject) {
  if (result < 0) detail::throw_current_errno(detail::context_text(what), detail::context_text(subject));
  return result;
}

/// Runs `body`; an Error that leaves it gets "context: " in front and keeps its kind and errno.
template <typename Body>
auto in_context(std::string_view context, Body&& body) -> decltype(std::forward<Body>(body)()) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw Error(error.kind(), std::string(context) + ": " + error.what(), error.error_number());
  }
}

}  // namespace ctr
