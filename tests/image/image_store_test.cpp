#include "image/image_store.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

class ImageStoreTest : public testing::Test {
 protected:
  Descriptor image(const char* content) const { return describe(media_type::kOciManifest, content); }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const NamedImage& named : images_.list())
      result.push_back(named.name ? named.name->familiar() : "<none> " + named.target.digest.short_hex());
    return result;
  }

  TempDirectory directory_;
  ImageStore images_{directory_.path()};
};

TEST_F(ImageStoreTest, NameLeadsToItsDescriptor) {
  images_.set(Reference::parse("localhost:5000/a/b:1"), image("x"));
  EXPECT_EQ(images_.find(Reference::parse("localhost:5000/a/b:1")), image("x"));
  EXPECT_FALSE(images_.find(Reference::parse("localhost:5000/a/b:2")));
  EXPECT_FALSE(images_.find(Reference::parse("localhost:5000/a:1")));
}

TEST_F(ImageStoreTest, MovedNameLeavesTheOldImageWithoutName) {
  images_.set(Reference::parse("app"), image("old"));
  images_.set(Reference::parse("app"), image("new"));
  EXPECT_EQ(names(), (std::vector<std::string>{"app:latest", "<none> " + Digest::of("old").short_hex()}));
}

TEST_F(ImageStoreTest, MovedNameOfAnImageWithAnotherNameLeavesNothing) {
  images_.set(Reference::parse("app"), image("old"));
  images_.set(Reference::parse("app:1"), image("old"));
  images_.set(Reference::parse("app"), image("new"));
  EXPECT_EQ(names(), (std::vector<std::string>{"app:1", "app:latest"}));
}

TEST_F(ImageStoreTest, NamingAnUntaggedImageEndsThat) {
  images_.set_untagged(image("x"));
  images_.set(Reference::parse("app"), image("x"));
  EXPECT_EQ(names(), std::vector<std::string>{"app:latest"});
}

TEST_F(ImageStoreTest, RemoveTellsWhetherThereWasOneAndLeavesNoDirectories) {
  images_.set(Reference::parse("host.io/a/b:1"), image("x"));
  EXPECT_TRUE(images_.remove(Reference::parse("host.io/a/b:1")));
  EXPECT_FALSE(images_.remove(Reference::parse("host.io/a/b:1")));
  EXPECT_TRUE(list_directory(directory_.path() / "images").empty());
}

TEST_F(ImageStoreTest, RepositoryInsideARepositoryIsListed) {
  images_.set(Reference::parse("host.io/a:1"), image("x"));
  images_.set(Reference::parse("host.io/a/b:1"), image("y"));
  EXPECT_EQ(names(), (std::vector<std::string>{"host.io/a:1", "host.io/a/b:1"}));
}

TEST_F(ImageStoreTest, RepoDigestsAreRememberedAndFound) {
  const Reference name = Reference::parse("host.io/app:1");
  images_.set(name, image("local"));
  images_.remember_repo_digest(name, image("remote"), image("local").digest);
  ASSERT_EQ(images_.repo_digests_of(image("local").digest).size(), 1u);
  EXPECT_EQ(images_.repo_digests()[0].name.familiar(), "host.io/app@" + Digest::of("remote").str());
  EXPECT_EQ(images_.find(name.with_digest(Digest::of("remote"))), image("local"));
  EXPECT_TRUE(images_.forget_repo_digest(name.with_digest(Digest::of("remote"))));
  EXPECT_TRUE(images_.repo_digests().empty());
}

TEST_F(ImageStoreTest, RecordOfANewerProgramIsRefusedByName) {
  images_.set(Reference::parse("app"), image("x"));
  const fs::path path = directory_.path() / "images/docker.io/library/app/:latest";
  write_file_atomic(path, R"({"v":2})", Durability::Cached);
  try {
    images_.find(Reference::parse("app"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("newer"), std::string::npos);
  }
}

}  // namespace
}  // namespace ctr
