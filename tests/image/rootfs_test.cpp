#include "image/rootfs.h"

#include <functional>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mount_namespace.h"
#include "image/layer_stack.h"
#include "image/tar_reader.h"
#include "tests/support/image_store_fixture.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

class RootfsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root for overlay mounts";
  }

  Digest layer(const TarBuilder& builder) {
    const std::string tar = builder.finish();
    StringSource source(tar);
    TarReader reader(source);
    const auto writer = store().layers().create();
    while (const std::optional<Entry> entry = reader.next()) writer->add(*entry, reader);
    return writer->commit({Digest::of(tar), tar.size(), 0}).identity.diff_id;
  }
  Store& store() { return fixture_.store(); }

  // Mounts the overlay in a mount namespace of its own and calls `look` there; fails if it returns a text.
  void look_inside(const OverlayMount& overlay, const std::function<std::string(const fs::path&)>& look) {
    const fs::path target = fixture_.path() / "merged";
    make_directories(target);
    const pid_t child = ::fork();
    if (child == 0) {
      std::string complaint = "can't mount";
      const std::string data = overlay_mount_data(overlay);
      const Fd store_namespace = find_mount_namespace(overlay.mount_namespace);
      if (store_namespace) ::setns(store_namespace.get(), CLONE_NEWNS);
      if (::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
          ::mount("overlay", target.c_str(), "overlay", 0, data.c_str()) == 0)
        complaint = look(target);
      if (!complaint.empty()) std::fprintf(stderr, "%s (%s)\n", complaint.c_str(), data.c_str());
      ::_exit(complaint.empty() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

  StoreFixture fixture_;
};

std::string mode_of(const fs::path& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) return "absent";
  char text[64];
  std::snprintf(text, sizeof text, "%o %u:%u", info.st_mode & 07777u, info.st_uid, info.st_gid);
  return text;
}

std::string expect_equal(const std::string& got, const std::string& expected) {
  return got == expected ? "" : "got " + got + ", expected " + expected;
}

TEST_F(RootfsTest, LayersAndSnapshotMakeOneTree) {
  const Digest base = layer(TarBuilder().directory("etc/").file("etc/a", "base").file("etc/b", "base"));
  const Digest top = layer(TarBuilder().directory("etc/").file("etc/a", "top").file("etc/.wh.b", ""));
  store().snapshots().create("s1");
  look_inside(plan_rootfs(store(), {base, top}, "s1"), [](const fs::path& root) {
    if (read_file(root / "etc/a") != "top") return std::string("a is not the upper one");
    if (path_exists(root / "etc/b")) return std::string("b was not deleted");
    write_file_atomic(root / "etc/c", "new", Durability::Cached);
    return std::string();
  });
  EXPECT_EQ(read_file(store().snapshots().upper("s1") / "etc/c"), "new");
}

TEST_F(RootfsTest, LeftOutParentsKeepTheAttributesOfTheLayerBelow) {
  const Digest base =
      layer(TarBuilder().add({"tmp/", '5', {}, {}, 01777, 5, 6}).add({"tmp/in/", '5', {}, {}, 0700, 7, 7}));
  const Digest top = layer(TarBuilder().file("tmp/in/x", "1"));
  look_inside(plan_rootfs(store(), {base, top}, {}), [](const fs::path& root) {
    const std::string first = expect_equal(mode_of(root / "tmp"), "1777 5:6");
    return first.empty() ? expect_equal(mode_of(root / "tmp/in"), "700 7:7") : first;
  });
  look_inside(plan_rootfs(store(), {top}, {}),
              [](const fs::path& root) { return expect_equal(mode_of(root / "tmp"), "755 0:0"); });
}

TEST_F(RootfsTest, RootDirectoryKeepsItsAttributesInASnapshot) {
  const Digest base = layer(TarBuilder().add({"./", '5', {}, {}, 0711, 3, 3}).file("a", ""));
  const Digest top = layer(TarBuilder().file("b", ""));
  store().snapshots().create("s1");
  look_inside(plan_rootfs(store(), {base, top}, "s1"),
              [](const fs::path& root) { return expect_equal(mode_of(root), "711 3:3"); });
  ASSERT_EQ(::chmod(store().snapshots().upper("s1").c_str(), 0700), 0);
  look_inside(plan_rootfs(store(), {base, top}, "s1"),
              [](const fs::path& root) { return expect_equal(mode_of(root), "700 3:3"); });
}

TEST_F(RootfsTest, OneLayerTwiceIsMountedOnce) {
  const Digest base = layer(TarBuilder().file("a", "1"));
  const Digest top = layer(TarBuilder().file("a", "2"));
  look_inside(plan_rootfs(store(), {base, top, base}, {}),
              [](const fs::path& root) { return expect_equal(read_file(root / "a"), "1"); });
}

TEST_F(RootfsTest, NoLayersAreAnEmptyRoot) {
  store().snapshots().create("s1");
  look_inside(plan_rootfs(store(), {}, "s1"),
              [](const fs::path& root) { return list_directory(root).empty() ? "" : "not empty"; });
}

TEST_F(RootfsTest, MissingLayerIsNotFound) {
  EXPECT_THROW(plan_rootfs(store(), {Digest::of("missing")}, {}), Error);
}

TEST_F(RootfsTest, StackAnswersWithoutMounting) {
  const Digest base = layer(TarBuilder()
                                .directory("usr/")
                                .directory("usr/lib/")
                                .file("usr/lib/x", "library")
                                .symlink("lib", "usr/lib")
                                .directory("home/")
                                .add({"home/node/", '5', {}, {}, 0750, 1000, 1000})
                                .file("gone", "")
                                .directory("opq/")
                                .file("opq/below", ""));
  const Digest top = layer(TarBuilder()
                               .file("home/node/app.js", "js")
                               .file(".wh.gone", "")
                               .directory("opq/")
                               .file("opq/.wh..wh..opq", "")
                               .file("opq/above", ""));
  const std::vector<Digest> diff_ids{base, top};
  const LayerStack stack(store().layers(), diff_ids);
  EXPECT_EQ(stack.find("home/node")->uid, 1000u);
  EXPECT_EQ(stack.find("home/node")->mode, 0750u);
  EXPECT_EQ(stack.find("lib")->type, EntryType::Symlink);
  EXPECT_EQ(stack.find_following("lib")->path, "usr/lib");
  EXPECT_EQ(stack.read_file("lib/x", 100), "library");
  EXPECT_EQ(stack.read_file("home/node/app.js", 100), "js");
  EXPECT_FALSE(stack.find("gone"));
  EXPECT_FALSE(stack.find("usr/lib/x/y"));
  EXPECT_EQ(stack.list("opq"), std::vector<std::string>{"above"});
  EXPECT_EQ(stack.list(""), (std::vector<std::string>{"home", "lib", "opq", "usr"}));
  EXPECT_EQ(stack.find("../../usr")->path, "usr");
}

}  // namespace
}  // namespace ctr
