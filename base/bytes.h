// Bytes on the move: a view of memory, and the two ends of a stream. Streams say nothing about what the bytes mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ctr {

using Bytes = std::span<const std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_chars(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes a stream of bytes. `write` takes all of them or throws.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(Bytes bytes) = 0;
};

/// Gives a stream of bytes. `read` returns how many bytes it stored; 0 means the end.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::size_t read(std::span<std::byte> buffer) = 0;
};

/// A sink that collects everything in memory.
class StringSink final : public ByteSink {
 public:
  void write(Bytes bytes) override { text_.append(as_chars(bytes)); }
  const std::string& text() const noexcept { return text_; }
  std::string take() && { return std::move(text_); }

 private:
  std::string text_;
};

/// A source that reads from a text which must outlive it.
class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string_view text) : rest_(text) {}
  std::size_t read(std::span<std::byte> buffer) override;

 private:
  std::string_view rest_;
};

/// Copies until the end of `source`; returns the number of bytes. Throws Invalid when there are more than `limit`.
std::uint64_t copy_all(ByteSource& source, ByteSink& sink, std::uint64_t limit = ~std::uint64_t{0});

}  // namespace ctr
