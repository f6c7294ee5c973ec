#include <gtest/gtest.h>

#include "base/error.h"
#include "builder/instructions.h"

namespace ctr {
namespace {

RunMount parse(std::string_view text) {
  return parse_run_mount(text, [](std::string_view word) { return std::string(word); });
}

std::string error_of(std::string_view text) {
  try {
    parse(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(RunMount, TakesBuildKitsDefaults) {
  const RunMount bind = parse("target=/a,source=b,from=c");
  EXPECT_EQ(bind.type, MountType::Bind);
  EXPECT_TRUE(bind.read_only);
  EXPECT_EQ(bind.from, "c");
  const RunMount cache = parse("type=cache,dst=/root/.cache/");
  EXPECT_FALSE(cache.read_only);
  EXPECT_EQ(cache.id, "/root/.cache");
  EXPECT_EQ(cache.sharing, CacheSharing::Shared);
  const RunMount secret = parse("type=secret,id=aws");
  EXPECT_EQ(secret.target, "/run/secrets/aws");
  EXPECT_FALSE(secret.required);
  EXPECT_EQ(parse("type=secret,target=/etc/token").id, "token");
  EXPECT_EQ(parse("type=ssh").id, "default");
}

TEST(RunMount, ReadsEveryOption) {
  EXPECT_FALSE(parse("type=bind,target=/a,rw").read_only);
  EXPECT_FALSE(parse("type=bind,target=/a,readonly=false").read_only);
  EXPECT_TRUE(parse("type=cache,target=/a,ro").read_only);
  const RunMount cache = parse("sharing=locked,type=cache,id=x,target=/a,mode=0700,uid=1000,gid=100,from=s,source=/y");
  EXPECT_EQ(cache.sharing, CacheSharing::Locked);
  EXPECT_EQ(cache.mode, 0700u);
  EXPECT_EQ(cache.uid, 1000u);
  EXPECT_EQ(parse("type=tmpfs,target=/t,size=64m").size_bytes, 64 << 20);
  const RunMount env = parse("type=secret,id=k,env=KEY,required");
  EXPECT_EQ(env.env, "KEY");
  EXPECT_TRUE(env.target.empty());
  EXPECT_TRUE(env.required);
  EXPECT_EQ(parse("\"target=/with,comma\"").target, "/with,comma");
}

TEST(RunMount, RefusesInBuildKitsWords) {
  EXPECT_EQ(error_of("type=cahce,target=/a"), "unsupported mount type \"cahce\" (did you mean cache?)");
  EXPECT_EQ(error_of("type=cache,tagret=/a"), "unexpected key 'tagret' in 'tagret=/a' (did you mean target?)");
  EXPECT_EQ(error_of("type=cache,sharing=prviate"), "unsupported sharing value \"prviate\" (did you mean private?)");
  EXPECT_EQ(error_of("type=bind,mode=1"), "mode not allowed for \"bind\" type mounts");
  EXPECT_EQ(error_of("type=bind,required"), "unexpected key 'required' for mount type 'bind'");
  EXPECT_EQ(error_of("target"), "invalid field 'target' must be a key=value pair");
  EXPECT_EQ(error_of("type=secret"), "invalid secret mount. one of source, target required");
  EXPECT_EQ(error_of("type=secret,id=a,from=b"), "secret mount should not have a from");
  EXPECT_EQ(error_of("type=tmpfs,sharing=locked"), "invalid cache sharing set for tmpfs mount");
  EXPECT_EQ(error_of("type=cache,uid=-1"), "invalid value -1 for uid");
  EXPECT_NE(error_of("a\"b").find("failed to parse csv mounts"), std::string::npos);
}

TEST(RunMount, RefusesVariablesInFrom) {
  EXPECT_THROW(check_run_mount_from("from=$x,target=$y"), Error);
  EXPECT_NO_THROW(check_run_mount_from("from=x,target=$y"));
}

}  // namespace
}  // namespace ctr
