// Digests: the sha256 of some bytes, which is the name of those bytes everywhere in the store. A Digest can't exist
// unchecked; a Hasher computes one from a stream. Knows nothing about files.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ctr {

class Digest {
 public:
  static constexpr std::size_t kHexLength = 64;

  /// Reads "sha256:<64 lower-case hexadecimal digits>". Throws Invalid otherwise, naming the text.
  static Digest parse(std::string_view text);
  /// Reads the same form; nothing for anything else.
  static std::optional<Digest> try_parse(std::string_view text);
  /// Reads the 64 digits alone, as in a file name; nothing for anything else.
  static std::optional<Digest> from_hex(std::string_view hex);
  /// The digest of these bytes.
  static Digest of(Bytes bytes);
  static Digest of(std::string_view text) { return of(as_bytes(text)); }

  /// "sha256:…"
  std::string str() const;
  /// The 64 digits.
  std::string hex() const;
  /// The first twelve digits, as lists show an image.
  std::string short_hex() const { return hex().substr(0, 12); }

  friend auto operator<=>(const Digest&, const Digest&) = default;
  friend bool operator==(const Digest&, const Digest&) = default;

 private:
  friend class Hasher;
  friend struct std::hash<Digest>;
  using Value = std::array<std::uint8_t, 32>;
  explicit Digest(const Value& value) : value_(value) {}

  Value value_;
};

/// The digest of a stream. Not safe for use by several threads at once.
class Hasher final : public ByteSink {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept = default;
  Hasher& operator=(Hasher&&) noexcept = default;

  void write(Bytes bytes) override;
  void write(std::string_view text) { write(as_bytes(text)); }
  /// The digest of everything written so far; more may be written afterwards.
  Digest digest() const;
  std::uint64_t size() const noexcept { return size_; }

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;
  std::uint64_t size_ = 0;
};

/// Passes bytes on to another sink and hashes them on the way. Borrows the sink.
class HashingSink final : public ByteSink {
 public:
  explicit HashingSink(ByteSink& next) : next_(next) {}
  void write(Bytes bytes) override {
    hasher_.write(bytes);
    next_.write(bytes);
  }
  const Hasher& hasher() const noexcept { return hasher_; }

 private:
  ByteSink& next_;
  Hasher hasher_;
};

/// Hashes what is read through it. Borrows the source.
class HashingSource final : public ByteSource {
 public:
  explicit HashingSource(ByteSource& next) : next_(next) {}
  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t count = next_.read(buffer);
    hasher_.write(Bytes(buffer).first(count));
    return count;
  }
  const Hasher& hasher() const noexcept { return hasher_; }

 private:
  ByteSource& next_;
  Hasher hasher_;
};

}  // namespace ctr

template <>
struct std::hash<ctr::Digest> {
  std::size_t operator()(const ctr::Digest& digest) const noexcept {
    std::size_t result = 0;
    for (std::size_t i = 0; i < sizeof result; ++i) result = result << 8 | digest.value_[i];
    return result;
  }
};
