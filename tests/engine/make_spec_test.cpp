#include "engine/make_spec.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/capabilities.h"
#include "runtime/sandbox.h"
#include "runtime/spec_defaults.h"

namespace ctr {
namespace {

ContainerRecord example() {
  ContainerRecord record;
  record.id = std::string(64, 'a');
  record.path = "node";
  record.args = {"app.js"};
  record.cgroup_path = "/ctr/" + record.id;
  record.config.hostname = "aaaaaaaaaaaa";
  record.host.network_mode = "bridge";
  return record;
}

SpecInputs inputs() {
  SpecInputs inputs;
  inputs.etc_directory = "/containers/a";
  return inputs;
}

const MountSpec* mount_at(const Spec& spec, const fs::path& destination) {
  const auto found = std::find_if(spec.mounts.begin(), spec.mounts.end(),
                                  [&](const MountSpec& mount) { return mount.destination == destination; });
  return found == spec.mounts.end() ? nullptr : &*found;
}

bool has_option(const MountSpec& mount, const std::string& option) {
  return std::find(mount.options.begin(), mount.options.end(), option) != mount.options.end();
}

TEST(MakeSpec, GivesTheCommandItsPlaceAndItsGroup) {
  const Spec spec = make_spec(example(), inputs());
  EXPECT_EQ(spec.process->args, (std::vector<std::string>{"node", "app.js"}));
  EXPECT_EQ(spec.process->cwd, "/");
  EXPECT_EQ(spec.hostname, "aaaaaaaaaaaa");
  EXPECT_EQ(spec.linux.cgroups_path, "/ctr/" + std::string(64, 'a') + "/payload");
  EXPECT_EQ(spec.process->capabilities->bounding, default_capabilities());
  EXPECT_EQ(spec.process->capabilities->inheritable, 0u);
}

TEST(MakeSpec, LeavesTheUserToTheRuntime) {
  ContainerRecord record = example();
  record.config.user = "node:staff";
  record.host.group_add = {"audio", "29"};
  const Spec spec = make_spec(record, inputs());
  EXPECT_EQ(spec.annotations.at(std::string(kUserAnnotation)), "node:staff");
  EXPECT_EQ(spec.annotations.at(std::string(kGroupsAnnotation)), "audio,29");
}

TEST(MakeSpec, BindsTheFilesOfTheNetwork) {
  const Spec spec = make_spec(example(), inputs());
  for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
    const MountSpec* mount = mount_at(spec, fs::path("/etc") / name);
    ASSERT_NE(mount, nullptr) << name;
    EXPECT_EQ(mount->source, std::string("/containers/a/") + name);
  }
}

TEST(MakeSpec, AUsersMountTakesThePlaceOfADefaultOne) {
  SpecInputs asked = inputs();
  MountSpec hosts;
  hosts.destination = "/etc/hosts";
  hosts.source = "/my/hosts";
  asked.mounts = {hosts};
  const Spec spec = make_spec(example(), asked);
  EXPECT_EQ(mount_at(spec, "/etc/hosts")->source, "/my/hosts");
  EXPECT_EQ(std::count_if(spec.mounts.begin(), spec.mounts.end(),
                          [](const MountSpec& mount) { return mount.destination == "/etc/hosts"; }),
            1);
}

TEST(MakeSpec, MountsParentsBeforeChildren) {
  SpecInputs asked = inputs();
  MountSpec child;
  child.destination = "/data/sub/deep";
  MountSpec parent;
  parent.destination = "/data";
  asked.mounts = {child, parent};
  const Spec spec = make_spec(example(), asked);
  EXPECT_LT(mount_at(spec, "/data"), mount_at(spec, "/data/sub/deep"));
}

TEST(MakeSpec, InitStandsInFrontOfTheCommand) {
  SpecInputs asked = inputs();
  asked.init_program = "/usr/libexec/ctr/ctr-init";
  const Spec spec = make_spec(example(), asked);
  EXPECT_EQ(spec.process->args, (std::vector<std::string>{"/sbin/docker-init", "--", "node", "app.js"}));
  const MountSpec* mount = mount_at(spec, "/sbin/docker-init");
  ASSERT_NE(mount, nullptr);
  EXPECT_TRUE(has_option(*mount, "ro"));
}

TEST(MakeSpec, HostModesShareNamespaces) {
  ContainerRecord record = example();
  record.host.network_mode = "host";
  record.host.pid_mode = "host";
  record.host.ipc_mode = "host";
  record.host.uts_mode = "host";
  const Spec spec = make_spec(record, inputs());
  for (const NamespaceType type : {NamespaceType::Network, NamespaceType::Pid, NamespaceType::Ipc, NamespaceType::Uts}) {
    EXPECT_EQ(find_namespace(spec, type), nullptr) << namespace_name(type);
  }
  EXPECT_NE(find_namespace(spec, NamespaceType::Mount), nullptr);
  EXPECT_TRUE(spec.hostname.empty());
  EXPECT_FALSE(spec.linux.sysctl.contains("net.ipv4.ip_unprivileged_port_start"));
}

TEST(MakeSpec, JoinsTheNetworkNamespaceThatWasMade) {
  SpecInputs asked = inputs();
  asked.network_namespace = "/run/netns";
  const Spec spec = make_spec(example(), asked);
  ASSERT_NE(find_namespace(spec, NamespaceType::Network), nullptr);
  EXPECT_EQ(find_namespace(spec, NamespaceType::Network)->path, "/run/netns");
  EXPECT_EQ(spec.linux.sysctl.at("net.ipv4.ip_unprivileged_port_start"), "0");
}

TEST(MakeSpec, PrivilegedKeepsEveryCapabilityAndMasksNothing) {
  ContainerRecord record = example();
  record.host.privileged = true;
  const Spec spec = make_spec(record, inputs());
  EXPECT_TRUE(spec.linux.masked_paths.empty());
  EXPECT_TRUE(spec.linux.readonly_paths.empty());
  EXPECT_EQ(spec.process->capabilities->bounding, all_capabilities() & own_bounding_set());
}

TEST(MakeSpec, MemoryGetsAsMuchSwapAgain) {
  ContainerRecord record = example();
  record.host.memory = 64 << 20;
  record.host.nano_cpus = 1'500'000'000;
  record.host.pids_limit = -1;
  const Spec spec = make_spec(record, inputs());
  EXPECT_EQ(spec.linux.resources.memory.limit, 64 << 20);
  EXPECT_EQ(spec.linux.resources.memory.swap, 128 << 20);
  EXPECT_EQ(spec.linux.resources.cpu.period, 100'000u);
  EXPECT_EQ(spec.linux.resources.cpu.quota, 150'000);
  EXPECT_EQ(spec.linux.resources.pids_limit, -1);
}

TEST(MakeSpec, TmpfsOptionsReplaceTheDefaults) {
  ContainerRecord record = example();
  record.host.tmpfs = {{"/tmp", "exec,size=64m"}};
  const MountSpec* mount = nullptr;
  const Spec spec = make_spec(record, inputs());
  mount = mount_at(spec, "/tmp");
  ASSERT_NE(mount, nullptr);
  EXPECT_FALSE(has_option(*mount, "noexec"));
  EXPECT_TRUE(has_option(*mount, "nosuid"));
  EXPECT_TRUE(has_option(*mount, "size=64m"));
}

TEST(MakeSpec, SharedMountsMakeTheRootShared) {
  SpecInputs asked = inputs();
  MountSpec mount;
  mount.destination = "/x";
  mount.options = {"rbind", "rshared"};
  asked.mounts = {mount};
  EXPECT_EQ(make_spec(example(), asked).linux.rootfs_propagation, "shared");
}

TEST(MakeSpec, TheSameInputsGiveTheSameText) {
  EXPECT_EQ(spec_json(make_spec(example(), inputs())).dump(), spec_json(make_spec(example(), inputs())).dump());
}

}  // namespace
}  // namespace ctr
