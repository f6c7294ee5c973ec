#include "builder/context_spec.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "builder/go_match.h"

namespace ctr {

namespace {

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

bool has_scheme(std::string_view text, std::string_view scheme) {
  return text.size() > scheme.size() + 3 && lower(text.substr(0, scheme.size())) == scheme &&
         text.substr(scheme.size(), 3) == "://";
}

// user@host:path, the form of ssh that looks like no URL.
bool is_scp_form(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0) return false;
  const std::size_t colon = text.find(':', at);
  if (colon == std::string_view::npos || colon == at + 1) return false;
  const auto in_user = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; };
  const auto in_host = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '.'; };
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), in_user) &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                     text.begin() + static_cast<std::ptrdiff_t>(colon), in_host);
}

std::string decode_percent(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      const std::optional<std::uint64_t> byte =
          i + 2 < text.size() ? parse_uint(text.substr(i + 1, 2), 16) : std::nullopt;
      if (!byte) fail("invalid escape in \"" + std::string(text) + "\"");
      decoded += static_cast<char>(*byte);
      i += 2;
    }
  }
  return decoded;
}

void set_subdirectory(GitSource& source, std::string_view subdirectory) {
  std::string clean = clean_path(subdirectory);
  while (clean.starts_with('/')) clean.erase(0, 1);
  if (clean == ".." || clean.starts_with("../")) {
    fail("the subdirectory \"" + std::string(subdirectory) + "\" leads out of the git repository");
  }
  source.subdirectory = clean == "." ? "" : clean;
}

bool boolean_of(const std::string& key, const std::string& value) {
  if (value.empty()) return true;
  const std::optional<bool> parsed = parse_bool(value);
  if (!parsed) fail("invalid value \"" + value + "\" for " + key + " of a git URL: expected true or false");
  return *parsed;
}

void set_reference(GitSource& source, const std::string& reference) {
  if (!source.reference.empty()) fail("a git URL may name only one ref, tag, branch or commit");
  source.reference = reference;
}

void apply_query_value(GitSource& source, const std::string& key, const std::string& value) {
  if (key == "ref") {
    set_reference(source, value);
  } else if (key == "branch") {
    set_reference(source, "refs/heads/" + value);
  } else if (key == "tag") {
    set_reference(source, "refs/tags/" + value);
  } else if (key == "checksum" || key == "commit") {
    if (!source.checksum.empty() && source.checksum != value) fail("checksum and commit of a git URL differ");
    source.checksum = value;
  } else if (key == "subdir") {
    set_subdirectory(source, value);
  } else if (key == "keep-git-dir") {
    source.keep_git_dir = boolean_of(key, value);
  } else if (key == "submodules") {
    source.submodules = boolean_of(key, value);
  } else if (key == "fetch-by-commit") {
    source.fetch_by_commit = boolean_of(key, value);
  } else if (key == "mtime") {
    if (value != "checkout" && value != "commit")
      fail("invalid value \"" + value + "\" for mtime: expected checkout or commit");
    source.commit_times = value == "commit";
  } else {
    const std::vector<std::string> known = {"ref",    "branch",       "tag",        "checksum", "commit",
                                            "subdir", "keep-git-dir", "submodules", "mtime",    "fetch-by-commit"};
    const std::optional<std::string> nearest = nearest_word(key, known);
    fail("unexpected key \"" + key + "\" in a git URL" + (nearest ? " (did you mean " + *nearest + "?)" : ""));
  }
}

void apply_query(GitSource& source, std::string_view query) {
  for (const std::string& pair : split(query, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string key = decode_percent(std::string_view(pair).substr(0, equals));
    const std::string value =
        equals == std::string::npos ? "" : decode_percent(std::string_view(pair).substr(equals + 1));
    apply_query_value(source, key, value);
  }
}

void apply_fragment(GitSource& source, std::string_view fragment) {
  const std::size_t colon = fragment.find(':');
  if (const std::string_view reference = fragment.substr(0, colon); !reference.empty()) {
    set_reference(source, std::string(reference));
  }
  if (colon != std::string_view::npos && colon + 1 < fragment.size())
    set_subdirectory(source, fragment.substr(colon + 1));
}

bool is_commit(std::string_view text) {
  return text.size() >= 7 && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
}

// Nothing that reaches git's command line, or ssh's behind it, may look like an option.
void check_git_source(const GitSource& source, std::string_view given) {
  const std::string shown(given.substr(0, 200));
  if (source.remote.starts_with('-')) fail("invalid git URL \"" + shown + "\": it starts with '-'");
  if (source.reference.starts_with('-')) fail("invalid git ref in \"" + shown + "\": it starts with '-'");
  if (!source.checksum.empty() && !is_commit(source.checksum)) {
    fail("invalid checksum in \"" + shown + "\": expected the hexadecimal digits of a commit");
  }
  for (const char c : source.remote + source.reference + source.subdirectory) {
    if (std::iscntrl(static_cast<unsigned char>(c)) != 0) fail("invalid git URL \"" + shown + "\": it holds a control character");
  }
  std::string_view host = source.remote;
  const std::size_t scheme = host.find("://");
  host = scheme == std::string_view::npos ? host.substr(host.find('@') + 1) : host.substr(scheme + 3);
  if (scheme != std::string_view::npos) {
    host = host.substr(0, host.find('/'));
    if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
      if (host.starts_with('-')) fail("invalid git URL \"" + shown + "\": the user starts with '-'");
      host = host.substr(at + 1);
    }
  }
  if (host.empty() || host.starts_with('-') || host.find(":-") != std::string_view::npos) {
    fail("invalid git URL \"" + shown + "\": the host or the path starts with '-' or is missing");
  }
}

