// The server's endpoints without sockets.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "registry/base64.h"
#include "registry/server/byte_range.h"
#include "registry/server/registry_api.h"

namespace ctr {
namespace {

class ServerApiTest : public ::testing::Test {
 protected:
  ServerReply call(const std::string& method, const std::string& target, const std::string& body = {},
                   HttpHeaders headers = {}) {
    ServerRequest request;
    request.method = method;
    request.path = target.substr(0, target.find('?'));
    request.headers = std::move(headers);
    if (const auto parts = cut(target, '?')) {
      for (const std::string& part : split(parts->second, '&')) {
        const auto pair = cut(part, '=');
        request.query[pair ? pair->first : part] = pair ? pair->second : "";
        request.all_query.emplace(pair ? pair->first : part, pair ? pair->second : "");
      }
    }
    ServerAction action = api_.handle(request);
    if (auto* reply = std::get_if<ServerReply>(&action)) return std::move(*reply);
    auto& taker = std::get<std::unique_ptr<ServerBody>>(action);
    taker->write(as_bytes(body));
    return taker->finish();
  }
  std::string put_blob(const std::string& name, const std::string& bytes) {
    const std::string digest = Digest::of(bytes).str();
    EXPECT_EQ(call("POST", "/v2/" + name + "/blobs/uploads/?digest=" + digest, bytes).status, 201);
    return digest;
  }
  std::string manifest_of(const std::string& name, const std::string& extra = {}) {
    const std::string config = put_blob(name, "{}");
    const std::string layer = put_blob(name, "layer");
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
           R"("application/vnd.oci.image.config.v1+json","digest":")" +
           config +
           R"(","size":2},"layers":[{"mediaType":)"
           R"("application/vnd.oci.image.layer.v1.tar","digest":")" +
           layer + R"(","size":5}])" + extra + "}";
  }
  ServerReply put_manifest(const std::string& name, const std::string& reference, const std::string& bytes) {
    return call("PUT", "/v2/" + name + "/manifests/" + reference, bytes,
                {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}});
  }
  std::string read(const ServerReply& reply) {
    if (!reply.file) return reply.body;
    std::string text(reply.size, '\0');
    EXPECT_EQ(::pread(reply.file.get(), text.data(), text.size(), static_cast<off_t>(reply.offset)),
              static_cast<ssize_t>(reply.size));
    return text;
  }

  TempDirectory directory_;
  Repositories repositories_{directory_.path()};
  UploadSessions uploads_{repositories_.blobs()};
  RegistryApi api_{repositories_, uploads_, nullptr, WriteAccess::Allowed};
};

