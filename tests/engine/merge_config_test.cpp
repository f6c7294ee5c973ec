#include "engine/merge_config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

ContainerDefaults image() {
  ContainerDefaults defaults;
  defaults.user = "node";
  defaults.env = {"PATH=/usr/bin", "A=image"};
  defaults.entrypoint = StringList{"/entry"};
  defaults.cmd = StringList{"serve"};
  defaults.working_dir = "/app";
  defaults.exposed_ports = {"80/tcp"};
  defaults.labels = {{"from", "image"}, {"kept", "yes"}};
  defaults.stop_signal = "SIGQUIT";
  return defaults;
}

TEST(MergeConfig, TheImagesCommandIsUsedWhenNoneIsGiven) {
  EXPECT_EQ(command_line(merge_config({}, image())), (StringList{"/entry", "serve"}));
}

TEST(MergeConfig, ACommandReplacesTheImagesAndKeepsTheEntrypoint) {
  ContainerConfig user;
  user.cmd = StringList{"other", "x"};
  EXPECT_EQ(command_line(merge_config(user, image())), (StringList{"/entry", "other", "x"}));
}

TEST(MergeConfig, AnEntrypointDropsTheImagesCommand) {
  ContainerConfig user;
  user.entrypoint = StringList{"/mine"};
  EXPECT_EQ(command_line(merge_config(user, image())), StringList{"/mine"});
}

TEST(MergeConfig, AnEmptyEntrypointTakesTheImagesAway) {
  ContainerConfig user;
  user.entrypoint = StringList{""};
  user.cmd = StringList{"sh"};
  EXPECT_EQ(command_line(merge_config(user, image())), StringList{"sh"});
  user.cmd.reset();
  EXPECT_THROW(command_line(merge_config(user, image())), Error);
}

TEST(MergeConfig, TheUsersVariablesAndLabelsWin) {
  ContainerConfig user;
  user.env = {"A=user", "B=1"};
  user.labels = {{"from", "user"}};
  const ContainerConfig merged = merge_config(user, image());
  EXPECT_EQ(merged.env, (StringList{"A=user", "B=1", "PATH=/usr/bin"}));
  EXPECT_EQ(merged.labels, (StringMap{{"from", "user"}, {"kept", "yes"}}));
}

TEST(MergeConfig, OnePartOfAHealthCheckCanBeChanged) {
  ContainerDefaults defaults = image();
  defaults.healthcheck = Healthcheck{{"CMD", "check"}, std::chrono::seconds(5), {}, {}, {}, 4};
  ContainerConfig user;
  user.healthcheck = HealthConfig{};
  user.healthcheck->interval_ns = 7;
  const ContainerConfig merged = merge_config(user, defaults);
  EXPECT_EQ(merged.healthcheck->test, (StringList{"CMD", "check"}));
  EXPECT_EQ(merged.healthcheck->interval_ns, 7);
  EXPECT_EQ(merged.healthcheck->retries, 4);
}

TEST(ProcessEnvironment, HasPathHostnameAndTermBeforeTheRest) {
  ContainerConfig config;
  config.hostname = "abc";
  config.tty = true;
  config.env = {"X=1"};
  EXPECT_EQ(process_environment(config),
            (StringList{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=abc", "TERM=xterm",
                        "X=1"}));
}

TEST(ProcessEnvironment, TheConfigurationReplacesDefaults) {
  ContainerConfig config;
  config.hostname = "abc";
  config.env = {"PATH=/bin", "HOSTNAME=other"};
  EXPECT_EQ(process_environment(config), (StringList{"PATH=/bin", "HOSTNAME=other"}));
}

TEST(ProcessEnvironment, ANameAloneRemovesTheVariable) {
  EXPECT_EQ(with_environment({"A=1", "B=2"}, {"A", "C=3"}), (StringList{"B=2", "C=3"}));
}

}  // namespace
}  // namespace ctr