struct UrlParts {
  std::string_view remote;
  std::string_view query;
  std::string_view fragment;
};

UrlParts split_url(std::string_view url) {
  UrlParts parts;
  const std::size_t hash = url.find('#');
  if (hash != std::string_view::npos) parts.fragment = url.substr(hash + 1);
  url = url.substr(0, hash);
  const std::size_t mark = url.find('?');
  if (mark != std::string_view::npos) parts.query = url.substr(mark + 1);
  parts.remote = url.substr(0, mark);
  return parts;
}

OciLayoutSource parse_oci_layout(std::string_view text) {
  OciLayoutSource source;
  const std::size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    source.digest = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const std::size_t colon = text.rfind(':');
  const std::size_t slash = text.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    source.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  source.path = text;
  if (source.path.empty()) fail("oci-layout:// needs the path of a directory");
  return source;
}

std::optional<ContextSource> parse_remote(std::string_view argument) {
  if (std::optional<GitSource> git = parse_git_source(argument)) return std::move(*git);
  if (is_http_source(argument)) return HttpSource{std::string(argument)};
  return std::nullopt;
}

}  // namespace

bool is_http_source(std::string_view argument) noexcept {
  return has_scheme(argument, "http") || has_scheme(argument, "https");
}

std::optional<GitSource> parse_git_source(std::string_view argument) {
  if (argument.starts_with("./") || argument.starts_with("../") || argument.starts_with('/')) return std::nullopt;
  for (const std::string_view helper : {"ext::", "fd::", "file://"}) {
    if (argument.starts_with(helper)) fail("git's transport " + std::string(helper) + " is not allowed");
  }
  const bool is_github = argument.starts_with("github.com/");
  const UrlParts parts = split_url(argument);
  const bool is_http = is_http_source(argument);
  const bool is_other = has_scheme(argument, "ssh") || has_scheme(argument, "git") || is_scp_form(argument);
  // An HTTP address is a repository only if its path says so, for it may as well be a tarball.
  if (!is_github && !is_other && !(is_http && parts.remote.ends_with(".git"))) return std::nullopt;
  GitSource source;
  source.remote = (is_github ? "https://" : "") + std::string(parts.remote);
  apply_fragment(source, parts.fragment);
  apply_query(source, parts.query);
  if (source.reference.empty()) source.reference = source.checksum;
  check_git_source(source, argument);
  return source;
}

ContextSource parse_context(std::string_view argument) {
  if (argument == "-") return StandardInputSource{};
  if (argument.empty()) fail("the build context is empty: expected PATH, a URL, or -");
  // A directory with that name wins: "github.com/x/y" may well be one.
  std::error_code ignored;
  if (fs::is_directory(fs::path(argument), ignored)) return LocalSource{std::string(argument)};
  if (std::optional<ContextSource> remote = parse_remote(argument)) return std::move(*remote);
  return LocalSource{std::string(argument)};
}

std::pair<std::string, ContextSource> parse_named_context(std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    fail("invalid context value: " + std::string(argument) + ", expected key=value");
  }
  std::string_view name = argument.substr(0, equals);
  const std::string_view value = argument.substr(equals + 1);
  for (const std::string_view prefix : {"docker.io/library/", "docker.io/"}) name = without_prefix(name, prefix);
  name = without_suffix(name, ":latest");
  if (name.empty() || lower(name) != name) {
    fail("invalid context name " + std::string(argument.substr(0, equals)) + ": it must be lowercase");
  }
  if (value.empty()) fail("invalid context value: " + std::string(argument) + ", expected key=value");
  std::string key(name);
  if (value.starts_with("docker-image://")) return {key, ImageSource{std::string(value.substr(15))}};
  if (value.starts_with("oci-layout://")) return {key, parse_oci_layout(value.substr(13))};
  if (value.starts_with("target:")) return {key, TargetSource{std::string(value.substr(7))}};
  return {key, parse_context(value)};
}

}  // namespace ctr
