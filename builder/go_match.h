// Go's filepath.Match for slash-separated names: what COPY and ADD sources use. `*` and `?` stop at a slash, [a-z] and
// [^a-z] are classes, a backslash quotes. Matches characters (UTF-8), not bytes.
#pragma once

#include <string>
#include <string_view>

namespace ctr {

/// True if the whole of `name` matches. Throws Error(Invalid) "syntax error in pattern" for a malformed pattern.
bool go_match(std::string_view pattern, std::string_view name);

/// True if the text holds one of * ? [ or a backslash.
bool has_glob_characters(std::string_view text) noexcept;

/// Go's path.Clean: no double slashes, no ".", ".." resolved as text; "" becomes ".".
std::string clean_path(std::string_view path);

}  // namespace ctr
