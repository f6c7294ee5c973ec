#include "registry/http.h"

#include <algorithm>
#include <cstring>
#include <strings.h>
#include <unistd.h>

namespace ctr {
namespace {

bool same_name(std::string_view left, std::string_view right) {
  return left.size() == right.size() && ::strncasecmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace

void HttpHeaders::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

void HttpHeaders::set(std::string_view name, std::string value) {
  remove(name);
  fields_.emplace_back(std::string(name), std::move(value));
}

void HttpHeaders::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Field& field) { return same_name(field.first, name); });
}

std::optional<std::string> HttpHeaders::find(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (same_name(key, name)) return value;
  }
  return std::nullopt;
}

std::vector<std::string> HttpHeaders::find_all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : fields_) {
    if (same_name(key, name)) values.push_back(value);
  }
  return values;
}

std::size_t StringBody::read(std::span<std::byte> into) {
  const std::size_t count = std::min(into.size(), text_.size() - offset_);
  std::memcpy(into.data(), text_.data() + offset_, count);
  offset_ += count;
  return count;
}

std::size_t FileBody::read(std::span<std::byte> into) {
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - done_));
  if (wanted == 0) return 0;
  const ssize_t got = check(::pread(fd_, into.data(), wanted, static_cast<off_t>(start_ + done_)), "read the body");
  if (got == 0) throw Error(ErrorKind::Corrupt, "a file became shorter while it was sent");
  done_ += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

void StringSinkBody::write(Bytes data) {
  if (data.size() > limit_ - text_.size()) {
    throw Error(ErrorKind::Corrupt, "an answer is longer than " + std::to_string(limit_) + " bytes");
  }
  text_.append(as_chars(data));
}

TransportError::TransportError(TransportFailure failure, const std::string& sentence)
    : Error(failure == TransportFailure::Refused ? ErrorKind::Denied : ErrorKind::Unavailable, sentence),
      failure_(failure) {}

}  // namespace ctr
