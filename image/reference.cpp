#include "image/reference.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::string_view kDefaultHost = "docker.io";
constexpr std::string_view kLegacyHost = "index.docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr std::size_t kNameLimit = 255;
constexpr std::size_t kTextLimit = 1024;

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_letter_or_digit(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}
bool has_upper(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

[[noreturn]] void throw_invalid(std::string_view detail = {}) {
  std::string message = "invalid reference format";
  if (!detail.empty()) message += ": " + std::string(detail);
  throw Error(ErrorKind::Invalid, message);
}

// [a-z0-9]+ joined by '.', '_', '__' or any number of '-'.
bool is_path_component(std::string_view text) {
  std::size_t i = 0;
  const auto take_alphanumerics = [&] {
    const std::size_t begin = i;
    while (i < text.size() && is_lower_or_digit(text[i])) ++i;
    return i > begin;
  };
  const auto take_separator = [&] {
    if (text[i] == '.') return ++i, true;
    if (text[i] == '_') return i += text.substr(i).starts_with("__") ? 2 : 1, true;
    const std::size_t begin = i;
    while (i < text.size() && text[i] == '-') ++i;
    return i > begin;
  };
  if (!take_alphanumerics()) return false;
  while (i < text.size()) {
    if (!take_separator() || !take_alphanumerics()) return false;
  }
  return true;
}

bool is_repository(std::string_view text) {
  for (;;) {
    const std::size_t slash = text.find('/');
    if (!is_path_component(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool is_host_label(std::string_view label) {
  if (label.empty() || label.front() == '-' || label.back() == '-') return false;
  return std::ranges::all_of(label, [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_host_name(std::string_view host) {
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') &&
           std::ranges::all_of(host.substr(1, host.size() - 2),
                               [](unsigned char c) { return std::isxdigit(c) || c == ':'; });
  }
  for (;;) {
    const std::size_t dot = host.find('.');
    if (!is_host_label(host.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    host.remove_prefix(dot + 1);
  }
}

bool is_host(std::string_view text) {
  const std::size_t bracket = text.find(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return is_host_name(text);
  const std::string_view port = text.substr(colon + 1);
  return is_host_name(text.substr(0, colon)) && !port.empty() && port.size() <= 5 &&
         std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

// Docker's rule: the part before the first slash is a host if it has a dot, a port or an upper-case letter, or is
// "localhost"; else everything is a repository of Docker Hub.
std::pair<std::string, std::string> split_host(std::string_view name) {
  const std::size_t slash = name.find('/');
  const std::string_view first = name.substr(0, slash);
  const bool is_host_part = slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos ||
                                                                first == "localhost" || has_upper(first));
  std::string host(is_host_part ? first : kDefaultHost);
  std::string repository(is_host_part ? name.substr(slash + 1) : name);
  if (host == kLegacyHost) host = kDefaultHost;
  if (host == kDefaultHost && repository.find('/') == std::string::npos) repository.insert(0, kOfficial);
  return {std::move(host), std::move(repository)};
}

std::optional<Digest> take_digest(std::string_view& text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view digest = text.substr(at + 1);
  text = text.substr(0, at);
  if (const auto parsed = Digest::try_parse(digest)) return parsed;
  if (digest.starts_with("sha512:") || digest.starts_with("sha384:"))
    throw Error(ErrorKind::Invalid, "unsupported digest algorithm: " + std::string(digest.substr(0, 160)));
  throw_invalid();
}

std::string take_tag(std::string_view& text) {
  const std::size_t colon = text.rfind(':');
  const std::size_t slash = text.rfind('/');
  if (colon == std::string_view::npos || (slash != std::string_view::npos && slash > colon)) return {};
  std::string tag(text.substr(colon + 1));
  if (!is_valid_tag(tag)) throw_invalid();
  text = text.substr(0, colon);
  return tag;
}

void check_name(const std::string& host, const std::string& repository) {
  if (has_upper(repository)) {
    const std::string shown = repository.substr(0, kNameLimit);
    std::string lower = shown;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (is_repository(lower)) throw_invalid("repository name (" + shown + ") must be lowercase");
  }
  if (!is_host(host) || !is_repository(repository)) throw_invalid();
  if (repository.size() > kNameLimit)
    throw_invalid("repository name must not be more than " + std::to_string(kNameLimit) + " characters");
}

}  // namespace

bool is_valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || !(is_letter_or_digit(tag[0]) || tag[0] == '_')) return false;
  return std::ranges::all_of(tag, [](char c) { return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

Reference Reference::from_parts(std::string host, std::string repository, std::string tag,
                                std::optional<Digest> digest) {
  check_name(host, repository);
  if (!tag.empty() && !is_valid_tag(tag)) throw_invalid();
  Reference result;
  result.host_ = std::move(host);
  result.repository_ = std::move(repository);
  result.tag_ = std::move(tag);
  result.digest_ = std::move(digest);
  return result;
}

Reference Reference::parse_name(std::string_view text) {
  if (text.empty() || text.size() > kTextLimit) throw_invalid();
  if (Digest::from_hex(text))
    throw Error(ErrorKind::Invalid,
                "invalid repository name (" + std::string(text) + "), cannot specify 64-byte hexadecimal strings");
  const std::optional<Digest> digest = take_digest(text);
  std::string tag = take_tag(text);
  if (text.empty()) throw_invalid();
  auto [host, repository] = split_host(text);
  return from_parts(std::move(host), std::move(repository), std::move(tag), digest);
}

Reference Reference::parse(std::string_view text) {
  Reference result = parse_name(text);
  if (result.tag_.empty() && !result.digest_) result.tag_ = "latest";
  return result;
}

std::optional<Reference> Reference::try_parse(std::string_view text) {
  try {
    return parse(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string Reference::str() const {
  std::string result = name();
  if (!tag_.empty()) result += ":" + tag_;
  if (digest_) result += "@" + digest_->str();
  return result;
}

std::string Reference::familiar_name() const {
  if (host_ != kDefaultHost) return name();
  const std::string_view repository = repository_;
  const bool is_official =
      repository.starts_with(kOfficial) && repository.find('/', kOfficial.size()) == std::string_view::npos;
  std::string result(is_official ? repository.substr(kOfficial.size()) : repository);
  // docker.io/example.com/app would be taken for the host example.com, a name of 64 digits for an image's id.
  const bool is_ambiguous = split_host(result) != std::pair(host_, repository_) || Digest::from_hex(result).has_value();
  return is_ambiguous ? name() : result;
}

std::string Reference::familiar() const {
  std::string result = familiar_name();
  if (!tag_.empty()) result += ":" + tag_;
  if (digest_) result += "@" + digest_->str();
  return result;
}

Reference Reference::with_tag(std::string_view tag) const {
  return from_parts(host_, repository_, std::string(tag));
}

Reference Reference::with_digest(const Digest& digest) const {
  return from_parts(host_, repository_, {}, digest);
}

Reference Reference::without_tag() const {
  return from_parts(host_, repository_, {});
}

}  // namespace ctr
