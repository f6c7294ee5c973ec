// Amazon's registry with everything else in memory: signatures, where keys come from, tokens.
#include "registry/ecr.h"

#include <cstdlib>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "registry/aws_credentials.h"
#include "registry/base64.h"
#include "registry/login.h"
#include "registry/registry_client.h"
#include "tests/support/registry_fake.h"

namespace ctr {
namespace {

const std::string kHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

TEST(AwsSignature, MatchesAmazonsExample) {
  // "get-vanilla" of the Signature Version 4 test suite.
  HttpHeaders headers;
  const Url url = Url::parse("https://example.amazonaws.com/");
  sign_aws_request(headers, "GET", url, "", {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""},
                   {"us-east-1", "service"}, *parse_time("2015-08-30T12:36:00Z"));
  EXPECT_EQ(
      headers.find("Authorization"),
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(AwsSignature, HmacMatchesRfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(EcrHost, AllFormsAreRecognised) {
  EXPECT_EQ(parse_ecr_host(kHost)->region, "eu-west-1");
  EXPECT_EQ(parse_ecr_host(kHost)->api, "https://api.ecr.eu-west-1.amazonaws.com");
  EXPECT_EQ(parse_ecr_host("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com")->api,
            "https://ecr-fips.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(parse_ecr_host("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn")->api,
            "https://api.ecr.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(parse_ecr_host("123456789012.dkr-ecr.eu-west-1.on.aws")->api, "https://ecr.eu-west-1.api.aws");
}

TEST(EcrHost, NothingElseIsTakenForOne) {
  for (const char* host :
       {"public.ecr.aws", "docker.io", "localhost:5000", "12345.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", "123456789012.dkr.ecr.eu-west-1.evil.example",
        "123456789012.dkr.ecr.EU.amazonaws.com", "x.123456789012.dkr.ecr.eu-west-1.amazonaws.com", ""}) {
    EXPECT_FALSE(parse_ecr_host(host)) << host;
  }
}

TEST(AwsConfig, ProfilesComeFromBothFiles) {
  const auto sections =
      parse_aws_ini("[profile dev]\nregion = eu-west-1 # here\nrole_arn=arn:x\ns3 =\n  a = b\n[x\nno\n");
  EXPECT_EQ(sections.at("profile dev").at("region"), "eu-west-1");
  EXPECT_EQ(sections.at("profile dev").at("role_arn"), "arn:x");
  EXPECT_EQ(sections.at("profile dev").count("a"), 0u);
}

// Plays STS, single sign-on, container endpoint and instance metadata.
class AwsCredentialsTest : public ::testing::Test {
 protected:
  AwsCredentialsTest() {
    fake_->intercept = [this](const FakeRequest& request) { return answer(request); };
    environment_["HOME"] = home_.path().native();
  }
  AwsCredentials find() {
    AwsCredentialChain::Environment environment = [this](const char* name) { return environment_[name]; };
    return AwsCredentialChain(*fake_, AwsConfig(home_.path() / ".aws/config", home_.path() / ".aws/credentials"),
                              environment, "eu-west-1")
        .find();
  }
  void write(const std::string& name, const std::string& text) {
    make_directories((home_.path() / name).parent_path());
    write_file_atomic(home_.path() / name, text, Durability::Cached);
  }
  std::optional<FakeReply> answer(const FakeRequest& request) {
    if (request.url.host.starts_with("sts.")) {
      if (request.body.find("Action=AssumeRole&") != std::string::npos && !request.headers.find("Authorization")) {
        return FakeReply{403, {}, "<Error><Message>not signed</Message></Error>"};
      }
      last_sts_body_ = request.body;
      return FakeReply{200,
                       {},
                       "<R><Credentials><AccessKeyId>STS</AccessKeyId><SecretAccessKey>s&amp;3</SecretAccessKey>"
                       "<SessionToken>t</SessionToken></Credentials></R>"};
    }
    if (request.url.host == "portal.sso.us-east-1.amazonaws.com") {
      if (request.headers.find("x-amz-sso_bearer_token") != "sso-token") return FakeReply{401, {}, ""};
      return FakeReply{
          200, {}, R"({"roleCredentials":{"accessKeyId":"SSO","secretAccessKey":"s","sessionToken":"t"}})"};
    }
    if (request.url.host == "169.254.170.23") {
      if (request.headers.find("Authorization") != "pod-token") return FakeReply{401, {}, ""};
      return FakeReply{200, {}, R"({"AccessKeyId":"POD","SecretAccessKey":"s","Token":"t"})"};
    }
    if (request.url.host == "169.254.169.254" && on_instance_) {
      if (request.method == "PUT") return FakeReply{200, {}, "imds-token"};
      if (request.headers.find("X-aws-ec2-metadata-token") != "imds-token") return FakeReply{401, {}, ""};
      if (request.url.path.ends_with("/security-credentials/")) return FakeReply{200, {}, "my-role\n"};
      return FakeReply{200, {}, R"({"AccessKeyId":"IMDS","SecretAccessKey":"s","Token":"t"})"};
    }
    throw TransportError(TransportFailure::Connect, "nobody there");
  }

  TempDirectory home_;
  std::map<std::string, std::string> environment_;
  std::shared_ptr<FakeRegistry> fake_ = std::make_shared<FakeRegistry>();
  bool on_instance_ = false;
  std::string last_sts_body_;
};

TEST_F(AwsCredentialsTest, WithoutAnyTheErrorSaysWhereItLooked) {
  try {
    find();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("environment"), std::string::npos);
  }
}

TEST_F(AwsCredentialsTest, TheEnvironmentComesFirst) {
  environment_["AWS_ACCESS_KEY_ID"] = "ENV";
  environment_["AWS_SECRET_ACCESS_KEY"] = "s";
  on_instance_ = true;
  EXPECT_EQ(find().keys.access_key_id, "ENV");
  EXPECT_TRUE(fake_->requests().empty());
}

TEST_F(AwsCredentialsTest, AWebIdentityIsExchanged) {
  write("token", "jwt\n");
  environment_["AWS_WEB_IDENTITY_TOKEN_FILE"] = (home_.path() / "token").native();
  environment_["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/x";
  const AwsCredentials found = find();
  EXPECT_EQ(found.keys.access_key_id, "STS");
  EXPECT_EQ(found.keys.secret_access_key, "s&3");
  EXPECT_NE(last_sts_body_.find("WebIdentityToken=jwt"), std::string::npos);
  EXPECT_EQ(fake_->requests()[0].url.host, "sts.eu-west-1.amazonaws.com");
  EXPECT_EQ(fake_->requests()[0].url.query, "") << "secrets stand in the body";
}

TEST_F(AwsCredentialsTest, AProfileAssumesARoleWithAnothersKeys) {
  write(".aws/config", "[profile dev]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = base\n");
  write(".aws/credentials", "[base]\naws_access_key_id = BASE\naws_secret_access_key = s\n");
  environment_["AWS_PROFILE"] = "dev";
  EXPECT_EQ(find().keys.access_key_id, "STS");
  EXPECT_NE(fake_->requests()[0].headers.find("Authorization")->find("Credential=BASE/"), std::string::npos);
}

TEST_F(AwsCredentialsTest, ProfilesInACircleAreRefused) {
  write(".aws/config", "[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\nsource_profile=a\n");
  environment_["AWS_PROFILE"] = "a";
  EXPECT_THROW(find(), Error);
}

TEST_F(AwsCredentialsTest, SingleSignOnUsesTheTokenOfTheCache) {
  write(".aws/config",
        "[profile dev]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n"
        "[sso-session corp]\nsso_start_url = https://corp.test/start\nsso_region = us-east-1\n");
  environment_["AWS_PROFILE"] = "dev";
  EXPECT_THROW(find(), Error);
  write(".aws/sso/cache/abc.json",
        R"({"startUrl":"https://corp.test/start","accessToken":"sso-token","expiresAt":"2099-01-01T00:00:00Z"})");
  EXPECT_EQ(find().keys.access_key_id, "SSO");
}

TEST_F(AwsCredentialsTest, AProcessMayGiveKeys) {
  write(".aws/config", R"([default])"
                       "\n"
                       R"(credential_process = echo '{"Version":1,"AccessKeyId":"PROC","SecretAccessKey":"s"}')"
                       "\n");
  EXPECT_EQ(find().keys.access_key_id, "PROC");
}

TEST_F(AwsCredentialsTest, PodIdentitySendsItsToken) {
  write("token", "pod-token");
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials";
  environment_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = (home_.path() / "token").native();
  EXPECT_EQ(find().keys.access_key_id, "POD");
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://evil.example/";
  EXPECT_THROW(find(), Error);
}

TEST_F(AwsCredentialsTest, AnInstanceIsAskedWithATokenUnlessForbidden) {
  on_instance_ = true;
  EXPECT_EQ(find().keys.access_key_id, "IMDS");
  environment_["AWS_EC2_METADATA_DISABLED"] = "true";
  EXPECT_THROW(find(), Error);
}

// The registry and its API, with keys from the environment.
class EcrTest : public ::testing::Test {
 protected:
  EcrTest() {
    ::setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "secret-key", 1);
    fake_->auth = FakeRegistry::Auth::Basic;
    fake_->username = "AWS";
    fake_->password = "token-1";
    fake_->intercept = [this](const FakeRequest& request) { return api(request); };
  }
  ~EcrTest() override {
    ::unsetenv("AWS_ACCESS_KEY_ID");
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
  }
  std::optional<FakeReply> api(const FakeRequest& request) {
    if (request.url.host != "api.ecr.eu-west-1.amazonaws.com") {
      const bool expired = request.headers.find("Authorization") == "Basic " + base64_encode("AWS:expired");
      if (expired) return FakeReply{403, {}, "Your authorization token has expired. Reauthenticate and try again."};
      return std::nullopt;
    }
    const std::string target = request.headers.find("X-Amz-Target").value_or("");
    if (target.ends_with("GetAuthorizationToken")) {
      ++tokens_;
      const std::string token = base64_encode("AWS:token-1");
      return FakeReply{
          200, {}, R"({"authorizationData":[{"authorizationToken":")" + token + R"(","expiresAt":1.7E9}]})"};
    }
    created_.push_back(Json::parse(request.body).require_string("repositoryName"));
    if (created_.size() > 1) {
      return FakeReply{
          400, {}, R"({"__type":"com.amazonaws.ecr#RepositoryAlreadyExistsException","message":"exists"})"};
    }
    return FakeReply{200, {}, "{}"};
  }
  SessionOptions options() { return fake_session(fake_, CredentialStore(directory_.path() / "config.json")); }

  TempDirectory directory_;
  std::shared_ptr<FakeRegistry> fake_ = std::make_shared<FakeRegistry>();
  int tokens_ = 0;
  std::vector<std::string> created_;
};

TEST_F(EcrTest, ATokenIsMadeWhenNeededAndNeverStored) {
  RegistrySession session(options());
  RegistryClient client = session.client(kHost, "app", Access::Push);
  client.start_upload();
  client.start_upload();
  EXPECT_EQ(tokens_, 1);
  EXPECT_FALSE(path_exists(directory_.path() / "config.json"));
}

TEST_F(EcrTest, LoginWithoutANameSaysWhoseKeysAreUsed) {
  RegistrySession session(options());
  const auto result = login_with_stored(session, kHost + "/app");
  ASSERT_TRUE(result);
  EXPECT_NE(result->warning.find("the environment"), std::string::npos);
  EXPECT_FALSE(path_exists(directory_.path() / "config.json"));
}

TEST_F(EcrTest, AStoredTokenThatHasExpiredDoesNotShadowAFreshOne) {
  write_file_atomic(directory_.path() / "config.json",
                    R"({"auths":{")" + kHost + R"(":{"auth":")" + base64_encode("AWS:expired") + R"("}}})",
                    Durability::Cached);
  RegistrySession session(options());
  session.client(kHost, "app", Access::Push).start_upload();
  EXPECT_EQ(tokens_, 1);
}

TEST_F(EcrTest, ARepositoryIsCreatedOnce) {
  RegistrySession session(options());
  create_ecr_repository(session, *parse_ecr_host(kHost), "team/app");
  create_ecr_repository(session, *parse_ecr_host(kHost), "team/app");
  EXPECT_EQ(created_, (std::vector<std::string>{"team/app", "team/app"}));
}

TEST_F(EcrTest, WithoutKeysTheRefusalSaysWhy) {
  ::unsetenv("AWS_ACCESS_KEY_ID");
  ::setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  ::setenv("HOME", directory_.path().c_str(), 1);
  RegistrySession session(options());
  try {
    session.client(kHost, "app", Access::Push).start_upload();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("AWS credentials: none found"), std::string::npos) << error.what();
  }
  ::unsetenv("AWS_EC2_METADATA_DISABLED");
}

TEST_F(EcrTest, SecretKeysAppearInNoRequest) {
  RegistrySession session(options());
  session.client(kHost, "app", Access::Push).start_upload();
  for (const FakeRequest& request : fake_->requests()) {
    for (const auto& [name, value] : request.headers.fields()) {
      EXPECT_EQ(value.find("secret-key"), std::string::npos) << name;
    }
  }
}

}  // namespace
}  // namespace ctr
