#include "image/store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "image/garbage.h"
#include "image/image.h"
#include "image/rootfs.h"
#include "tests/support/image_store_fixture.h"

namespace ctr {
namespace {

class StoreTest : public testing::Test {
 protected:
  Store& store() { return fixture_.store(); }
  StoreFixture fixture_;
};

TEST_F(StoreTest, NewerFormatIsRefusedByName) {
  write_file_atomic(store().root() / "version", "2\n", Durability::Cached);
  try {
    const Store again(store().root(), store().run());
    FAIL();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(store().root().native()), std::string::npos);
    EXPECT_NE(message.find("format 2"), std::string::npos);
  }
}

TEST_F(StoreTest, FormatThatIsNoNumberIsCorrupt) {
  write_file_atomic(store().root() / "version", "banana", Durability::Cached);
  EXPECT_THROW(Store(store().root(), store().run()), Error);
}

TEST_F(StoreTest, OfALostBootWholeBlobsStayAndDamagedOnesAndLayersGo) {
  const Descriptor whole = store().blobs().put("x", "whole");
  const Descriptor damaged = store().blobs().put("x", "damaged");
  fixture_.make_layer({{"a", "1"}});
  write_file_atomic(store().blobs().path(damaged.digest), std::string(7, '\0'), Durability::Cached);
  fs::rename(store().root() / "unsynced" / current_boot_id(), store().root() / "unsynced/an-earlier-boot");
  const Store again(store().root(), store().run());
  EXPECT_TRUE(again.blobs().has(whole.digest));
  EXPECT_FALSE(again.blobs().has(damaged.digest));
  EXPECT_TRUE(again.layers().list().empty());
}

TEST_F(StoreTest, SyncedObjectsSurviveTheBoot) {
  fixture_.make_layer({{"a", "1"}});
  store().sync();
  fs::rename(store().root() / "unsynced" / current_boot_id(), store().root() / "unsynced/an-earlier-boot");
  EXPECT_EQ(Store(store().root(), store().run()).layers().list().size(), 1u);
}

TEST_F(StoreTest, ImageIsFoundByNameDigestAndPrefix) {
  const LayerInfo layer = fixture_.make_layer({{"a", "1"}});
  const Descriptor target = fixture_.make_image({layer});
  store().images().set(Reference::parse("app:1"), target);
  const Image image = load_image(store().blobs(), target, host_platform());
  EXPECT_EQ(resolve_image(store(), "app:1")->name->familiar(), "app:1");
  EXPECT_FALSE(resolve_image(store(), "app"));
  for (const std::string& text :
       {image.id().str(), image.id().hex(), image.id().short_hex(), target.digest.str(),
        target.digest.hex().substr(0, 8), "sha256:" + image.id().hex().substr(0, 10), "app@" + target.digest.str()})
    EXPECT_EQ(resolve_image(store(), text)->target, target) << text;
  EXPECT_FALSE(resolve_image(store(), "sha256:"));
  EXPECT_FALSE(resolve_image(store(), Digest::of("nothing").hex()));
}

TEST_F(StoreTest, NameWinsOverAPrefixThatLooksTheSame) {
  const Descriptor first = fixture_.make_image({fixture_.make_layer({{"a", "1"}})});
  store().images().set(Reference::parse("first"), first);
  const std::string prefix = load_image(store().blobs(), first, host_platform()).id().hex().substr(0, 6);
  const Descriptor second = fixture_.make_image({fixture_.make_layer({{"a", "2"}})});
  store().images().set(Reference::parse(prefix), second);
  EXPECT_EQ(resolve_image(store(), prefix)->target, second);
}

TEST_F(StoreTest, AmbiguousPrefixIsRefusedInDockersWords) {
  for (int i = 0; i < 17; ++i)
    store().images().set(Reference::parse("app:" + std::to_string(i)),
                         fixture_.make_image({fixture_.make_layer({{"a", std::to_string(i)}})}));
  // Of 17 ids two share their first digit.
  int ambiguous = 0;
  for (const char* digit : {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"}) {
    try {
      resolve_image(store(), digit);
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), std::string("multiple IDs found with provided prefix: ") + digit);
      ++ambiguous;
    }
  }
  EXPECT_GT(ambiguous, 0);
}

