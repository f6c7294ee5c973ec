#include "registry/url.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

TEST(Url, PartsAreTakenApart) {
  const Url url = Url::parse("https://Example.COM:8443/v2/app/?a=b#frag");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "example.com");
  EXPECT_EQ(url.port, 8443);
  EXPECT_EQ(url.path, "/v2/app/");
  EXPECT_EQ(url.query, "a=b");
  EXPECT_EQ(url.str(), "https://example.com:8443/v2/app/?a=b");
}

TEST(Url, TheSchemesOwnPortIsNotWritten) {
  EXPECT_EQ(Url::parse("https://host:443/").origin(), "https://host");
  EXPECT_EQ(Url::parse("http://host").port, 80);
  EXPECT_EQ(Url::parse("http://host").path, "/");
}

TEST(Url, Ipv6HostsKeepTheirBrackets) {
  const Url url = Url::parse("http://[::1]:5000/v2/");
  EXPECT_EQ(url.host, "::1");
  EXPECT_EQ(url.authority(), "[::1]:5000");
}

TEST(Url, WhatTwoProgramsCouldReadDifferentlyIsRefused) {
  for (const char* text :
       {"https://good.example@evil.example/", "https://host\\@evil/", "ftp://host/", "file:///etc/passwd", "https:///x",
        "https://ho st/", "https://host:99999/", "https://host:0/", "https://[::1/", "https://[zz]/", "host/path",
        "https://h\xc3\xb6st/", "https://host/\r\nX: y", "https://host%2f/"}) {
    EXPECT_THROW(Url::parse(text), Error) << text;
  }
}

TEST(Url, ReferencesResolveAsInRfc3986) {
  const Url base = Url::parse("https://host:5000/v2/app/blobs/uploads/");
  EXPECT_EQ(base.resolve("/v2/x?state=1").str(), "https://host:5000/v2/x?state=1");
  EXPECT_EQ(base.resolve("abc?_state=1").str(), "https://host:5000/v2/app/blobs/uploads/abc?_state=1");
  EXPECT_EQ(base.resolve("../y").str(), "https://host:5000/v2/app/blobs/y");
  EXPECT_EQ(base.resolve("//other/z").str(), "https://other/z");
  EXPECT_EQ(base.resolve("http://storage/key//part?X=1").str(), "http://storage/key//part?X=1");
  EXPECT_EQ(base.resolve("?q=1").str(), "https://host:5000/v2/app/blobs/uploads/?q=1");
}

TEST(Url, DotPartsNeverLeaveTheRoot) {
  EXPECT_EQ(normalize_path("/a/../../../etc"), "/etc");
  EXPECT_EQ(normalize_path("/a/./b/.."), "/a/");
  EXPECT_EQ(normalize_path("/.."), "/");
  EXPECT_EQ(normalize_path(""), "/");
}

TEST(Url, AnErrorNeverShowsTheQuery) {
  try {
    Url::parse("https://user@host/?token=s3cret");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("s3cret"), std::string::npos);
  }
}

TEST(Url, LoopbackHostsAreRecognised) {
  EXPECT_TRUE(is_loopback_host("localhost"));
  EXPECT_TRUE(is_loopback_host("127.3.2.1"));
  EXPECT_TRUE(is_loopback_host("::1"));
  EXPECT_TRUE(is_loopback_host("a.localhost"));
  EXPECT_FALSE(is_loopback_host("128.0.0.1"));
  EXPECT_FALSE(is_loopback_host("127.0.0.1.example.com"));
}

TEST(Url, QueriesAreEncoded) {
  EXPECT_EQ(add_query("", "digest", "sha256:ab"), "digest=sha256%3Aab");
  EXPECT_EQ(add_query("a=1", "from", "x/y z"), "a=1&from=x%2Fy%20z");
}

}  // namespace
}  // namespace ctr
