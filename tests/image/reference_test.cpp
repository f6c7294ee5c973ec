#include "image/reference.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

constexpr const char* kDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Case {
  const char* text;
  const char* whole;
  const char* familiar;
};

TEST(Reference, IsNormalisedAsDockerDoes) {
  const std::string with_digest = std::string("app@") + kDigest;
  const std::string with_digest_whole = std::string("docker.io/library/app@") + kDigest;
  const Case cases[] = {
      {"nginx", "docker.io/library/nginx:latest", "nginx:latest"},
      {"nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"},
      {"user/app", "docker.io/user/app:latest", "user/app:latest"},
      {"docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
      {"index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
      {"localhost/app", "localhost/app:latest", "localhost/app:latest"},
      {"localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"},
      {"ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x"},
      {"Host/app", "Host/app:latest", "Host/app:latest"},
      {"[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"},
      {"docker.io/example.com/app", "docker.io/example.com/app:latest", "docker.io/example.com/app:latest"},
      {"a__b/c--d.e", "docker.io/a__b/c--d.e:latest", "a__b/c--d.e:latest"},
      {with_digest.c_str(), with_digest_whole.c_str(), with_digest.c_str()},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Reference::parse(test.text).str(), test.whole) << test.text;
    EXPECT_EQ(Reference::parse(test.text).familiar(), test.familiar) << test.text;
  }
}

TEST(Reference, KeepsTagAndDigest) {
  const Reference reference = Reference::parse(std::string("localhost:5000/app:v1@") + kDigest);
  EXPECT_EQ(reference.tag(), "v1");
  EXPECT_EQ(reference.digest()->str(), kDigest);
  EXPECT_EQ(reference.host(), "localhost:5000");
  EXPECT_EQ(reference.repository(), "app");
}

TEST(Reference, NameAloneKeepsNoTag) {
  EXPECT_EQ(Reference::parse_name("nginx").tag(), "");
}

TEST(Reference, RefusesInDockersWords) {
  const std::string hex(64, 'a');
  const std::string long_name(256, 'a');
  const std::pair<std::string, std::string> cases[] = {
      {"", "invalid reference format"},
      {"Foo", "invalid reference format: repository name (library/Foo) must be lowercase"},
      {"user/Foo:1", "invalid reference format: repository name (user/Foo) must be lowercase"},
      {"-app", "invalid reference format"},
      {"app:", "invalid reference format"},
      {"app:.x", "invalid reference format"},
      {":tag", "invalid reference format"},
      {"a//b", "invalid reference format"},
      {"../x", "invalid reference format"},
      {"host.io/../x", "invalid reference format"},
      {"a/./b", "invalid reference format"},
      {"app@sha256:12", "invalid reference format"},
      {"app@sha256:" + hex + "0", "invalid reference format"},
      {"a..b", "invalid reference format"},
      {"a___b", "invalid reference format"},
      {"http://x/y", "invalid reference format"},
      {hex, "invalid repository name (" + hex + "), cannot specify 64-byte hexadecimal strings"},
      {"host.io/" + long_name, "invalid reference format: repository name must not be more than 255 characters"},
      {"app:" + std::string(129, 'a'), "invalid reference format"},
  };
  for (const auto& [text, message] : cases) {
    try {
      Reference::parse(text);
      ADD_FAILURE() << text << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), message) << text;
      EXPECT_EQ(error.kind(), ErrorKind::Invalid);
    }
  }
}

TEST(Reference, WithTagReplacesDigestAndTag) {
  EXPECT_EQ(Reference::parse("app:1").with_tag("2").familiar(), "app:2");
  EXPECT_EQ(Reference::parse("app:1").with_digest(Digest::parse(kDigest)).familiar(), std::string("app@") + kDigest);
}

}  // namespace
}  // namespace ctr