TEST_F(StoreTest, IndexGivesThePlatformsChild) {
  const Descriptor own = fixture_.make_image({fixture_.make_layer({{"a", "1"}})});
  const Descriptor other = fixture_.make_image({fixture_.make_layer({{"a", "2"}})}, Platform{"linux", "s390x"});
  Descriptor absent = describe(media_type::kOciManifest, "absent");
  absent.platform = Platform{"linux", "riscv64"};
  Index index{std::string(media_type::kOciIndex), {own, other, absent}};
  const Descriptor target = store().blobs().put(media_type::kOciIndex, serialise(index));
  store().images().set(Reference::parse("multi"), target);
  EXPECT_EQ(load_image(store().blobs(), target, Platform{"linux", "s390x"}).manifest.digest, other.digest);
  EXPECT_FALSE(find_image(store().blobs(), target, Platform{"linux", "riscv64"}));
  EXPECT_EQ(load_all_images(store().blobs(), target).size(), 2u);
  EXPECT_EQ(platforms_of(store().blobs(), target).size(), 3u);
  const Image image = load_image(store().blobs(), target, host_platform());
  for (const Digest& digest : {image.id(), image.manifest.digest, target.digest})
    EXPECT_EQ(resolve_image(store(), digest.hex())->target, target);
  try {
    load_image(store().blobs(), target, Platform{"linux", "mips"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no match for platform linux/mips"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("linux/s390x"), std::string::npos);
  }
}

class GarbageTest : public StoreTest {
 protected:
  void SetUp() override {
    layer_ = fixture_.make_layer({{"a", "1"}});
    image_ = fixture_.make_image({*layer_});
  }
  bool has_all() { return store().layers().has(layer_->identity.diff_id) && store().blobs().has(image_->digest); }
  bool has_none() { return store().layers().list().empty() && store().blobs().list().empty(); }

  std::optional<LayerInfo> layer_;
  std::optional<Descriptor> image_;
};

TEST_F(GarbageTest, NamedImageStaysAndNothingElse) {
  store().images().set(Reference::parse("app"), *image_);
  const Descriptor stray = store().blobs().put("x", "stray");
  const LayerInfo stray_layer = fixture_.make_layer({{"b", "2"}});
  const GarbageReport report = collect_garbage(store(), {});
  EXPECT_TRUE(has_all());
  EXPECT_EQ(report.blobs, std::vector<Digest>{stray.digest});
  EXPECT_EQ(report.layers, std::vector<Digest>{stray_layer.identity.diff_id});
  EXPECT_GE(report.bytes, 6u);
  store().images().remove(Reference::parse("app"));
  collect_garbage(store(), {});
  EXPECT_TRUE(has_none());
  EXPECT_EQ(list_directory(store().trash_path()), std::vector<std::string>{".lock"});
}

TEST_F(GarbageTest, UntaggedImageStays) {
  store().images().set_untagged(*image_);
  collect_garbage(store(), {});
  EXPECT_TRUE(has_all());
}

TEST_F(GarbageTest, ProvidersKeepImagesLayersStacksAndSnapshots) {
  store().snapshots().create("kept");
  store().snapshots().create("dropped");
  const LayerInfo other = fixture_.make_layer({{"c", "3"}});
  const LayerInfo in_stack = fixture_.make_layer({{"d", "4"}});
  collect_garbage(store(), {[&](GarbageRoots& roots) {
                    roots.images.push_back(*image_);
                    roots.digests.push_back(other.identity.diff_id);
                    roots.stacks.push_back({in_stack.identity.diff_id});
                    roots.snapshots.emplace_back("kept");
                  }});
  EXPECT_TRUE(has_all());
  EXPECT_EQ(store().layers().list().size(), 3u);
  EXPECT_EQ(store().snapshots().list(), std::vector<std::string>{"kept"});
}

TEST_F(GarbageTest, LivePinKeepsAndADeadOneDoesNot) {
  {
    Pin pin = store().pin();
    pin.add(image_->digest);
    pin.add_stack({layer_->identity.diff_id});
    pin.add_snapshot("building");
    store().snapshots().create("building");
    collect_garbage(store(), {});
    EXPECT_TRUE(has_all());
    EXPECT_TRUE(store().snapshots().has("building"));
  }
  collect_garbage(store(), {});
  EXPECT_TRUE(has_none());
  EXPECT_TRUE(store().snapshots().list().empty());
}

TEST_F(GarbageTest, PinOfAKilledProcessIsNoPin) {
  const pid_t child = ::fork();
  if (child == 0) {
    Pin pin = store().pin();
    pin.add(layer_->identity.diff_id);
    ::_exit(0);  // no destructor runs
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(list_directory(store().pins_path()).size(), 1u);
  collect_garbage(store(), {});
  EXPECT_TRUE(has_none());
  EXPECT_TRUE(list_directory(store().pins_path()).empty());
}

TEST_F(GarbageTest, AbsentChildrenOfAnIndexAreNoTrouble) {
  Descriptor absent = describe(media_type::kOciManifest, "absent");
  absent.platform = Platform{"linux", "riscv64"};
  Index index{std::string(media_type::kOciIndex), {*image_, absent}};
  store().images().set(Reference::parse("multi"), store().blobs().put(media_type::kOciIndex, serialise(index)));
  collect_garbage(store(), {});
  EXPECT_TRUE(has_all());
}

TEST_F(GarbageTest, RepoDigestsGoWithTheirImage) {
  const Reference name = Reference::parse("host.io/app");
  store().images().set(name, *image_);
  store().images().remember_repo_digest(name, describe(media_type::kOciManifest, "remote"), image_->digest);
  collect_garbage(store(), {});
  EXPECT_EQ(store().images().repo_digests().size(), 1u);
  store().images().remove(name);
  collect_garbage(store(), {});
  EXPECT_TRUE(store().images().repo_digests().empty());
}

TEST_F(GarbageTest, DiskUsageCountsNoDirectories) {
  make_directories(fixture_.path() / "usage" / "below");
  EXPECT_EQ(disk_usage(fixture_.path() / "usage"), 0u);
}

TEST_F(GarbageTest, DiskUsageCountsEachLinkOnce) {
  const fs::path directory = fixture_.path() / "usage";
  make_directories(directory);
  write_file_atomic(directory / "a", std::string(1'000'000, 'x'), Durability::Cached);
  const std::uint64_t before = disk_usage(directory);
  EXPECT_GE(before, 1'000'000u);
  ASSERT_EQ(::link((directory / "a").c_str(), (directory / "b").c_str()), 0);
  EXPECT_EQ(disk_usage(directory), before);
}

}  // namespace
}  // namespace ctr
