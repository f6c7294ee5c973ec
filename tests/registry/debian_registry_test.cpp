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

}  // namespace
}  // namespace ctr
