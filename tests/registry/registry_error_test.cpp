#include "registry/registry_error.h"

#include <gtest/gtest.h>

namespace ctr {
namespace {

using Action = RegistryRequest::Action;

std::string sentence(Action action, int status, const std::string& body, HttpHeaders headers = {}) {
  const RegistryRequest request{action, "docker.io", "nope", "nope:latest"};
  return registry_error(request, HttpResponse{status, std::move(headers)}, body).what();
}

TEST(RegistryError, AMissingManifestReadsAsDockersSentence) {
  EXPECT_EQ(sentence(Action::Resolve, 404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})"),
            "manifest for nope:latest not found: manifest unknown: manifest unknown");
}

TEST(RegistryError, ADenialReadsAsDockersSentence) {
  const std::string body = R"({"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]})";
  EXPECT_EQ(sentence(Action::Resolve, 403, body),
            "pull access denied for nope, repository does not exist or may require 'docker login': denied: requested "
            "access to the resource is denied");
  EXPECT_EQ(sentence(Action::Push, 403, body), "denied: requested access to the resource is denied");
}

TEST(RegistryError, ATokenThatLacksTheScopeIsADenial) {
  const HttpHeaders headers{{"WWW-Authenticate", R"(Bearer realm="https://a/",error="insufficient_scope")"}};
  const std::string body = R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})";
  EXPECT_EQ(sentence(Action::Resolve, 401, body, headers),
            "pull access denied for nope, repository does not exist or may require 'docker login': denied: requested "
            "access to the resource is denied");
}

TEST(RegistryError, PlainTextBodiesAreShownAndPagesAreNot) {
  EXPECT_EQ(registry_sentence(403, "Your token has expired\n"), "Your token has expired");
  EXPECT_EQ(registry_sentence(502, "<html><body>Bad</body></html>"),
            "received unexpected HTTP status: 502 Bad Gateway");
  EXPECT_EQ(registry_sentence(500, ""), "received unexpected HTTP status: 500 Internal Server Error");
}

TEST(RegistryError, OddShapesOfErrorsAreRead) {
  EXPECT_EQ(registry_sentence(401, R"({"details":"incorrect username or password"})"),
            "incorrect username or password");
  EXPECT_EQ(registry_sentence(400, R"({"errors":["plain"]})"), "plain");
  EXPECT_EQ(registry_sentence(400, R"({"errors":[{"code":"NAME_INVALID"}]})"), "name invalid");
  EXPECT_EQ(registry_sentence(400, R"({"errors":[]})"), "received unexpected HTTP status: 400 Bad Request");
  EXPECT_EQ(registry_sentence(400, R"({"errors":7})"), "received unexpected HTTP status: 400 Bad Request");
}

TEST(RegistryError, ServersCannotWriteControlCharacters) {
  EXPECT_EQ(printable("a\x1b[31mb\nc"), "a [31mb c");
  EXPECT_LE(printable(std::string(10'000, 'x')).size(), 403u);
}

TEST(RegistryError, ARateLimitShowsItsNumbers) {
  const HttpHeaders headers{{"RateLimit-Limit", "100;w=21600"}, {"RateLimit-Remaining", "0;w=21600"}};
  EXPECT_EQ(sentence(Action::Resolve, 429, R"({"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]})", headers),
            "toomanyrequests: slow down (limit 100;w=21600, remaining 0;w=21600)");
}

}  // namespace
}  // namespace ctr
