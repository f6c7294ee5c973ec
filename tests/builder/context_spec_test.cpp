#include "builder/context_spec.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

TEST(ContextSpec, TellsDirectoriesStandardInputAndUrlsApart) {
  EXPECT_TRUE(std::holds_alternative<StandardInputSource>(parse_context("-")));
  EXPECT_EQ(std::get<LocalSource>(parse_context("./app")).path, "./app");
  EXPECT_EQ(std::get<LocalSource>(parse_context("user/repo")).path, "user/repo");
  EXPECT_EQ(std::get<HttpSource>(parse_context("https://host/x.tar.gz")).url, "https://host/x.tar.gz");
  EXPECT_THROW(parse_context(""), Error);
}

TEST(ContextSpec, ReadsGitUrls) {
  const auto https = std::get<GitSource>(parse_context("https://host/x.git#v1:sub/dir"));
  EXPECT_EQ(https.remote, "https://host/x.git");
  EXPECT_EQ(https.reference, "v1");
  EXPECT_EQ(https.subdirectory, "sub/dir");
  EXPECT_EQ(std::get<GitSource>(parse_context("git@host.com:a/b.git#:d")).subdirectory, "d");
  EXPECT_EQ(std::get<GitSource>(parse_context("ssh://git@host:22/a")).remote, "ssh://git@host:22/a");
  EXPECT_EQ(std::get<GitSource>(parse_context("git://host/a")).remote, "git://host/a");
  EXPECT_EQ(std::get<GitSource>(parse_context("github.com/a/b#main")).remote, "https://github.com/a/b");
}

TEST(ContextSpec, ReadsGitQueries) {
  const auto git = std::get<GitSource>(parse_context(
      "https://h/x.git?branch=main&subdir=a%2Fb&keep-git-dir=1&submodules=false&mtime=commit&commit=abcdef1"));
  EXPECT_EQ(git.reference, "refs/heads/main");
  EXPECT_EQ(git.subdirectory, "a/b");
  EXPECT_EQ(git.checksum, "abcdef1");
  EXPECT_TRUE(git.keep_git_dir);
  EXPECT_FALSE(git.submodules);
  EXPECT_TRUE(git.commit_times);
  EXPECT_EQ(std::get<GitSource>(parse_context("https://h/x.git?tag=v1")).reference, "refs/tags/v1");
  EXPECT_EQ(std::get<GitSource>(parse_context("https://h/x.git?commit=abcdef1")).reference, "abcdef1");
  for (const char* bad :
       {"https://h/x.git?brnach=a", "https://h/x.git?branch=a#b", "https://h/x.git?tag=a&branch=b",
        "https://h/x.git?mtime=x", "https://h/x.git?commit=xyz", "https://h/x.git?submodules=perhaps"}) {
    EXPECT_THROW(parse_context(bad), Error) << bad;
  }
}

TEST(ContextSpec, RefusesWhatGitWouldTakeForAnOption) {
  for (const char* bad : {"https://h/x.git#--upload-pack=touch /tmp/x", "ssh://-oProxyCommand=x/y",
                          "git@-oProxyCommand:y", "git@host:-y", "ext::sh -c x", "fd::3", "file:///etc",
                          "https://h/x.git#a:../../etc", "-u@host:x", "ssh://-x@host/y", "git@h:a\nb"}) {
    EXPECT_THROW(parse_context(bad), Error) << bad;
  }
}

TEST(ContextSpec, ReadsNamedContexts) {
  EXPECT_EQ(std::get<ImageSource>(parse_named_context("base=docker-image://alpine:3").second).reference, "alpine:3");
  EXPECT_EQ(parse_named_context("docker.io/library/alpine:latest=.").first, "alpine");
  EXPECT_EQ(std::get<TargetSource>(parse_named_context("a=target:b").second).target, "b");
  const auto tagged = std::get<OciLayoutSource>(parse_named_context("a=oci-layout://./d/e:v1").second);
  EXPECT_EQ(tagged.path, "./d/e");
  EXPECT_EQ(tagged.tag, "v1");
  EXPECT_EQ(std::get<OciLayoutSource>(parse_named_context("a=oci-layout:///d@sha256:ab").second).digest, "sha256:ab");
  for (const char* bad : {"a", "=b", "a=", "Abc=.", "a=oci-layout://"}) {
    EXPECT_THROW(parse_named_context(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace ctr
