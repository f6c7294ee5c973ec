#include "shim/protocol.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

ShimSettings full_settings() {
  ShimSettings settings;
  settings.id = "abc";
  settings.tty = settings.open_stdin = settings.stdin_once = settings.auto_remove = true;
  settings.stop_signal = "SIGQUIT";
  settings.stop_timeout_seconds = 3;
  settings.log = {"local", 20, 5};
  settings.restart = {"on-failure", 7};
  settings.health = HealthSettings{{"/bin/sh", "-c", "true"}, 1, 2, 3, 4, 5};
  settings.events.file = "/x/events.jsonl";
  settings.events.attributes = {{"image", "busybox"}, {"name", "web"}};
  settings.root = OverlayMount{{"a/fs", "b/fs"}, "/u", "/w", true, false};
  settings.layers_directory = "/x/layers";
  settings.seccomp_filter = "/x/filter";
  settings.ctr_program = "/usr/bin/ctr";
  settings.cleanup_arguments = {"--root", "/x"};
  settings.claims_while_running = {"/r/1"};
  settings.claims_until_removed = {"/n/web"};
  return settings;
}

TEST(ShimSettings, ComeBackFromJsonAsTheyWere) {
  const Json json = to_json(full_settings());
  EXPECT_EQ(to_json(shim_settings_from_json(Json::parse(json.dump(), "settings"))), json);
}

TEST(ShimSettings, NeedOnlyAnId) {
  const ShimSettings settings = shim_settings_from_json(Json::parse(R"({"id":"a"})", "settings"));
  EXPECT_EQ(settings.log.driver, "json-file");
  EXPECT_EQ(settings.log.max_files, 3);
  EXPECT_EQ(settings.stop_timeout_seconds, 10);
  EXPECT_FALSE(settings.health.has_value());
  EXPECT_FALSE(settings.root.has_value());
  EXPECT_THROW(shim_settings_from_json(Json::object()), Error);
}

TEST(ShimSettings, RefuseNumbersThatDoNotFit) {
  EXPECT_THROW(shim_settings_from_json(Json::parse(R"({"id":"a","stop_timeout_seconds":4294967296})", "s")), Error);
}

TEST(ShimState, ComesBackFromJsonWithEachStatus) {
  for (const auto status : {ShimStatus::Created, ShimStatus::Running, ShimStatus::Paused, ShimStatus::Restarting,
                            ShimStatus::Removing, ShimStatus::Exited}) {
    const ShimState state = {status, 12, 34567890123, 11, "2026-01-01T00:00:00Z", 2, "healthy"};
    const Json json = to_json(state);
    EXPECT_EQ(to_json(shim_state_from_json(json)), json);
  }
  EXPECT_THROW(shim_state_from_json(Json::parse(R"({"status":"odd"})", "state")), Error);
}

TEST(ProcessExit, ComesBackFromJsonAsItWas) {
  const Json json = to_json(ProcessExit{137, true, "why", "a", "b", 3, true});
  EXPECT_EQ(to_json(process_exit_from_json(json)), json);
}

TEST(HealthReport, ComesBackFromJsonAsItWas) {
  const Json json = to_json(HealthReport{"unhealthy", 4, {{"a", "b", 1, "out"}, {"c", "d", 0, ""}}});
  EXPECT_EQ(to_json(health_report_from_json(json)), json);
}

TEST(ExecSettings, ComeBackFromJsonAsTheyWere) {
  ExecSettings settings;
  settings.id = "e";
  settings.container_id = "c";
  settings.tty = true;
  settings.user = "node";
  settings.cgroup = "/ctr/c/payload";
  settings.seccomp_filter = "/f";
  const Json json = to_json(settings);
  EXPECT_EQ(to_json(exec_settings_from_json(json)), json);
}

}  // namespace
}  // namespace ctr
