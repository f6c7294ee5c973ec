#include "registry/server/htpasswd.h"

#include <crypt.h>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "image/digest.h"
#include "registry/base64.h"

namespace ctr {
namespace {

constexpr std::size_t kMostRemembered = 1024;
// A hash that no password gives: unknown users cost as much time as wrong passwords.
constexpr const char* kNobody = "$2y$05$abcdefghijklmnopqrstuuGZ1Ff8Z1h0oWcU8Vt6a5pQj1bBq2cS";

bool same_text(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    difference |= static_cast<unsigned>(static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(right[i]));
  }
  return difference == 0;
}

bool matches(const std::string& password, const std::string& hash) {
  auto data = std::make_unique<crypt_data>();
  const char* result = ::crypt_r(password.c_str(), hash.c_str(), data.get());
  return result != nullptr && same_text(result, hash);
}

}  // namespace

Htpasswd::Htpasswd(const fs::path& file) : secret_(random_hex(16)) {
  int number = 0;
  for (const std::string& raw : split(read_file(file, kMiB), '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#') continue;
    const auto pair = cut(line, ':');
    if (!pair || pair->first.empty() || !pair->second.starts_with("$")) {
      throw Error(ErrorKind::Invalid, file.native() + ":" + std::to_string(number) +
                                          ": expected user:hash with a bcrypt hash (htpasswd -B)");
    }
    if (pair->second.starts_with("$apr1$")) {
      throw Error(ErrorKind::Invalid, file.native() + ":" + std::to_string(number) + ": the MD5 hash of " +
                                          pair->first + " is not accepted (use htpasswd -B)");
    }
    hashes_[pair->first] = pair->second;
  }
}

bool Htpasswd::verify(const std::string& user, const std::string& password) {
  const auto found = hashes_.find(user);
  const std::string hash = found == hashes_.end() ? kNobody : found->second;
  const std::string mark = Digest::of(secret_ + "\n" + hash + "\n" + user + "\n" + password).hex();
  {
    const std::lock_guard guard(mutex_);
    if (known_good_.count(mark) > 0) return true;
  }
  if (!matches(password, hash) || found == hashes_.end()) return false;
  const std::lock_guard guard(mutex_);
  if (known_good_.size() >= kMostRemembered) known_good_.clear();
  known_good_.insert(mark);
  return true;
}

std::optional<std::string> Htpasswd::authenticate(const std::optional<std::string>& header) {
  if (!header || lower(header->substr(0, 6)) != "basic ") return std::nullopt;
  const auto decoded = base64_decode(trim(std::string_view(*header).substr(6)));
  const auto pair = decoded ? cut(*decoded, ':') : std::nullopt;
  if (!pair || pair->second.find('\0') != std::string::npos || !verify(pair->first, pair->second)) return std::nullopt;
  return pair->first;
}

}  // namespace ctr
