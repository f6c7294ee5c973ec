#include "image/compression.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/process.h"
#include "image/gzip_inflate.h"

namespace ctr {
namespace {

// Bytes that compress somewhat, over more than two gzip members.
std::string sample() {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < 2'500'000) {
    state = state * 1664525 + 1013904223;
    text += std::to_string(state % 1000) + (state & 0x800000 ? " words " : "\n");
  }
  return text;
}

std::string compressed(const std::string& text, CompressionChoice choice, unsigned threads) {
  StringSink sink;
  const auto compressor = make_compressor(choice, sink, threads);
  for (std::size_t i = 0; i < text.size(); i += 77'777)
    compressor->write(as_bytes(std::string_view(text).substr(i, 77'777)));
  compressor->finish();
  return sink.text();
}

std::string inflated(const std::string& bytes) {
  StringSource source(bytes);
  StringSink sink;
  copy_all(*decompress(source), sink);
  return sink.text();
}

TEST(Compression, ComesBackInEveryKind) {
  const std::string text = sample();
  for (const Compression kind : {Compression::None, Compression::Gzip, Compression::Zstd}) {
    const std::string bytes = compressed(text, {kind, {}}, 2);
    EXPECT_EQ(detect_compression(as_bytes(bytes)), kind);
    EXPECT_EQ(inflated(bytes), text);
  }
}

TEST(Compression, NumberOfThreadsDoesNotShow) {
  const std::string text = sample();
  for (const Compression kind : {Compression::Gzip, Compression::Zstd})
    EXPECT_EQ(compressed(text, {kind, {}}, 1), compressed(text, {kind, {}}, 4));
}

TEST(Compression, NothingIsAValidStream) {
  for (const Compression kind : {Compression::Gzip, Compression::Zstd})
    EXPECT_EQ(inflated(compressed("", {kind, {}}, 1)), "");
  EXPECT_EQ(inflated(""), "");
}

TEST(Compression, BothInflatersReadMembersAndTrailingZeros) {
  const std::string text = sample();
  const std::string bytes = compressed(text, {Compression::Gzip, 1}, 2) + std::string(100, '\0');
  for (const Inflater inflater : {Inflater::Best, Inflater::Zlib}) {
    StringSource source(bytes);
    StringSink sink;
    copy_all(*inflate_gzip(source, inflater), sink);
    EXPECT_EQ(sink.text(), text);
  }
}

TEST(Compression, TruncatedAndDamagedDataIsCorrupt) {
  const std::string text = sample();
  for (const Compression kind : {Compression::Gzip, Compression::Zstd}) {
    const std::string bytes = compressed(text, {kind, {}}, 1);
    EXPECT_THROW(inflated(bytes.substr(0, bytes.size() - 1)), Error);
    EXPECT_THROW(inflated(bytes.substr(0, bytes.size() / 2)), Error);
    std::string damaged = bytes;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
    EXPECT_THROW(inflated(damaged), Error);
  }
}

TEST(Compression, WhatCannotBeCompressedFitsItsMember) {
  std::string noise(3 * 1024 * 1024 + 1, '\0');
  std::uint64_t state = 1;
  for (char& byte : noise) byte = static_cast<char>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
  for (const std::optional<int> level : {std::optional<int>(), std::optional<int>(1), std::optional<int>(12)}) {
    EXPECT_EQ(inflated(compressed(noise, {Compression::Gzip, level}, 2)), noise);
  }
  EXPECT_EQ(inflated(compressed("", {Compression::Gzip, {}}, 2)), "");
}

TEST(Compression, GarbageBehindAMemberIsCorrupt) {
  EXPECT_THROW(inflated(compressed("x", {Compression::Gzip, {}}, 1) + "garbage"), Error);
}

TEST(Compression, TruncationIsFoundByBothInflaters) {
  const std::string bytes = compressed(sample(), {Compression::Gzip, {}}, 1);
  for (const Inflater inflater : {Inflater::Best, Inflater::Zlib}) {
    StringSource source(std::string_view(bytes).substr(0, bytes.size() - 5));
    StringSink sink;
    EXPECT_THROW(copy_all(*inflate_gzip(source, inflater), sink), Error);
  }
}

TEST(Compression, EncoderNamesLeadBackToTheirChoice) {
  const auto choice = choice_of_encoder(encoder_name({Compression::Gzip, 6}));
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->kind, Compression::Gzip);
  EXPECT_EQ(choice->level, 6);
  const auto standard = choice_of_encoder(encoder_name({Compression::Gzip, {}}));
  ASSERT_TRUE(standard);
  EXPECT_EQ(encoder_name(*standard), encoder_name({Compression::Gzip, {}}));
  EXPECT_FALSE(choice_of_encoder("isal-00000000-1MiB:2"));
  EXPECT_FALSE(choice_of_encoder("libdeflate-0.1-1MiB:6"));
  EXPECT_FALSE(choice_of_encoder(""));
}

}  // namespace
}  // namespace ctr
