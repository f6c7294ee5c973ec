#include "image/archive.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/process.h"
#include "image/canonical_tar.h"
#include "image/compression.h"
#include "image/image.h"
#include "tests/support/image_store_fixture.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

class ArchiveTest : public testing::Test {
 protected:
  ArchiveTest() {
    image_ = fixture_.make_image({fixture_.make_layer({{"bin/", ""}, {"bin/true", "#!"}}),
                                  fixture_.make_layer({{"app/", ""}, {"app/x", std::string(100'000, 'x')}})});
    store().images().set(Reference::parse("app:1"), *image_);
  }
  Store& store() { return fixture_.store(); }

  std::string saved(const std::vector<ImageToSave>& images, const std::optional<Platform>& platform = {}) {
    StringSink sink;
    save_images(store(), images, platform, sink);
    return sink.text();
  }
  std::string saved() {
    return saved({{{Reference::parse("app:1"), Reference::parse("localhost:5000/app:1")}, *image_}});
  }
  Digest id() { return load_image(store().blobs(), *image_, host_platform()).id(); }

  static std::vector<LoadedImage> load(StoreFixture& fixture, const std::string& tar) {
    StringSource source(tar);
    return load_images(fixture.store(), source);
  }

  // Runs skopeo in a directory with saved.tar in it.
  CommandOutput skopeo(const std::vector<std::string>& arguments) {
    if (!path_exists(work_.path() / "saved.tar"))
      write_file_atomic(work_.path() / "saved.tar", saved(), Durability::Cached);
    Command command{{"skopeo", "--insecure-policy"}};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.cwd = work_.path();
    return run_command(command);
  }

  StoreFixture fixture_;
  std::optional<Descriptor> image_;
  TempDirectory work_;
};

TEST_F(ArchiveTest, WhatIsSavedIsLoadedIntoAnEmptyStore) {
  StoreFixture other;
  const auto images = load(other, saved());
  ASSERT_EQ(images.size(), 1u);
  EXPECT_EQ(images[0].target.digest, image_->digest);
  EXPECT_EQ(images[0].id, id());
  EXPECT_EQ(images[0].names.size(), 2u);
  EXPECT_EQ(other.store().images().find(Reference::parse("localhost:5000/app:1"))->digest, image_->digest);
  EXPECT_EQ(other.store().layers().list(), store().layers().list());
  // Our own layers are not kept twice, and can be saved again as the same bytes.
  EXPECT_EQ(other.store().blobs().list().size(), 2u);
  StringSink again;
  save_images(other.store(), {{images[0].names, images[0].target}}, {}, again);
  EXPECT_EQ(again.text(), saved());
}

TEST_F(ArchiveTest, LoadingTwiceAddsNothing) {
  StoreFixture other;
  load(other, saved());
  const auto images = load(other, saved());
  EXPECT_EQ(images.at(0).id, id());
  EXPECT_EQ(other.store().blobs().list().size(), 2u);
  EXPECT_EQ(other.store().layers().list().size(), 2u);
}

TEST_F(ArchiveTest, CompressedArchivesAreLoaded) {
  for (const Compression kind : {Compression::Gzip, Compression::Zstd}) {
    StringSink sink;
    const auto compressor = make_compressor({kind, 1}, sink, 1);
    compressor->write(as_bytes(saved()));
    compressor->finish();
    StoreFixture other;
    EXPECT_EQ(load(other, sink.text()).at(0).id, id());
  }
}

TEST_F(ArchiveTest, ImageWithoutNameIsLoadedWithoutName) {
  StoreFixture other;
  const auto images = load(other, saved({{{}, *image_}}));
  ASSERT_EQ(images.size(), 1u);
  EXPECT_TRUE(images[0].names.empty());
  ASSERT_EQ(other.store().images().list().size(), 1u);
  EXPECT_FALSE(other.store().images().list()[0].name);
}

TEST_F(ArchiveTest, IndexWithAHoleIsSavedAsWhatIsThere) {
  Descriptor absent = describe(media_type::kOciManifest, "absent");
  absent.platform = Platform{"linux", "riscv64"};
  Index index{std::string(media_type::kOciIndex), {*image_, absent}};
  const Descriptor holey = store().blobs().put(media_type::kOciIndex, serialise(index));
  StringSink sink;
  EXPECT_EQ(save_images(store(), {{{}, holey}}, {}, sink).at(0).digest, image_->digest);
}

TEST_F(ArchiveTest, WholeIndexIsSavedWhole) {
  const Descriptor other_image = fixture_.make_image({fixture_.make_layer({{"a", "2"}})}, Platform{"linux", "s390x"});
  Index index{std::string(media_type::kOciIndex), {*image_, other_image}};
  const Descriptor target = store().blobs().put(media_type::kOciIndex, serialise(index));
  const std::string tar = saved({{{Reference::parse("multi")}, target}});
  StoreFixture other;
  EXPECT_EQ(load(other, tar).at(0).target.digest, target.digest);
  EXPECT_EQ(load_all_images(other.store().blobs(), target).size(), 2u);
  StoreFixture third;
  StringSource source(tar);
  EXPECT_EQ(load_images(third.store(), source, Platform{"linux", "s390x"}).at(0).target.digest, other_image.digest);
}

TEST_F(ArchiveTest, DamageAndNonsenseNameNothing) {
  std::string damaged = saved();
  const std::size_t at = damaged.find("#!");
  damaged[at] = '?';
  StoreFixture other;
  EXPECT_THROW(load(other, damaged), Error);
  EXPECT_THROW(load(other, "nonsense"), Error);
  EXPECT_THROW(load(other, TarBuilder().file("x", "y").finish()), Error);
  EXPECT_THROW(load(other, TarBuilder().file("manifest.json", R"([{"Config":"c","Layers":[]}])").finish()), Error);
  EXPECT_THROW(load(other, TarBuilder().file("manifest.json", R"([{"Config":"../c","Layers":[]}])").finish()), Error);
  EXPECT_THROW(load(other, saved().substr(0, saved().size() / 2)), Error);
  EXPECT_TRUE(other.store().images().list().empty());
}

TEST_F(ArchiveTest, OldDockerArchiveWithLinkedLayersIsLoaded) {
  const std::string layer = TarBuilder().file("./f", "1").finish();
  const std::string diff_id = Digest::of(layer).str();
  const std::string config =
      R"({"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[")" + diff_id +
      R"(",")" + diff_id + R"("]}})";
  TarBuilder tar;
  tar.directory("one/")
      .file("one/layer.tar", layer)
      .symlink("two/layer.tar", "../one/layer.tar")
      .file("abc.json", config);
  tar.file("manifest.json",
           R"([{"Config":"abc.json","RepoTags":["old:1"],"Layers":["one/layer.tar","two/layer.tar"]}])");
  StoreFixture other;
  const auto images = load(other, tar.finish());
  EXPECT_EQ(images.at(0).names.at(0).familiar(), "old:1");
  EXPECT_EQ(images.at(0).id, Digest::of(config));
  EXPECT_TRUE(other.store().layers().has(Digest::of(layer)));
  EXPECT_TRUE(other.store().blobs().has(Digest::of(layer)));
}

TEST_F(ArchiveTest, SkopeoReadsBothFormatsAndWeReadSkopeos) {
  if (!find_program("skopeo")) GTEST_SKIP() << "skopeo is not installed";
  const auto inspect = skopeo({"inspect", "--raw", "oci-archive:saved.tar:1"});
  ASSERT_TRUE(inspect.status.success()) << inspect.standard_error;
  EXPECT_EQ(Digest::of(inspect.standard_out), image_->digest);
  for (const std::string from : {"docker-archive:saved.tar:app:1", "oci-archive:saved.tar:1"}) {
    for (const std::string to : {"docker-archive", "oci-archive"}) {
      ::unlink((work_.path() / "out.tar").c_str());
      const auto copy = skopeo({"copy", from, to + ":out.tar:copied:2"});
      ASSERT_TRUE(copy.status.success()) << from << " " << to << ": " << copy.standard_error;
      StoreFixture other;
      const auto images = load(other, read_file(work_.path() / "out.tar"));
      ASSERT_EQ(images.size(), 1u);
      EXPECT_EQ(images[0].names.at(0).familiar(), "copied:2") << to;
      const Image image = load_image(other.store().blobs(), images[0].target, host_platform());
      EXPECT_EQ(image.diff_ids(), load_image(store().blobs(), *image_, host_platform()).diff_ids());
      EXPECT_EQ(image.config.defaults.cmd, std::vector<std::string>{"/bin/true"});
      EXPECT_TRUE(other.store().layers().has(image.layers[1].diff_id));
    }
  }
}

TEST_F(ArchiveTest, ImportMakesAnImageOfOneLayer) {
  const std::string tar = TarBuilder().file("etc/hostname", "x").directory("bin/").file("bin/sh", "y").finish();
  StringSource source(tar);
  ImageConfig config;
  config.platform = host_platform();
  const Descriptor target = import_rootfs(store(), source, config, "Imported from -");
  const Image image = load_image(store().blobs(), target, host_platform());
  EXPECT_EQ(image.layers.size(), 1u);
  EXPECT_EQ(image.config.history.at(0).comment, "Imported from -");
  EXPECT_EQ(read_file(fs::path(fd_path(store().layers().open_tree(image.layers[0].diff_id).get())) / "bin/sh"), "y");
  store().images().set(Reference::parse("imported"), target);
  EXPECT_EQ(store().images().list().size(), 2u);
}

}  // namespace
}  // namespace ctr
