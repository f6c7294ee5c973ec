#include "registry/registry_client.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "image/media_types.h"
#include "registry/authorizer.h"
#include "registry/base64.h"
#include "registry/login.h"
#include "tests/support/registry_fake.h"

namespace ctr {
namespace {

const std::string kManifest =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
    R"("application/vnd.oci.image.config.v1+json","digest":)"
    R"("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]})";

class RegistryClientTest : public ::testing::Test {
 protected:
  RegistrySession& session() {
    if (!session_) session_ = std::make_unique<RegistrySession>(fake_session(fake_, CredentialStore(file_)));
    return *session_;
  }
  RegistryClient client(Access access = Access::Pull) { return session().client("reg.test", "team/app", access); }
  void log_in() {
    write_file_atomic(file_, R"({"auths":{"reg.test":{"auth":")" + base64_encode("user:secret") + R"("}}})",
                      Durability::Cached);
  }
  void serve_manifest() { fake_->put_manifest("team/app", "v1", std::string(media_type::kOciManifest), kManifest); }

  TempDirectory directory_;
  fs::path file_ = directory_.path() / "config.json";
  std::shared_ptr<FakeRegistry> fake_ = std::make_shared<FakeRegistry>();
  std::unique_ptr<RegistrySession> session_;
};

TEST_F(RegistryClientTest, AManifestIsVerifiedAgainstItsDigest) {
  serve_manifest();
  const FetchedManifest fetched = client().get_manifest("v1");
  EXPECT_EQ(fetched.bytes, kManifest);
  EXPECT_EQ(fetched.descriptor.digest, Digest::of(kManifest));
  fake_->intercept = [](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.url.path.find("/manifests/") == std::string::npos) return std::nullopt;
    return FakeReply{200, {{"Content-Type", std::string(media_type::kOciManifest)}}, kManifest + " "};
  };
  EXPECT_THROW(client().get_manifest(Digest::of(kManifest).str()), Error);
}

TEST_F(RegistryClientTest, BearerTokensAreFetchedOnceForAScope) {
  serve_manifest();
  fake_->auth = FakeRegistry::Auth::Bearer;
  client().get_manifest("v1");
  client().get_manifest("v1");
  EXPECT_TRUE(client().head_manifest("v1").has_value());
  EXPECT_EQ(fake_->tokens_given(), 1);
  EXPECT_EQ(fake_->count("GET", "auth.test"), 1u);
}

TEST_F(RegistryClientTest, CredentialsGoToTheTokenServerNotToTheRegistry) {
  serve_manifest();
  log_in();
  fake_->auth = FakeRegistry::Auth::Bearer;
  client(Access::Push).start_upload();
  for (const FakeRequest& request : fake_->requests()) {
    const std::string header = request.headers.find("Authorization").value_or("");
    if (request.url.host == "auth.test") {
      EXPECT_EQ(header, "Basic " + base64_encode("user:secret"));
      EXPECT_EQ(query_value(request.url, "scope"), "repository:team/app:pull,push");
    } else {
      EXPECT_FALSE(header.starts_with("Basic"));
    }
  }
}

TEST_F(RegistryClientTest, WithoutCredentialsAPushIsToldSo) {
  fake_->auth = FakeRegistry::Auth::Basic;
  try {
    client(Access::Push).start_upload();
    FAIL();
  } catch (const RegistryError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_STREQ(error.what(), "no basic auth credentials");
  }
}

TEST_F(RegistryClientTest, WithoutCredentialsATokenThatAllowsNothingIsADenial) {
  fake_->auth = FakeRegistry::Auth::Bearer;
  fake_->anonymous_may_pull = false;
  try {
    client(Access::Push).start_upload();
    FAIL();
  } catch (const RegistryError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_STREQ(error.what(), "denied: requested access to the resource is denied");
  }
}

TEST_F(RegistryClientTest, AManifestThatArrivedAlteredIsSentAgain) {
  const std::string manifest = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})";
  int puts = 0;
  fake_->intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.method != "PUT" || ++puts > 1) return std::nullopt;
    return FakeReply{201, {{"Docker-Content-Digest", Digest::of("altered").str()}}, ""};
  };
  const PutManifestAnswer answer =
      client(Access::Push).put_manifest("v1", "application/vnd.oci.image.index.v1+json", manifest);
  EXPECT_EQ(answer.digest, Digest::of(manifest));
  EXPECT_EQ(puts, 2);
  EXPECT_EQ(fake_->repositories["team/app"].tags["v1"], answer.digest.str());
}

