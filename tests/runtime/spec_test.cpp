#include "runtime/spec.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/capabilities.h"
#include "runtime/mount_options.h"
#include "runtime/spec_defaults.h"

namespace ctr {
namespace {

const char* const kFull = R"({
 "ociVersion": "1.2.0",
 "process": {"terminal": true, "consoleSize": {"height": 25, "width": 80},
  "user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [5, 6]},
  "args": ["sh", "-c", "x"], "env": ["A=b"], "cwd": "/w",
  "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "inheritable": [], "permitted": ["CAP_KILL"], "ambient": []},
  "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 18446744073709551615, "soft": 1024}],
  "noNewPrivileges": true, "apparmorProfile": "p", "oomScoreAdj": -5,
  "scheduler": {"policy": "SCHED_FIFO", "priority": 10, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
  "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4}, "execCPUAffinity": {"initial": "0", "final": "0-1"}},
 "root": {"path": "rootfs", "readonly": true}, "hostname": "h", "domainname": "d",
 "mounts": [{"destination": "/m", "type": "bind", "source": "/s", "options": ["rbind", "ro"],
   "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}], "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}]}],
 "hooks": {"poststop": [{"path": "/h", "args": ["h", "x"], "env": ["E=f"], "timeout": 3}]},
 "annotations": {"k": "v"},
 "linux": {
  "namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "user"}, {"type": "time"}, {"type": "network", "path": "/n"}],
  "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
  "timeOffsets": {"monotonic": {"secs": -3, "nanosecs": 5}},
  "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0}],
  "cgroupsPath": "/c",
  "resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}],
   "memory": {"limit": 536870912, "swap": -1, "disableOOMKiller": false}, "cpu": {"shares": 1024, "quota": -1, "cpus": "0-1"},
   "pids": {"limit": 32}, "blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}]},
   "hugepageLimits": [{"pageSize": "2MB", "limit": 9}], "network": {"classID": 7, "priorities": [{"name": "eth0", "priority": 500}]},
   "rdma": {"mlx5_1": {"hcaHandles": 3}}, "unified": {"memory.high": "1"}},
  "rootfsPropagation": "slave",
  "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
   "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 3,
     "args": [{"index": 1, "value": 18446744073709551615, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ"}]}]},
  "sysctl": {"net.core.somaxconn": "256"}, "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
  "mountLabel": "l", "personality": {"domain": "LINUX32"},
  "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}}
})";

TEST(Spec, SurvivesARoundTripThroughJson) {
  const Spec spec = parse_spec(Json::parse(kFull));
  const Json written = spec_json(spec);
  EXPECT_EQ(spec_json(parse_spec(written)), written);
  // Nothing of the input is lost but members that are empty.
  const Json input = Json::parse(kFull);
  for (const auto& [key, value] : input.at("linux").as_object()) {
    EXPECT_TRUE(written.at("linux").contains(key)) << key;
  }
  for (const auto& [key, value] : input.at("process").as_object()) {
    EXPECT_TRUE(written.at("process").contains(key)) << key;
  }
  EXPECT_EQ(written.at("linux").at("resources").at("blockIO").dump(),
            input.at("linux").at("resources").at("blockIO").dump());
  EXPECT_EQ(written.at("process").at("rlimits").at(0).at("hard").as_uint(), 18446744073709551615u);
}

std::string failure_of(const std::string& text) {
  try {
    parse_spec(Json::parse(text));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string with_linux(const std::string& members) {
  return R"({"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"mount"}])" + members + "}}";
}

TEST(Spec, ErrorsNameTheMember) {
  EXPECT_EQ(failure_of(R"({"ociVersion":"1.0.2","process":{"cwd":"/","args":["a",3]}})"),
            "process: args: [1]: a JSON value is not a string");
  EXPECT_EQ(failure_of(R"({"ociVersion":"1.0.2","process":{"cwd":"x","args":[]}})"),
            "process: cwd is not an absolute path");
  EXPECT_EQ(failure_of(with_linux(R"(,"seccomp":{"defaultAction":"SCMP_ACT_NONE"})")),
            "linux: seccomp: no seccomp action \"SCMP_ACT_NONE\"");
}

