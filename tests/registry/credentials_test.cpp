#include "registry/credentials.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "registry/base64.h"
#include "registry/login.h"

namespace ctr {
namespace {

class CredentialsTest : public ::testing::Test {
 protected:
  void write(const std::string& text) { write_file_atomic(file_, text, Durability::Cached, 0600); }
  Json read() const { return Json::parse(read_file(file_)); }
  CredentialStore store() const { return CredentialStore(file_); }

  // A helper that keeps one secret in a file beside it, as docker-credential-* do.
  void install_helper(const std::string& name) {
    const fs::path program = directory_.path() / ("docker-credential-" + name);
    const std::string state = (directory_.path() / (name + ".state")).native();
    write_file_atomic(program,
                      "#!/bin/sh\ncase $1 in\nget) read s; [ -f " + state +
                          " ] || { echo 'credentials not found in native keychain'; exit 1; }; cat " + state +
                          ";;\nstore) cat > " + state + ";;\nerase) rm -f " + state + ";;\nesac\n",
                      Durability::Cached, 0755);
    const std::string path = directory_.path().native() + ":/usr/bin:/bin";
    ::setenv("PATH", path.c_str(), 1);
  }

  TempDirectory directory_;
  fs::path file_ = directory_.path() / "config.json";
};

TEST_F(CredentialsTest, EveryKeyShapeOfAHostIsRead) {
  for (const char* key : {"reg.test:5000", "https://reg.test:5000", "http://reg.test:5000/",
                          "https://reg.test:5000/v1/", "https://reg.test:5000/v2/", "REG.test:5000"}) {
    write(Json::object({{"auths", Json::object({{key, Json::object({{"auth", Json(base64_encode("me:pw"))}})}})}})
              .dump());
    const auto found = store().find("reg.test:5000").credentials;
    ASSERT_TRUE(found) << key;
    EXPECT_EQ(found->username, "me");
    EXPECT_EQ(found->password, "pw");
    EXPECT_FALSE(store().find("reg.test").credentials) << key;
  }
}

TEST_F(CredentialsTest, DockerHubIsKnownByItsOldName) {
  write(R"({"auths":{"https://index.docker.io/v1/":{"auth":"bWU6cHc="}}})");
  EXPECT_EQ(store().find("docker.io", "library/alpine").credentials->username, "me");
}

TEST_F(CredentialsTest, PasswordsKeepTheirColons) {
  write(R"({"auths":{"h":{"auth":")" + base64_encode("me:a:b") + R"("}}})");
  EXPECT_EQ(store().find("h").credentials->password, "a:b");
}

TEST_F(CredentialsTest, TheLongestNamespaceWins) {
  write(R"({"auths":{"q.io":{"username":"host","password":"x"},"q.io/team":{"username":"team","password":"x"},)"
        R"("q.io/team/app":{"username":"app","password":"x"}}})");
  EXPECT_EQ(store().find("q.io", "other").credentials->username, "host");
  EXPECT_EQ(store().find("q.io", "team/x").credentials->username, "team");
  EXPECT_EQ(store().find("q.io", "team/app").credentials->username, "app");
  EXPECT_EQ(store().find("q.io", "teamster/x").credentials->username, "host");
}

TEST_F(CredentialsTest, TokensOfAllKindsAreRead) {
  write(R"({"auths":{"a":{"identitytoken":"it","auth":")" + base64_encode("u:") + R"("},"b":{"registrytoken":"rt"}}})");
  EXPECT_EQ(store().find("a").credentials->identity_token, "it");
  EXPECT_EQ(store().find("b").credentials->registry_token, "rt");
}

TEST_F(CredentialsTest, AnExpiredAmazonTokenIsPassedOver) {
  const std::string token = base64_encode(R"({"payload":"x","expiration":1000})");
  write(R"({"auths":{"1.dkr.ecr.eu-west-1.amazonaws.com":{"auth":")" + base64_encode("AWS:" + token) + R"("}}})");
  const FoundCredentials found = store().find("1.dkr.ecr.eu-west-1.amazonaws.com");
  EXPECT_FALSE(found.credentials);
  EXPECT_NE(found.problem.find("expired"), std::string::npos);
}

TEST_F(CredentialsTest, ASecondLoginReplacesEveryKeyOfTheHost) {
  write(R"({"credsStore":"","auths":{"https://h:1/v1/":{"auth":"b2xkOm9sZA=="},"h:1":{"auth":"b2xkOm9sZA=="},)"
        R"("other":{"auth":"bWU6cHc="}},"psFormat":"x"})");
  const StoredCredential stored = store().store("h:1", {.username = "new", .password = "pw"});
  EXPECT_TRUE(stored.is_plain_text);
  const Json config = read();
  EXPECT_EQ(config.members("auths").size(), 2u);
  EXPECT_EQ(config.at("auths").at("h:1").require_string("auth"), base64_encode("new:pw"));
  EXPECT_EQ(config.require_string("psFormat"), "x");
}

TEST_F(CredentialsTest, TheFileIsForItsOwnerAlone) {
  file_ = directory_.path() / "new/config.json";
  store().store("h", {.username = "u", .password = "p"});
  struct stat info {};
  ASSERT_EQ(::stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_NE(read_file(file_).find("\n\t\"auths\": {\n\t\t\"h\": {"), std::string::npos) << "Docker indents with tabs";
}

TEST_F(CredentialsTest, ALinkedFileStaysALink) {
  const fs::path real = directory_.path() / "real.json";
  write_file_atomic(real, "{}", Durability::Cached);
  fs::create_symlink(real, file_);
  store().store("h", {.username = "u", .password = "p"});
  EXPECT_TRUE(fs::is_symlink(file_));
  EXPECT_TRUE(Json::parse(read_file(real)).at("auths").contains("h"));
}

TEST_F(CredentialsTest, LogoutRemovesWhatLoginStored) {
  write("{}");
  store().store("h", {.username = "u", .password = "p"});
  EXPECT_EQ(logout(store(), "https://h/app"), LogoutResult::Removed);
  EXPECT_EQ(logout(store(), "h"), LogoutResult::NotLoggedIn);
  EXPECT_FALSE(store().find("h").credentials);
}

TEST_F(CredentialsTest, AHelperOfTheHostDecidesBeforeTheFile) {
  install_helper("one");
  write(R"({"credHelpers":{"h":"one"},"auths":{"h":{"auth":"ZmlsZTpwdw=="}}})");
  EXPECT_FALSE(store().find("h").credentials) << "the file's entry may be stale";
  const StoredCredential stored = store().store("h", {.username = "u", .password = "p"});
  EXPECT_EQ(stored.where, "docker-credential-one");
  EXPECT_FALSE(stored.is_plain_text);
  EXPECT_EQ(store().find("h").credentials->username, "u");
  EXPECT_EQ(read_file(file_).find("\"auth\""), std::string::npos);
  EXPECT_TRUE(store().erase("h"));
  EXPECT_FALSE(store().find("h").credentials);
}

TEST_F(CredentialsTest, TheTokenUserOfAHelperIsAnIdentityToken) {
  install_helper("two");
  write(R"({"credsStore":"two"})");
  store().store("h", {.username = "u", .identity_token = "refresh"});
  const auto found = store().find("h").credentials;
  EXPECT_EQ(found->identity_token, "refresh");
  EXPECT_TRUE(found->password.empty());
}

TEST_F(CredentialsTest, AMissingStoreIsNoReasonNotToPullInPublic) {
  write(R"({"credsStore":"no-such-helper","auths":{"h":{}}})");
  const FoundCredentials found = store().find("h");
  EXPECT_FALSE(found.credentials);
  EXPECT_NE(found.problem.find("docker-credential-no-such-helper"), std::string::npos);
}

TEST_F(CredentialsTest, OtherFilesAreReadAfterTheOwn) {
  const fs::path other = directory_.path() / "auth.json";
  write_file_atomic(other, R"({"auths":{"h":{"auth":"bWU6cHc="}}})", Durability::Cached);
  EXPECT_EQ(CredentialStore(file_, {other}).find("h").credentials->username, "me");
}

TEST_F(CredentialsTest, BrokenEntriesAreNamed) {
  write(R"({"auths":{"h":{"auth":"!!!"}}})");
  EXPECT_THROW(store().find("h"), Error);
  write("{");
  EXPECT_THROW(store().find("h"), Error);
}

TEST(LoginHost, AcceptsWhatPeopleType) {
  EXPECT_EQ(login_host(""), "docker.io");
  EXPECT_EQ(login_host("https://index.docker.io/v1/"), "docker.io");
  EXPECT_EQ(login_host("localhost:5000"), "localhost:5000");
  EXPECT_EQ(login_host("localhost:5000/sample-app"), "localhost:5000");
  EXPECT_EQ(login_host("https://Quay.IO/v2/"), "quay.io");
  EXPECT_THROW(login_host("user@host"), Error);
  EXPECT_THROW(login_host("a b"), Error);
}

TEST(Base64, RoundTripsAndRefusesGarbage) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", std::string("\0\xff\x80", 3).c_str()}) {
    EXPECT_EQ(base64_decode(base64_encode(text)), text);
  }
  EXPECT_EQ(base64_encode("user:secret"), "dXNlcjpzZWNyZXQ=");
  EXPECT_EQ(base64_decode("dXNlcjpzZWNyZXQ"), "user:secret");
  EXPECT_FALSE(base64_decode("a$b"));
  EXPECT_FALSE(base64_decode("abcde"));
}

}  // namespace
}  // namespace ctr