TEST_F(RegistryClientTest, ARejectedPasswordIsNotTriedForEver) {
  log_in();
  fake_->auth = FakeRegistry::Auth::Basic;
  fake_->password = "changed";
  EXPECT_THROW(client().get_manifest("v1"), RegistryError);
  EXPECT_LE(fake_->requests().size(), 3u);
}

TEST_F(RegistryClientTest, NoCredentialsFollowARedirectToAnotherHost) {
  log_in();
  fake_->auth = FakeRegistry::Auth::Basic;
  const std::string digest = fake_->put_blob("team/app", "content");
  fake_->intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.url.host == "storage.test") return FakeReply{200, {}, "content"};
    if (request.url.path.find("/blobs/") == std::string::npos || !request.headers.find("Authorization")) {
      return std::nullopt;
    }
    return FakeReply{307, {{"Location", "https://storage.test/bucket//key?X-Amz-Signature=s"}}, ""};
  };
  EXPECT_EQ(client().read_blob({.media_type = "x", .digest = Digest::parse(digest), .size = 7}, 100), "content");
  const FakeRequest last = fake_->requests().back();
  EXPECT_EQ(last.url.str(), "https://storage.test/bucket//key?X-Amz-Signature=s");
  EXPECT_FALSE(last.headers.find("Authorization"));
  EXPECT_EQ(last.addresses, AddressPolicy::RefuseLocal);
}

TEST_F(RegistryClientTest, ARegistryCannotSendUsToALocalAddress) {
  const std::string digest = fake_->put_blob("team/app", "content");
  for (const char* location : {"https://localhost/secret", "https://127.0.0.1:2375/containers/json"}) {
    fake_->intercept = [&](const FakeRequest&) { return FakeReply{307, {{"Location", location}}, ""}; };
    EXPECT_THROW(client().read_blob({.media_type = "x", .digest = Digest::parse(digest), .size = 7}, 100),
                 TransportError);
  }
  EXPECT_EQ(fake_->count("GET", "localhost") + fake_->count("GET", "127.0.0.1"), 0u);
}

TEST_F(RegistryClientTest, ARealmInTheClearGetsNoPassword) {
  log_in();
  for (const char* realm : {"http://auth.test/token", "https://localhost/token", "https://user@auth.test/"}) {
    fake_->intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
      if (request.url.host != "reg.test") return FakeReply{200, {}, R"({"token":"t"})"};
      return FakeReply{401, {{"WWW-Authenticate", std::string("Bearer realm=\"") + realm + "\""}}, ""};
    };
    session_.reset();
    fake_->clear_log();
    EXPECT_THROW(client().get_manifest("v1"), Error) << realm;
    EXPECT_EQ(fake_->requests().size(), 1u) << realm;
  }
}

TEST_F(RegistryClientTest, PassingFailuresAreRetriedAndFinalOnesAreNot) {
  serve_manifest();
  int failures = 3;
  fake_->intercept = [&](const FakeRequest&) -> std::optional<FakeReply> {
    if (failures-- > 0) return FakeReply{503, {{"Retry-After", "1"}}, ""};
    return std::nullopt;
  };
  EXPECT_EQ(client().get_manifest("v1").bytes, kManifest);
  fake_->clear_log();
  fake_->intercept = [](const FakeRequest&) { return FakeReply{404, {}, ""}; };
  EXPECT_THROW(client().get_manifest("v1"), RegistryError);
  EXPECT_EQ(fake_->requests().size(), 1u);
}

TEST_F(RegistryClientTest, RetriesEnd) {
  fake_->intercept = [](const FakeRequest&) { return FakeReply{500, {}, ""}; };
  EXPECT_THROW(client().get_manifest("v1"), RegistryError);
  EXPECT_EQ(fake_->requests().size(), 5u);
}

TEST_F(RegistryClientTest, APlainHttpRegistryOnLoopbackIsFound) {
  fake_->put_manifest("team/app", "v1", std::string(media_type::kOciManifest), kManifest);
  fake_->intercept = [](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.url.scheme == "https") throw TransportError(TransportFailure::NotTls, "not TLS");
    return std::nullopt;
  };
  RegistryClient local = session().client("localhost:5000", "team/app");
  EXPECT_EQ(local.get_manifest("v1").bytes, kManifest);
  EXPECT_EQ(local.get_manifest("v1").bytes, kManifest);
  EXPECT_EQ(fake_->count("GET", "https://"), 1u) << "TLS is tried once";
}