TEST(Spec, RefusesWhatItCannotDoByName) {
  EXPECT_EQ(failure_of(R"({"ociVersion":"2.0.0"})"), "ociVersion \"2.0.0\" is not supported: this is version 1.3.0");
  EXPECT_EQ(failure_of(with_linux(R"(,"intelRdt":{"closID":"x"})")), "linux.intelRdt is not supported");
  EXPECT_NE(failure_of(R"({"ociVersion":"1.0.2","windows":{}})").find("windows"), std::string::npos);
  EXPECT_NE(failure_of(R"({"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"mount"},{"type":"syslog"}]}})")
                .find("syslog"),
            std::string::npos);
}

TEST(Spec, RefusesContradictions) {
  EXPECT_EQ(failure_of(R"({"ociVersion":"1.0.2","hostname":"x","linux":{"namespaces":[{"type":"mount"}]}})"),
            "hostname needs a uts namespace");
  EXPECT_EQ(failure_of(R"({"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"mount"},{"type":"mount"}]}})"),
            "linux.namespaces lists mount twice");
  EXPECT_NE(failure_of(with_linux(R"(,"uidMappings":[{"containerID":0,"hostID":0,"size":1}])")), "");
}

TEST(Spec, RefusesTextsWithZeroBytes) {
  EXPECT_NE(failure_of("{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":\"/\\u0000x\"}}"), "");
}

TEST(Spec, RangesAreChecked) {
  EXPECT_NE(failure_of(R"({"ociVersion":"1.0.2","process":{"cwd":"/","user":{"uid":4294967296}}})"), "");
  EXPECT_NE(failure_of(R"({"ociVersion":"1.0.2","process":{"cwd":"/","user":{"uid":-1}}})"), "");
}

TEST(Spec, DefaultSpecIsValidForItsOwnParser) {
  const Spec spec = default_spec({"true"});
  EXPECT_NO_THROW(parse_spec(spec_json(spec)));
  EXPECT_EQ(capability_names(default_capabilities()).size(), 14u);
}

TEST(Capabilities, AreTweakedAsDockerDoes) {
  const std::uint64_t base = default_capabilities();
  const auto bit = [](const char* name) { return std::uint64_t{1} << *capability_number(name); };
  EXPECT_EQ(tweak_capabilities(base, {"net_admin"}, {"CAP_CHOWN"}), (base | bit("NET_ADMIN")) & ~bit("CHOWN"));
  EXPECT_EQ(tweak_capabilities(base, {"CHOWN"}, {"ALL"}), bit("CHOWN"));
  EXPECT_EQ(tweak_capabilities(base, {"all"}, {"MKNOD"}), all_capabilities() & ~bit("MKNOD"));
  EXPECT_THROW(tweak_capabilities(base, {"FLY"}, {}), Error);
}

TEST(MountOptions, AreSortedByWhatTheyAre) {
  const MountOptions options =
      parse_mount_options({"rbind", "ro", "nosuid", "rslave", "rro", "size=1m", "noatime", "defaults"});
  EXPECT_TRUE(options.is_bind);
  EXPECT_TRUE(options.is_recursive_bind);
  EXPECT_EQ(options.set, 0x1u | 0x2u | 0x10u);
  EXPECT_EQ(options.clear, 0x70u);
  EXPECT_EQ(options.recursive_set, 0x1u);
  EXPECT_EQ(options.data, std::vector<std::string>{"size=1m"});
}

TEST(MountOptions, LaterOnesWin) {
  EXPECT_EQ(parse_mount_options({"ro", "rw"}).set, 0u);
  EXPECT_EQ(parse_mount_options({"rw", "ro"}).set, 1u);
  EXPECT_EQ(parse_mount_options({"noatime", "strictatime"}).set, 0x20u);
}

}  // namespace
}  // namespace ctr
