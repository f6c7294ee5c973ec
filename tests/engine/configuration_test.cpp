#include "engine/configuration.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/build_cache_limits.h"

namespace ctr {
namespace {

std::string error_of(const std::string& text) {
  Configuration configuration;
  try {
    apply_configuration(configuration, text, "config.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Configuration, ALaterFileWinsKeyByKey) {
  Configuration configuration;
  apply_configuration(configuration, R"({"log-driver": "local", "stop-timeout": 3})", "a");
  apply_configuration(configuration, R"({"stop-timeout": 5})", "b");
  EXPECT_EQ(configuration.log_driver, "local");
  EXPECT_EQ(configuration.stop_timeout_seconds, 5);
}

TEST(Configuration, AnUnknownKeyIsRefusedByNameWithTheNearestOne) {
  EXPECT_EQ(error_of(R"({"log-drivr": "local"})"),
            "config.json: \"log-drivr\" is not a configuration key; did you mean \"log-driver\"?");
}

TEST(Configuration, EachLayerFormatIsTaken) {
  for (const std::string word : {"auto", "directory", "erofs"}) {
    Configuration configuration;
    apply_configuration(configuration, R"({"layer-format": ")" + word + R"("})", "a");
    EXPECT_EQ(configuration.layer_format, word);
  }
}

TEST(Configuration, AWrongValueNamesFileAndKey) {
  EXPECT_EQ(error_of(R"({"layer-format": "tar"})"),
            R"(config.json: "layer-format": "tar" is none of auto, directory, erofs)");
  EXPECT_NE(error_of(R"({"dns": "1.1.1.1"})").find("config.json: \"dns\": "), std::string::npos);
  EXPECT_NE(error_of(R"({"cgroup-parent": "/a/../b"})"), "accepted");
  EXPECT_NE(error_of("[]"), "accepted");
}

TEST(Configuration, DockersFormsOfLimitsAndPoolsAreTaken) {
  Configuration configuration;
  apply_configuration(configuration,
                      R"({"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 20, "Soft": 10}, "core": "0"},
                          "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}]})",
                      "a");
  EXPECT_EQ(configuration.default_ulimits.at("nofile"), "10:20");
  EXPECT_EQ(configuration.default_ulimits.at("core"), "0");
  EXPECT_EQ(configuration.address_pools, std::vector<std::string>{"10.10.0.0/16:24"});
}

TEST(Configuration, TheBoundOfTheBuildCacheIsWrittenAsDockersIs) {
  const auto parse = [](const char* text) { return parse_build_cache_limits(Json::parse(text)); };
  EXPECT_TRUE(parse("{}").is_collected);
  const BuildCacheLimits limits = parse(R"({"gc": {"enabled": false, "defaultKeepStorage": "20GB", "defaultMaxUsedSpace": "15%"}})");
  EXPECT_FALSE(limits.is_collected);
  EXPECT_EQ(limits.reserved_space, "20GB");
  EXPECT_EQ(limits.max_used_space, "15%");
  EXPECT_EQ(error_of(R"({"builder": {"gc": {"policy": []}}})"), "config.json: \"builder\": gc: \"policy\" is not supported");
  EXPECT_NE(error_of(R"({"builder": {"gc": {"defaultKeepStorage": "120%"}}})"), "accepted");
  EXPECT_EQ(error_of(R"({"builder": {"gc": {"defaultKeepStorage": "20GB"}}})"), "accepted");
}

}  // namespace
}  // namespace ctr
