#include "engine/container_mounts.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

std::string refusal(const std::string& bind) {
  try {
    parse_bind(bind);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ParseBind, AnAbsoluteSourceIsABindMount) {
  const MountPoint mount = parse_bind("/src/:/dst/../dst2:ro,rslave");
  EXPECT_EQ(mount.type, "bind");
  EXPECT_EQ(mount.source, "/src");
  EXPECT_EQ(mount.destination, "/dst2");
  EXPECT_FALSE(mount.read_write);
  EXPECT_TRUE(mount.recursive_read_only);
  EXPECT_EQ(mount.propagation, "rslave");
  EXPECT_EQ(mount.mode, "ro,rslave");
}

TEST(ParseBind, AnythingElseIsAVolume) {
  const MountPoint mount = parse_bind("data:/dst:nocopy");
  EXPECT_EQ(mount.type, "volume");
  EXPECT_EQ(mount.name, "data");
  EXPECT_TRUE(mount.no_copy);
  EXPECT_TRUE(mount.read_write);
}

TEST(ParseBind, RefusesWhatDockerRefuses) {
  EXPECT_EQ(refusal("/a:/b:what"), "invalid mode: what");
  for (const char* mode : {"ro,rw", "z,Z", "cached,delegated", "rslave,rshared"}) {
    EXPECT_EQ(refusal(std::string("/a:/b:") + mode), std::string("invalid mode: ") + mode);
  }
  EXPECT_NE(refusal("/a:/"), "accepted");
  EXPECT_NE(refusal("/a:b"), "accepted");
  EXPECT_NE(refusal("/a"), "accepted");
  EXPECT_NE(refusal("/a:/b:ro:x"), "accepted");
  EXPECT_NE(refusal("data:/b:rshared"), "accepted");
}

TEST(MountsDocument, HasDockersKeys) {
  ContainerRecord record;
  record.mounts = {parse_bind("/src:/dst")};
  EXPECT_EQ(mounts_document(record).dump(),
            R"([{"Type":"bind","Source":"/src","Destination":"/dst","Mode":"","RW":true,"Propagation":"rprivate"}])");
}

}  // namespace
}  // namespace ctr
