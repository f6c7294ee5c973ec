#include "image/platform.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "image/manifest.h"

namespace ctr {
namespace {

Platform of(const char* text) {
  return parse_platform(text);
}

TEST(Platform, SpellingsAreNormalised) {
  EXPECT_EQ(of("linux/x86_64").str(), "linux/amd64");
  EXPECT_EQ(of("linux/aarch64").str(), "linux/arm64");
  EXPECT_EQ(of("linux/arm64/v8").str(), "linux/arm64");
  EXPECT_EQ(of("linux/arm").str(), "linux/arm/v7");
  EXPECT_EQ(of("linux/armhf").str(), "linux/arm/v7");
  EXPECT_EQ(of("linux/armel").str(), "linux/arm/v6");
  EXPECT_EQ(of("linux/arm/6").str(), "linux/arm/v6");
  EXPECT_EQ(of("Linux/AMD64/v1").str(), "linux/amd64");
  EXPECT_EQ(of("arm64").str(), "linux/arm64");
}

TEST(Platform, RefusesWhatIsNone) {
  for (const char* text : {"", "/", "linux/", "a/b/c/d", "linux/am d64", "nonsense", "linux//v7"})
    EXPECT_THROW(of(text), Error) << text;
}

TEST(Platform, HostIsLinux) {
  EXPECT_EQ(host_platform().os, "linux");
  EXPECT_FALSE(host_platform().architecture.empty());
}

TEST(Platform, LowerVariantsRunOnHigherOnes) {
  EXPECT_GT(platform_score(of("linux/arm/v7"), of("linux/arm/v6")), 0);
  EXPECT_EQ(platform_score(of("linux/arm/v6"), of("linux/arm/v7")), 0);
  EXPECT_GT(platform_score(of("linux/arm64"), of("linux/arm64/v8")), 0);
  EXPECT_GT(platform_score(of("linux/arm64"), of("linux/arm/v7")), 0);
  EXPECT_GT(platform_score(of("linux/arm64"), of("linux/arm64")),
            platform_score(of("linux/arm64"), of("linux/arm/v7")));
  EXPECT_GT(platform_score(of("linux/amd64/v3"), of("linux/amd64")), 0);
  EXPECT_GT(platform_score(of("linux/amd64/v3"), of("linux/amd64/v2")),
            platform_score(of("linux/amd64/v3"), of("linux/amd64")));
  EXPECT_EQ(platform_score(of("linux/amd64"), of("linux/amd64/v2")), 0);
  EXPECT_EQ(platform_score(of("linux/amd64"), of("linux/arm64")), 0);
  EXPECT_EQ(platform_score(of("linux/amd64"), of("windows/amd64")), 0);
}

TEST(Platform, ArmIsNoAnswerToAQuestionForArm64) {
  EXPECT_FALSE(platform_matches(of("linux/arm64"), of("linux/arm/v7")));
}

Descriptor child(const char* platform, const char* content) {
  Descriptor descriptor = describe(media_type::kOciManifest, content);
  descriptor.platform = of(platform);
  return descriptor;
}

TEST(Index, BestChildIsChosenAndAttestationsNever) {
  Index index{std::string(media_type::kOciIndex),
              {child("linux/amd64", "a"), child("linux/arm/v6", "b"), child("linux/arm/v7", "c")}};
  Descriptor attestation = child("linux/arm64", "d");
  attestation.platform = Platform{"unknown", "unknown"};
  index.manifests.insert(index.manifests.begin(), attestation);
  EXPECT_EQ(choose_manifest(index, of("linux/arm/v7"))->digest, Digest::of("c"));
  EXPECT_EQ(choose_manifest(index, of("linux/arm/v6"))->digest, Digest::of("b"));
  EXPECT_EQ(choose_manifest(index, of("linux/amd64"))->digest, Digest::of("a"));
  EXPECT_FALSE(choose_manifest(index, of("linux/s390x")));
}

}  // namespace
}  // namespace ctr
