#include "engine/container_config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

ContainerConfig example_config() {
  ContainerConfig config;
  config.hostname = "web";
  config.user = "node:node";
  config.tty = true;
  config.exposed_ports = {"8080/tcp", "53/udp"};
  config.env = {"PATH=/bin", "A=b=c"};
  config.cmd = StringList{"node", "app.js"};
  config.volumes = {"/data"};
  config.labels = {{"k", "v"}};
  config.stop_timeout = 3;
  config.healthcheck = HealthConfig{{"CMD", "true"}, 1'000'000'000, 0, 0, 0, 2};
  return config;
}

HostConfig example_host() {
  HostConfig host;
  host.binds = {"/src:/dst:ro"};
  host.network_mode = "none";
  host.port_bindings["80/tcp"] = {{"127.0.0.1", "8080"}, {"", ""}};
  host.memory = 64 * 1024 * 1024;
  host.pids_limit = 10;
  host.ulimits = {{"nofile", 20, 10}};
  host.devices = {{"/dev/null", "/dev/zero", "rw"}};
  host.masked_paths = StringList{};
  host.init = false;
  MountRequest mount;
  mount.type = "volume";
  mount.source = "data";
  mount.target = "/data";
  mount.volume_options = VolumeOptions{true, {{"a", "b"}}, "local", {{"type", "tmpfs"}}, "sub"};
  host.mounts = {mount};
  return host;
}

TEST(ContainerConfig, CompactJsonComesBackUnchanged) {
  const ContainerConfig config = example_config();
  const Json compact = to_json(config, JsonForm::Compact);
  EXPECT_EQ(to_json(container_config_from_json(compact), JsonForm::Full).dump(), to_json(config, JsonForm::Full).dump());
}

TEST(ContainerConfig, CompactJsonLeavesDefaultsOut) {
  EXPECT_EQ(to_json(ContainerConfig{}, JsonForm::Compact).dump(), "{}");
  EXPECT_EQ(to_json(HostConfig{}, JsonForm::Compact).dump(), "{}");
}

TEST(ContainerConfig, FullJsonHasDockersKeysForAnEmptyConfig) {
  EXPECT_EQ(to_json(ContainerConfig{}, JsonForm::Full).dump(),
            R"({"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,)"
            R"("Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,)"
            R"("WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{}})");
}

TEST(ContainerConfig, PortsAndVolumesAreObjectsOfEmptyObjects) {
  const Json json = to_json(example_config(), JsonForm::Full);
  EXPECT_EQ(json.at("ExposedPorts").dump(), R"({"8080/tcp":{},"53/udp":{}})");
  EXPECT_EQ(json.at("Volumes").dump(), R"({"/data":{}})");
}

TEST(HostConfig, CompactJsonComesBackUnchanged) {
  const HostConfig host = example_host();
  const Json compact = to_json(host, JsonForm::Compact);
  EXPECT_EQ(to_json(host_config_from_json(compact), JsonForm::Full).dump(), to_json(host, JsonForm::Full).dump());
}

TEST(HostConfig, AnEmptyListThatWasAskedForIsNotTheDefault) {
  const HostConfig host = host_config_from_json(to_json(example_host(), JsonForm::Compact));
  ASSERT_TRUE(host.masked_paths.has_value());
  EXPECT_TRUE(host.masked_paths->empty());
  EXPECT_FALSE(host.readonly_paths.has_value());
}

TEST(HostConfig, VolumeDriverIsAnObjectOfItsOwn) {
  const Json json = to_json(example_host(), JsonForm::Full);
  EXPECT_EQ(json.at("Mounts").at(0).at("VolumeOptions").at("DriverConfig").dump(),
            R"({"Name":"local","Options":{"type":"tmpfs"}})");
}

TEST(HostConfig, PortBindingsKeepDockersNames) {
  const Json json = to_json(example_host(), JsonForm::Full);
  EXPECT_EQ(json.at("PortBindings").dump(),
            R"({"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"},{"HostIp":"","HostPort":""}]})");
}

TEST(HostConfig, AValueOfTheWrongTypeIsRefusedByName) {
  try {
    host_config_from_json(Json::parse(R"({"Memory": "64m"})"));
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Invalid);
    EXPECT_NE(std::string(error.what()).find("\"Memory\""), std::string::npos) << error.what();
  }
}

TEST(HostConfig, ANumberThatDoesNotFitIsRefused) {
  EXPECT_THROW(host_config_from_json(Json::parse(R"({"BlkioWeight": 70000})")), Error);
}

TEST(HostConfig, UnknownKeysAndNullsAreIgnored) {
  const HostConfig host = host_config_from_json(Json::parse(R"({"Unknown": 1, "Binds": null, "Memory": 5})"));
  EXPECT_EQ(host.memory, 5);
  EXPECT_TRUE(host.binds.empty());
}

TEST(NetworkingConfig, EndpointsComeBackUnchanged) {
  NetworkingConfig networking;
  EndpointSettings& settings = networking.endpoints_config["backend"];
  settings.aliases = {"db"};
  settings.ipam_config = EndpointIpamConfig{"10.0.0.5", "", {}};
  const NetworkingConfig read = networking_config_from_json(to_json(networking, JsonForm::Compact));
  ASSERT_TRUE(read.endpoints_config.contains("backend"));
  EXPECT_EQ(read.endpoints_config.at("backend").aliases, StringList{"db"});
  EXPECT_EQ(read.endpoints_config.at("backend").ipam_config->ipv4_address, "10.0.0.5");
}

}  // namespace
}  // namespace ctr
