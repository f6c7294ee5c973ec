#include "image/digest.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

constexpr const char* kEmpty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Digest, OfNothingIsTheKnownOne) {
  EXPECT_EQ(Digest::of(std::string_view()).str(), kEmpty);
}

TEST(Digest, ParsesWhatItPrints) {
  const Digest digest = Digest::of("some bytes");
  EXPECT_EQ(Digest::parse(digest.str()), digest);
  EXPECT_EQ(Digest::from_hex(digest.hex()), digest);
}

TEST(Digest, RefusesWhatIsNone) {
  for (const char* text :
       {"", "sha256:", "sha256:12", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:../../../../../../../../../../../../../../../../../../../etc/passwd"})
    EXPECT_THROW(Digest::parse(text), Error) << text;
}

TEST(Digest, NamesAnAlgorithmThatItDoesNotKnow) {
  try {
    Digest::parse("sha512:00");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unsupported digest algorithm: sha512:00");
  }
}

TEST(Hasher, PartsGiveTheDigestOfTheWhole) {
  Hasher hasher;
  hasher.write("ab");
  const Digest early = hasher.digest();
  hasher.write("c");
  EXPECT_EQ(early, Digest::of("ab"));
  EXPECT_EQ(hasher.digest(), Digest::of("abc"));
  EXPECT_EQ(hasher.size(), 3u);
}

}  // namespace
}  // namespace ctr
