#include "image/digest.h"

// The functions under EVP: fetching an algorithm through EVP loads OpenSSL's configuration and providers, which takes
// longer than the rest of a command's start. They are the same code, with the processor's SHA instructions.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::string_view kPrefix = "sha256:";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

SHA256_CTX* context_of(void* context) {
  return static_cast<SHA256_CTX*>(context);
}

[[noreturn]] void throw_crypto(const char* what) {
  throw Error(ErrorKind::System, std::string("sha256: ") + what + " failed in libcrypto");
}

}  // namespace

std::optional<Digest> Digest::from_hex(std::string_view hex) {
  Value value;
  if (hex.size() != kHexLength) return std::nullopt;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    value[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return Digest(value);
}

std::optional<Digest> Digest::try_parse(std::string_view text) {
  if (text.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  return from_hex(text.substr(kPrefix.size()));
}

Digest Digest::parse(std::string_view text) {
  if (const auto digest = try_parse(text)) return *digest;
  const std::string shown(text.substr(0, 160));
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos && text.substr(0, colon) != "sha256")
    throw Error(ErrorKind::Invalid, "unsupported digest algorithm: " + shown);
  throw Error(ErrorKind::Invalid, "invalid digest: " + shown);
}

Digest Digest::of(Bytes bytes) {
  Hasher hasher;
  hasher.write(bytes);
  return hasher.digest();
}

std::string Digest::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string result;
  result.reserve(kHexLength);
  for (const std::uint8_t byte : value_) {
    result += kDigits[byte >> 4];
    result += kDigits[byte & 15];
  }
  return result;
}

std::string Digest::str() const {
  return std::string(kPrefix) + hex();
}

void Hasher::Free::operator()(void* context) const noexcept {
  delete context_of(context);
}

Hasher::Hasher() : context_(new SHA256_CTX) {
  if (SHA256_Init(context_of(context_.get())) != 1) throw_crypto("init");
}

void Hasher::write(Bytes bytes) {
  if (SHA256_Update(context_of(context_.get()), bytes.data(), bytes.size()) != 1) throw_crypto("update");
  size_ += bytes.size();
}

Digest Hasher::digest() const {
  SHA256_CTX copy = *context_of(context_.get());
  Digest::Value value;
  if (SHA256_Final(value.data(), &copy) != 1) throw_crypto("final");
  return Digest(value);
}

}  // namespace ctr
