// What the user sees: standard output collected and written in few calls, errors as "ctr: sentence" on standard error,
// and what is known about the terminal.
#pragma once

#include <string>
#include <string_view>

namespace ctr {

/// Buffered; flush_standard_out writes. Throws when standard output is full or closed.
void write_standard_out(std::string_view text);
void flush_standard_out();
/// At once, unbuffered; failures are not reported: there is nowhere to report them to.
void write_standard_error(std::string_view text);
/// "ctr: message\n" on standard error.
void print_error(std::string_view message);
/// "WARNING: message\n" on standard error.
void print_warning(std::string_view message);

bool is_terminal(int fd);
/// Columns of the terminal behind `fd`, 80 when it does not say.
int terminal_width(int fd);
/// Colours only on a terminal, and not with NO_COLOR set or TERM=dumb.
bool wants_colour(int fd);

/// "ctr version 0.1.0" with a newline.
std::string version_line();

}  // namespace ctr