TEST_F(RegistryClientTest, AMirrorThatFailsIsPassedOver) {
  serve_manifest();
  SessionOptions options = fake_session(fake_, CredentialStore(file_));
  options.hosts.mirrors = {"https://mirror.test"};
  RegistrySession mirrored(std::move(options));
  fake_->put_manifest("team/app", "v1", std::string(media_type::kOciManifest), kManifest);
  fake_->intercept = [](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.url.host == "mirror.test") return FakeReply{404, {}, ""};
    return std::nullopt;
  };
  EXPECT_EQ(mirrored.client("docker.io", "team/app").get_manifest("v1").bytes, kManifest);
  EXPECT_EQ(fake_->count("GET", "https://mirror.test"), 1u);
  EXPECT_EQ(fake_->count("GET", "https://registry-1.docker.io"), 1u);
}

TEST_F(RegistryClientTest, PagesOfTagsAreFollowedOnTheSameHostOnly) {
  fake_->intercept = [](const FakeRequest& request) -> std::optional<FakeReply> {
    if (query_value(request.url, "last") == "b") {
      return FakeReply{200, {{"Link", "<https://evil.test/x>; rel=\"next\""}}, R"({"tags":["c","../evil"]})"};
    }
    return FakeReply{200, {{"Link", "</v2/team/app/tags/list?last=b&n=2>; rel=\"next\""}}, R"({"tags":["a","b"]})"};
  };
  EXPECT_EQ(client().tags(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(RegistryClientTest, ReferrersFallBackToTheTag) {
  const Digest subject = Digest::of(kManifest);
  const std::string index = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
                            R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
                            subject.str() + R"(","size":3,"artifactType":"sbom"}]})";
  EXPECT_TRUE(client().referrers(subject).empty());
  fake_->put_manifest("team/app", "sha256-" + subject.hex(), std::string(media_type::kOciIndex), index);
  EXPECT_EQ(client().referrers(subject).size(), 1u);
  EXPECT_EQ(client().referrers(subject, "sbom").size(), 1u);
  EXPECT_EQ(client().referrers(subject, "signature").size(), 0u);
}

TEST_F(RegistryClientTest, ALoginIsStoredOnlyIfTheRegistryAccepts) {
  for (const auto auth : {FakeRegistry::Auth::Basic, FakeRegistry::Auth::Bearer}) {
    fake_->auth = auth;
    fake_->anonymous_may_pull = false;
    session_.reset();
    EXPECT_THROW(login(session(), {"reg.test", "user", "wrong"}), Error);
    EXPECT_FALSE(session().credentials().find("reg.test").credentials);
    EXPECT_EQ(login(session(), {"https://reg.test/app", "user", "secret"}).host, "reg.test");
    EXPECT_EQ(session().credentials().find("reg.test").credentials->password, "secret");
    logout(session().credentials(), "reg.test");
  }
}

TEST_F(RegistryClientTest, SecretsNeverAppearInErrors) {
  log_in();
  fake_->auth = FakeRegistry::Auth::Bearer;
  fake_->password = "changed";
  try {
    client().get_manifest("v1");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find(base64_encode("user:secret")), std::string::npos);
  }
}

TEST_F(RegistryClientTest, AnUploadLocationIsResolvedAndKeepsItsQuery) {
  RegistryClient pusher = client(Access::Push);
  const UploadSession upload = pusher.start_upload();
  StringBody body("blob bytes");
  pusher.finish_upload(upload, Digest::of("blob bytes"), &body);
  EXPECT_EQ(fake_->repositories["team/app"].blobs.count(Digest::of("blob bytes").str()), 1u);
  EXPECT_TRUE(pusher.has_blob(Digest::of("blob bytes")));
  EXPECT_EQ(query_value(fake_->requests()[1].url, "state"), "1");
}

TEST_F(RegistryClientTest, AMountThatIsRefusedBecomesAnUpload) {
  fake_->put_blob("library/base", "shared");
  RegistryClient pusher = client(Access::Push);
  EXPECT_FALSE(pusher.mount_blob(Digest::of("shared"), "library/base").has_value());
  EXPECT_TRUE(pusher.mount_blob(Digest::of("other"), "library/base").has_value());
}

}  // namespace
}  // namespace ctr