TEST_F(ServerApiTest, ABlobComesBackWholeOrInPart) {
  const std::string digest = put_blob("team/app", "0123456789");
  EXPECT_EQ(read(call("GET", "/v2/team/app/blobs/" + digest)), "0123456789");
  const ServerReply part = call("GET", "/v2/team/app/blobs/" + digest, "", {{"Range", "bytes=3-5"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(read(part), "345");
  EXPECT_EQ(part.headers.find("Content-Range"), "bytes 3-5/10");
  EXPECT_EQ(call("GET", "/v2/team/app/blobs/" + digest, "", {{"Range", "bytes=10-"}}).status, 416);
  EXPECT_EQ(call("HEAD", "/v2/team/app/blobs/" + digest).size, 10u);
  EXPECT_EQ(call("HEAD", "/v2/other/blobs/" + digest).status, 404) << "each repository has its own";
}

TEST_F(ServerApiTest, ChunksMustFollowEachOther) {
  const ServerReply begun = call("POST", "/v2/app/blobs/uploads/");
  EXPECT_EQ(begun.status, 202);
  const std::string location = *begun.headers.find("Location");
  EXPECT_EQ(call("PATCH", location, "abc", {{"Content-Range", "0-2"}, {"Content-Length", "3"}}).status, 202);
  const ServerReply wrong = call("PATCH", location, "x", {{"Content-Range", "7-7"}, {"Content-Length", "1"}});
  EXPECT_EQ(wrong.status, 416);
  EXPECT_EQ(wrong.headers.find("Range"), "0-2");
  EXPECT_EQ(call("GET", location).headers.find("Range"), "0-2");
  const std::string digest = Digest::of("abcdef").str();
  EXPECT_EQ(call("PUT", location + "?digest=" + digest, "def", {{"Content-Range", "3-5"}}).status, 201);
  EXPECT_EQ(read(call("GET", "/v2/app/blobs/" + digest)), "abcdef");
  EXPECT_EQ(call("GET", location).status, 404);
}

TEST_F(ServerApiTest, AWrongDigestKeepsNothing) {
  const std::string digest = Digest::of("right").str();
  EXPECT_EQ(call("POST", "/v2/app/blobs/uploads/?digest=" + digest, "wrong").status, 400);
  EXPECT_EQ(call("HEAD", "/v2/app/blobs/" + digest).status, 404);
  EXPECT_TRUE(list_directory(directory_.path() / "ingest").empty());
}

TEST_F(ServerApiTest, AnUploadCanBeGivenUp) {
  const std::string location = *call("POST", "/v2/app/blobs/uploads/").headers.find("Location");
  EXPECT_EQ(call("DELETE", location).status, 204);
  EXPECT_EQ(call("PATCH", location, "x").status, 404);
}

TEST_F(ServerApiTest, IdleUploadsExpire) {
  const std::string location = *call("POST", "/v2/app/blobs/uploads/").headers.find("Location");
  uploads_.expire(std::chrono::seconds(3600));
  EXPECT_EQ(call("GET", location).status, 204);
  uploads_.expire(std::chrono::seconds(-1));
  EXPECT_EQ(call("GET", location).status, 404);
}

TEST_F(ServerApiTest, AMountNeedsNoUpload) {
  const std::string digest = put_blob("base", "shared");
  EXPECT_EQ(call("POST", "/v2/app/blobs/uploads/?mount=" + digest + "&from=base").status, 201);
  EXPECT_EQ(read(call("GET", "/v2/app/blobs/" + digest)), "shared");
  EXPECT_EQ(call("POST", "/v2/app/blobs/uploads/?mount=" + Digest::of("x").str() + "&from=base").status, 202);
}

TEST_F(ServerApiTest, AManifestNeedsEverythingThatItNames) {
  const std::string manifest = manifest_of("app");
  EXPECT_EQ(put_manifest("other", "v1", manifest).status, 404);
  const ServerReply put = put_manifest("app", "v1", manifest);
  EXPECT_EQ(put.status, 201);
  EXPECT_EQ(put.headers.find("Docker-Content-Digest"), Digest::of(manifest).str());
  const ServerReply got = call("GET", "/v2/app/manifests/v1");
  EXPECT_EQ(got.body, manifest);
  EXPECT_EQ(got.headers.find("Content-Type"), "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(put_manifest("app", Digest::of("other").str(), manifest).status, 400);
  EXPECT_EQ(put_manifest("app", "v1", "{").status, 400);
}

TEST_F(ServerApiTest, SeveralTagsComeWithOnePut) {
  const std::string manifest = manifest_of("app");
  EXPECT_EQ(put_manifest("app", Digest::of(manifest).str() + "?tag=a&tag=b", manifest).status, 201);
  EXPECT_EQ(call("GET", "/v2/app/manifests/b").body, manifest);
}

TEST_F(ServerApiTest, TagsComeInPages) {
  const std::string manifest = manifest_of("app");
  for (const char* tag : {"b", "a", "c"}) put_manifest("app", tag, manifest);
  const ServerReply first = call("GET", "/v2/app/tags/list?n=2");
  EXPECT_EQ(Json::parse(first.body).strings("tags"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(first.headers.find("Link"), "</v2/app/tags/list?last=b&n=2>; rel=\"next\"");
  EXPECT_EQ(Json::parse(call("GET", "/v2/app/tags/list?n=2&last=b").body).strings("tags"),
            std::vector<std::string>{"c"});
  EXPECT_EQ(Json::parse(call("GET", "/v2/app/tags/list?n=0").body).strings("tags"), std::vector<std::string>{});
  EXPECT_EQ(call("GET", "/v2/nope/tags/list").status, 404);
}

TEST_F(ServerApiTest, ReferrersAreListedUntilTheyAreDeleted) {
  const std::string subject = manifest_of("app");
  put_manifest("app", "v1", subject);
  const std::string referrer =
      manifest_of("app", R"(,"artifactType":"sbom","annotations":{"a":"b"},"subject":{"mediaType":)"
                         R"("application/vnd.oci.image.manifest.v1+json","digest":")" +
                             Digest::of(subject).str() + R"(","size":1})");
  EXPECT_EQ(put_manifest("app", Digest::of(referrer).str(), referrer).headers.find("OCI-Subject"),
            Digest::of(subject).str());
  const std::string path = "/v2/app/referrers/" + Digest::of(subject).str();
  const Json list = Json::parse(call("GET", path).body);
  ASSERT_EQ(list.elements("manifests").size(), 1u);
  EXPECT_EQ(list.elements("manifests")[0].require_string("artifactType"), "sbom");
  EXPECT_EQ(list.elements("manifests")[0].string_map("annotations").at("a"), "b");
  const ServerReply filtered = call("GET", path + "?artifactType=other");
  EXPECT_EQ(filtered.headers.find("OCI-Filters-Applied"), "artifactType");
  EXPECT_TRUE(Json::parse(filtered.body).elements("manifests").empty());
  EXPECT_EQ(call("DELETE", "/v2/app/manifests/" + Digest::of(referrer).str()).status, 202);
  EXPECT_TRUE(Json::parse(call("GET", path).body).elements("manifests").empty());
}

TEST_F(ServerApiTest, DeletingAManifestTakesItsTagsAlong) {
  const std::string manifest = manifest_of("app");
  put_manifest("app", "v1", manifest);
  put_manifest("app", "v2", manifest);
  EXPECT_EQ(call("DELETE", "/v2/app/manifests/v1").status, 202);
  EXPECT_EQ(call("GET", "/v2/app/manifests/v1").status, 404);
  EXPECT_EQ(call("GET", "/v2/app/manifests/v2").status, 200);
  EXPECT_EQ(call("DELETE", "/v2/app/manifests/" + Digest::of(manifest).str()).status, 202);
  EXPECT_EQ(call("GET", "/v2/app/manifests/v2").status, 404);
  EXPECT_TRUE(Json::parse(call("GET", "/v2/app/tags/list").body).strings("tags").empty());
}

TEST_F(ServerApiTest, GarbageIsWhatNoManifestNames) {
  const std::string manifest = manifest_of("app");
  put_manifest("app", "v1", manifest);
  const std::string orphan = put_blob("app", "orphan");
  EXPECT_EQ(repositories_.collect(std::chrono::seconds(3600)).blobs_removed, 0u) << "it may be part of a push";
  EXPECT_EQ(repositories_.collect(std::chrono::seconds(0)).blobs_removed, 1u);
  EXPECT_EQ(call("HEAD", "/v2/app/blobs/" + orphan).status, 404);
  EXPECT_EQ(call("GET", "/v2/app/manifests/v1").body, manifest);
  EXPECT_EQ(read(call("GET", "/v2/app/blobs/" + Digest::of("layer").str())), "layer");
}

TEST_F(ServerApiTest, PathsThatLeaveTheirPlaceAreRefused) {
  for (const char* name : {"..", "a/../../etc", "_blobs", "a/_tags", "A", "a//b", ".", "a/./b", "x\n"}) {
    const ServerReply reply = call("GET", std::string("/v2/") + name + "/manifests/v1");
    EXPECT_TRUE(reply.status == 400 || reply.status == 404) << name << reply.status;
    EXPECT_GE(call("POST", std::string("/v2/") + name + "/blobs/uploads/").status, 400) << name;
  }
  EXPECT_EQ(call("GET", "/v2/app/manifests/../../x").status, 404);
  EXPECT_EQ(call("GET", "/v2/app/manifests/..").status, 400);
  EXPECT_EQ(call("GET", "/v2/app/blobs/sha256:..").status, 400);
  EXPECT_EQ(call("GET", "/v2/app/blobs/md5:abc").status, 400);
}

TEST_F(ServerApiTest, AReadOnlyServerRefusesToWrite) {
  RegistryApi read_only(repositories_, uploads_, nullptr, WriteAccess::ReadOnly);
  ServerRequest request;
  request.method = "POST";
  request.path = "/v2/app/blobs/uploads/";
  EXPECT_EQ(std::get<ServerReply>(read_only.handle(request)).status, 405);
}

TEST_F(ServerApiTest, OnlyUsersOfTheFileMayComeIn) {
  // "secret" with cost 4.
  const fs::path file = directory_.path() / "htpasswd";
  Command command;
  command.argv = {"htpasswd", "-Bbn", "-C", "4", "user", "secret"};
  if (!find_program("htpasswd")) GTEST_SKIP() << "htpasswd is not installed";
  write_file_atomic(file, run_command(std::move(command)).standard_out, Durability::Cached);
  Htpasswd passwords(file);
  const auto ask = [&](const std::string& pair) { return passwords.authenticate("Basic " + base64_encode(pair)); };
  EXPECT_EQ(ask("user:secret"), "user");
  EXPECT_EQ(ask("user:secret"), "user") << "remembered";
  EXPECT_FALSE(ask("user:Secret"));
  EXPECT_FALSE(ask("nobody:secret"));
  EXPECT_FALSE(ask("user:"));
  EXPECT_FALSE(passwords.authenticate(std::nullopt));
  EXPECT_FALSE(passwords.authenticate("Bearer x"));
}

TEST_F(ServerApiTest, OneServerADirectory) {
  EXPECT_THROW(Repositories second(directory_.path()), Error);
}

TEST(ByteRange, OddRangesAreIgnoredOrRefused) {
  using Kind = ByteRange::Kind;
  EXPECT_EQ(parse_byte_range("bytes=-3", 10).first, 7u);
  EXPECT_EQ(parse_byte_range("bytes=5-100", 10).last, 9u);
  EXPECT_EQ(parse_byte_range("bytes=5-4", 10).kind, Kind::Whole);
  EXPECT_EQ(parse_byte_range("bytes=0-1,3-4", 10).kind, Kind::Whole);
  EXPECT_EQ(parse_byte_range("items=0-1", 10).kind, Kind::Whole);
  EXPECT_EQ(parse_byte_range("bytes=0-", 0).kind, Kind::Unsatisfiable);
  EXPECT_EQ(parse_byte_range("bytes=99999999999999999999-", 10).kind, Kind::Whole);
}

}  // namespace
}  // namespace ctr
