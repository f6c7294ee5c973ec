#include "image/manifest.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "image/config.h"

namespace ctr {
namespace {

Manifest sample() {
  Manifest manifest{std::string(media_type::kOciManifest), describe(media_type::kOciConfig, "{}"), {}};
  manifest.layers = {describe(media_type::kOciLayerGzip, "layer")};
  manifest.annotations = {{"a", "b"}};
  return manifest;
}

TEST(Manifest, ComesBackFromItsText) {
  const Manifest manifest = parse_manifest(serialise(sample()));
  EXPECT_EQ(manifest.config, sample().config);
  EXPECT_EQ(manifest.layers, sample().layers);
  EXPECT_EQ(manifest.annotations, sample().annotations);
  EXPECT_EQ(serialise(manifest), serialise(sample()));
}

TEST(Manifest, TextIsTheSameForEver) {
  EXPECT_EQ(Digest::of(serialise(sample())).hex(), "4c3733f0d934e05e32adae1a89b942671d193c44715a208cd9d541e230d3429c");
}

TEST(Manifest, TypeThatContradictsTheAnnouncedOneIsRefused) {
  EXPECT_THROW(parse_manifest(serialise(sample()), media_type::kDockerManifest), Error);
  EXPECT_THROW(parse_manifest_or_index(serialise(sample()), media_type::kOciIndex), Error);
}

TEST(Manifest, ThatIsAlsoAnIndexIsRefused) {
  Json json = Json::parse(serialise(sample()));
  json["manifests"] = Json::array();
  EXPECT_THROW(parse_manifest(json.dump()), Error);
}

TEST(Manifest, WithoutTypeIsWhatItLooksLike) {
  Json json = Json::parse(serialise(sample()));
  json.erase("mediaType");
  EXPECT_EQ(parse_manifest(json.dump()).media_type, media_type::kOciManifest);
  EXPECT_EQ(parse_manifest(json.dump(), media_type::kDockerManifest).media_type, media_type::kDockerManifest);
}

TEST(Manifest, Schema1HasItsOwnSentence) {
  try {
    parse_manifest(R"({"schemaVersion":1,"name":"x"})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("schema 1"), std::string::npos);
  }
}

TEST(Manifest, BadDescriptorsAreRefused) {
  for (const char* text : {R"({"schemaVersion":2,"config":{"digest":"sha256:12","size":1},"layers":[]})",
                           R"({"schemaVersion":2,"config":{"digest":1,"size":1},"layers":[]})",
                           R"({"schemaVersion":2,"layers":[]})", "[]", "", "{"})
    EXPECT_THROW(parse_manifest(text), Error) << text;
}

TEST(ImageConfig, KnownAndUnknownMembersComeBack) {
  const std::string text = R"({"created":"2024-01-01T00:00:00Z","author":"me","architecture":"amd64","os":"linux",
    "config":{"User":"node","ExposedPorts":{"8080/tcp":{}},"Env":["A=b"],"Entrypoint":["/e"],"Cmd":[],"Volumes":{"/v":{}},
    "WorkingDir":"/w","Labels":{"l":"1"},"StopSignal":"SIGINT","Healthcheck":{"Test":["CMD","true"],"Interval":1000000000,"Retries":3},
    "Shell":["/bin/bash","-c"],"OnBuild":["RUN x"],"ArgsEscaped":true,"Domainname":"d"},
    "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
    "history":[{"created_by":"x","empty_layer":true}],"moby.buildkit.cache.v0":"abc"})";
  const ImageConfig config = parse_image_config(text);
  EXPECT_EQ(config.defaults.user, "node");
  EXPECT_EQ(config.defaults.exposed_ports, std::set<std::string>{"8080/tcp"});
  EXPECT_EQ(config.defaults.cmd, std::vector<std::string>{});
  EXPECT_EQ(config.defaults.healthcheck->interval, std::chrono::seconds(1));
  EXPECT_EQ(config.defaults.healthcheck->retries, 3);
  EXPECT_TRUE(config.history.at(0).empty_layer);
  const Json again = Json::parse(serialise_image_config(config));
  const Json original = Json::parse(text);
  for (const auto& [key, value] : original.as_object()) {
    ASSERT_TRUE(again.contains(key)) << key;
    if (key == "config") continue;
    EXPECT_EQ(again.at(key), value) << key;
  }
  EXPECT_EQ(again.at("config").at("Domainname").as_string(), "d");
  EXPECT_EQ(again.at("config").at("Shell").size(), 2u);
  EXPECT_EQ(serialise_image_config(parse_image_config(serialise_image_config(config))), serialise_image_config(config));
}

TEST(ImageConfig, NullsCountAsAbsent) {
  const ImageConfig config = parse_image_config(
      R"({"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":null,"Labels":null,"Volumes":null,"ExposedPorts":null},"rootfs":{"type":"layers","diff_ids":[]},"history":null})");
  EXPECT_FALSE(config.defaults.cmd);
  EXPECT_TRUE(config.defaults.env.empty());
}

TEST(ChainIds, FollowTheSpecification) {
  const Digest a = Digest::of("a");
  const Digest b = Digest::of("b");
  EXPECT_EQ(chain_ids({a, b}), (std::vector<Digest>{a, Digest::of(a.str() + " " + b.str())}));
}

}  // namespace
}  // namespace ctr
