// The client over real connections against Debian's docker-registry: the module ctr-http.so, TLS, passwords.
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/media_types.h"
#include "registry/login.h"
#include "registry/registry_client.h"
#include "tests/support/registry_server.h"

namespace ctr {
namespace {

class DebianRegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!DebianRegistry::is_installed()) GTEST_SKIP() << "docker-registry, htpasswd or openssl is not installed";
  }
};

std::string push_small_image(RegistryClient& client, const std::string& tag) {
  for (const std::string blob : {"{}", "layer"}) {
    StringBody body(blob);
    client.finish_upload(client.start_upload(), Digest::of(blob), &body);
  }
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
      R"("application/vnd.oci.image.config.v1+json","digest":")" +
      Digest::of("{}").str() +
      R"(","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":")" +
      Digest::of("layer").str() + R"(","size":5}]})";
  client.put_manifest(tag, media_type::kOciManifest, manifest);
  return manifest;
}

TEST_F(DebianRegistryTest, PlainHttpOnLoopbackWorksWithoutConfiguration) {
  DebianRegistry registry({});
  RegistrySession session(registry.session_options());
  RegistryClient client = session.client(registry.host(), "team/app", Access::Push);
  const std::string manifest = push_small_image(client, "v1");
  EXPECT_EQ(client.get_manifest("v1").bytes, manifest);
  EXPECT_EQ(client.read_blob({.media_type = "x", .digest = Digest::of("layer"), .size = 5}, 100), "layer");
  EXPECT_EQ(client.tags(), std::vector<std::string>{"v1"});
  EXPECT_EQ(client.catalog(), std::vector<std::string>{"team/app"});
  EXPECT_FALSE(client.mount_blob(Digest::of("layer"), "team/app"));
  client.delete_manifest(Digest::of(manifest).str());
  EXPECT_FALSE(client.head_manifest("v1"));
}

TEST_F(DebianRegistryTest, TlsAndAPasswordWork) {
  DebianRegistry registry({.tls = true, .password = true});
  RegistrySession session(registry.session_options());
  EXPECT_EQ(login(session, {registry.host() + "/team/app", "user", "secret"}).host, registry.host());
  RegistryClient client = session.client(registry.host(), "team/app", Access::Push);
  const std::string manifest = push_small_image(client, "v1");
  EXPECT_EQ(client.head_manifest("v1")->digest, Digest::of(manifest));
}

TEST_F(DebianRegistryTest, AWrongPasswordIsRefusedInDockersWords) {
  DebianRegistry registry({.tls = true, .password = true});
  RegistrySession session(registry.session_options());
  try {
    login(session, {registry.host(), "user", "wrong"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_EQ(std::string(error.what()),
              "login attempt to https://" + registry.host() + "/v2/ failed with status: 401 Unauthorized");
  }
}

TEST_F(DebianRegistryTest, AnUnknownAuthorityIsRefused) {
  DebianRegistry registry({.tls = true});
  TempDirectory other;
  make_certificate(other.path());
  SessionOptions options = registry.session_options();
  HostConfiguration::Files files;
  make_directories(other.path() / registry.host());
  fs::copy_file(other.path() / "cert.pem", other.path() / registry.host() / "ca.crt");
  files.docker_certs = {other.path()};
  options.hosts = HostConfiguration(files);
  RegistrySession session(std::move(options));
  try {
    session.client(registry.host(), "").ping();
    FAIL();
  } catch (const TransportError& error) {
    EXPECT_EQ(error.failure(), TransportFailure::Certificate);
    EXPECT_NE(std::string(error.what()).find("x509: certificate signed by unknown authority"), std::string::npos)
        << error.what();
  }
}

TEST_F(DebianRegistryTest, NobodyListeningFailsAtOnce) {
  RegistrySession session({.credentials = CredentialStore("/nonexistent/config.json"), .hosts = {}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(session.client("localhost:" + std::to_string(free_port()), "").ping(), TransportError);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(DebianRegistryTest, ALargeBlobStreamsBothWaysAndResumes) {
  DebianRegistry registry({.tls = true});
  RegistrySession session(registry.session_options());
  RegistryClient client = session.client(registry.host(), "big", Access::Push);
  std::string blob(8'000'000, 'x');
  for (std::size_t i = 0; i < blob.size(); i += 97) blob[i] = static_cast<char>('a' + i % 26);
  StringBody body(blob);
  client.finish_upload(client.start_upload(), Digest::of(blob), &body);
  class Collect : public BlobReceiver {
   public:
    void begin(std::uint64_t offset) override { start = offset; }
    void write(Bytes data) override { text.append(as_chars(data)); }
    std::uint64_t start = 0;
    std::string text;
  } tail;
  client.get_blob(Digest::of(blob), 5'000'000, tail);
  EXPECT_EQ(tail.start, 5'000'000u);
  EXPECT_EQ(tail.text, blob.substr(5'000'000));
}

class TokenServerTest : public DebianRegistryTest {
 protected:
  void start(int lifetime_seconds = 300) {
    tokens_.emplace(lifetime_seconds);
    registry_.emplace(DebianRegistry::Options{
        .tls = true, .token_realm = tokens_->realm(), .token_certificate = tokens_->certificate()});
  }
  std::optional<TokenServer> tokens_;
  std::optional<DebianRegistry> registry_;
};

TEST_F(TokenServerTest, ALoginKeepsARefreshTokenAndNoPassword) {
  start();
  RegistrySession session(registry_->session_options());
  login(session, {registry_->host(), "user", "secret"});
  const auto stored = session.credentials().find(registry_->host()).credentials;
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->identity_token, "refresh-token-of-user");
  EXPECT_EQ(read_file(registry_->config_file()).find("secret"), std::string::npos);
}

TEST_F(TokenServerTest, APushAsksForOneTokenAndUsesTheRefreshToken) {
  start();
  {
    RegistrySession session(registry_->session_options());
    login(session, {registry_->host(), "user", "secret"});
  }
  RegistrySession session(registry_->session_options());
  RegistryClient client = session.client(registry_->host(), "team/app", Access::Push);
  push_small_image(client, "v1");
  EXPECT_EQ(tokens_->requests().back(), "POST user repository:team/app:pull,push");
  EXPECT_EQ(tokens_->requests().size(), 2u) << "one for the login, one for the push";
}

TEST_F(TokenServerTest, EverybodyMayPullWhatIsPublicAndNothingElse) {
  start();
  {
    RegistrySession session(registry_->session_options());
    login(session, {registry_->host(), "user", "secret"});
    for (const char* repository : {"public/app", "private/app"}) {
      RegistryClient client = session.client(registry_->host(), repository, Access::Push);
      push_small_image(client, "v1");
    }
  }
  SessionOptions options = registry_->session_options();
  options.credentials = CredentialStore("/nonexistent/config.json");
  RegistrySession nobody(std::move(options));
  EXPECT_TRUE(nobody.client(registry_->host(), "public/app").head_manifest("v1"));
  try {
    nobody.client(registry_->host(), "private/app").get_manifest("v1");
    FAIL();
  } catch (const RegistryError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_EQ(std::string(error.what()),
              "pull access denied for " + registry_->host() +
                  "/private/app, repository does not exist or may require 'docker login': denied: requested access to "
                  "the resource is denied");
  }
}

TEST_F(TokenServerTest, AWrongPasswordIsRefusedInDockersWords) {
  start();
  RegistrySession session(registry_->session_options());
  try {
    login(session, {registry_->host(), "user", "wrong"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "Get \"https://" + registry_->host() + "/v2/\": unauthorized: incorrect username or password");
  }
}

}  // namespace
}  // namespace ctr
