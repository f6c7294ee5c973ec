#include "cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace ctr {

namespace {

std::string& pending() {
  static std::string text;
  return text;
}

}  // namespace

void write_standard_out(std::string_view text) {
  pending().append(text);
  if (pending().size() > 65536) flush_standard_out();
}

void flush_standard_out() {
  const std::string text = std::exchange(pending(), {});
  if (!text.empty()) write_all(STDOUT_FILENO, as_bytes(text), "to standard output");
}

void write_standard_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void print_error(std::string_view message) { write_standard_error("ctr: " + std::string(message) + "\n"); }

void print_warning(std::string_view message) { write_standard_error("WARNING: " + std::string(message) + "\n"); }

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

int terminal_width(int fd) {
  struct winsize size = {};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

bool wants_colour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return is_terminal(fd) && (no_colour == nullptr || *no_colour == '\0') &&
         (terminal == nullptr || std::strcmp(terminal, "dumb") != 0);
}

std::string version_line() { return "ctr version " CTR_VERSION "\n"; }

}  // namespace ctr
