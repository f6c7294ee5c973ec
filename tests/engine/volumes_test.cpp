#include "engine/volumes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "engine/container_store.h"
#include "engine/volume_copy.h"
#include "engine/volume_mount.h"

namespace ctr {
namespace {

class Volumes : public ::testing::Test {
 protected:
  Volumes() {
    Paths paths;
    paths.root = directory_.path() / "root";
    paths.run = directory_.path() / "run";
    make_directories(paths.root);
    context_ = std::make_unique<Context>(paths, Configuration{});
  }

  Volume make(const std::string& name) {
    VolumeRequest request;
    request.name = name;
    return ensure_volume(*context_, request);
  }

  void make_user(const std::string& id, const std::string& volume) {
    ContainerRecord record;
    record.id = id;
    record.name = "user-" + id.substr(0, 4);
    MountPoint mount;
    mount.type = "volume";
    mount.name = volume;
    record.mounts.push_back(mount);
    make_directories(context_->containers().directory(id));
    context_->containers().save(record, RecordDurability::Cached);
  }

  static std::string sentence(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TempDirectory directory_;
  std::unique_ptr<Context> context_;
};

const std::string kOne(64, 'a');

TEST_F(Volumes, AreMadeOnceAndFoundByName) {
  const Volume made = make("data");
  EXPECT_TRUE(path_exists(made.mountpoint));
  EXPECT_FALSE(made.anonymous);
  EXPECT_EQ(make("data").created, made.created);
  EXPECT_EQ(find_volume(*context_, "data")->mountpoint, made.mountpoint);
  EXPECT_FALSE(find_volume(*context_, "other"));
  EXPECT_FALSE(find_volume(*context_, "../escape"));
  EXPECT_EQ(inspect_volume(made).dump(),
            "{\"CreatedAt\":\"" + made.created + "\",\"Driver\":\"local\",\"Labels\":null,\"Mountpoint\":\"" +
                made.mountpoint + "\",\"Name\":\"data\",\"Options\":null,\"Scope\":\"local\"}");
}

TEST_F(Volumes, WithoutANameAreAnonymous) {
  const Volume volume = make("");
  EXPECT_EQ(volume.name.size(), 64u);
  EXPECT_TRUE(volume.anonymous);
}

TEST_F(Volumes, BadRequestsAreRefusedInDockersWords) {
  EXPECT_EQ(sentence([&] { make("a"); }),
            "create a: volume name is too short, names should be at least two alphanumeric characters");
  EXPECT_NE(sentence([&] { make("a/b"); }).find("includes invalid characters for a local volume name"),
            std::string::npos);
  VolumeRequest request;
  request.name = "data";
  request.driver = "vendor/x";
  EXPECT_EQ(sentence([&] { ensure_volume(*context_, request); }),
            "error looking up volume plugin vendor/x: plugin \"vendor/x\" not found");
  request.driver = "local";
  request.options = {{"nonsense", "1"}};
  EXPECT_EQ(sentence([&] { ensure_volume(*context_, request); }), "invalid option: \"nonsense\"");
  request.options = {{"type", "tmpfs"}};
  EXPECT_EQ(sentence([&] { ensure_volume(*context_, request); }), "missing required option: \"device\"");
  EXPECT_TRUE(list_volumes(*context_, {}).empty());
}

TEST_F(Volumes, InUseAreNotRemovedAndTheUsersAreNamed) {
  make("data");
  make_user(kOne, "data");
  EXPECT_EQ(sentence([&] { remove_volume(*context_, "data"); }),
            "remove data: volume is in use - [" + kOne + "]");
  EXPECT_EQ(sentence([&] { remove_volume(*context_, "other"); }), "get other: no such volume");
  make("free");
  remove_volume(*context_, "free");
  EXPECT_FALSE(find_volume(*context_, "free"));
}

TEST_F(Volumes, AnonymousOnesGoWithTheirContainer) {
  const Volume volume = make("");
  const Volume named = make("named");
  make_user(kOne, volume.name);
  remove_anonymous_volume(*context_, volume.name, std::string(64, 'b'));
  EXPECT_TRUE(find_volume(*context_, volume.name)) << "another container uses it";
  remove_anonymous_volume(*context_, volume.name, kOne);
  EXPECT_FALSE(find_volume(*context_, volume.name));
  remove_anonymous_volume(*context_, "named", kOne);
  EXPECT_TRUE(find_volume(*context_, "named"));
}

TEST_F(Volumes, ListTakesFilters) {
  make("alpha");
  make("beta");
  make_user(kOne, "beta");
  const auto names = [&](const std::vector<std::string>& filters) {
    std::string text;
    for (const Volume& volume : list_volumes(*context_, parse_volume_filters(filters))) text += volume.name + " ";
    return text;
  };
  EXPECT_EQ(names({}), "alpha beta ");
  EXPECT_EQ(names({"dangling=true"}), "alpha ");
  EXPECT_EQ(names({"dangling=false"}), "beta ");
  EXPECT_EQ(names({"name=lph"}), "alpha ");
  EXPECT_EQ(names({"driver=nfs"}), "");
  EXPECT_THROW(parse_volume_filters({"color=red"}), Error);
}

TEST_F(Volumes, PruneKeepsNamedOnesUnlessAllAreAsked) {
  const Volume anonymous = make("");
  const Volume used = make("");
  make("named");
  make_user(kOne, used.name);
  EXPECT_EQ(prune_volumes(*context_, {}).deleted, std::vector<std::string>{anonymous.name});
  EXPECT_EQ(prune_volumes(*context_, parse_volume_prune_filters({"all=true"})).deleted,
            std::vector<std::string>{"named"});
  EXPECT_TRUE(find_volume(*context_, used.name));
}

TEST_F(Volumes, AreFilledFromTheImageOnce) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give files to others";
  const fs::path image = directory_.path() / "image";
  make_directories(image / "data/sub");
  write_file_atomic(image / "data/file", "content", Durability::Cached, 0640);
  ::chown((image / "data/file").c_str(), 1000, 1001);
  ::link((image / "data/file").c_str(), (image / "data/sub/same").c_str());
  ::symlink("/etc/passwd", (image / "data/link").c_str());
  ::mkfifo((image / "data/fifo").c_str(), 0600);
  ::chown((image / "data").c_str(), 70, 70);
  ::chmod((image / "data").c_str(), 0700);
  const Volume volume = make("data");
  const Fd root = open_directory(image);
  fill_volume(*context_, "data", root.get(), "/data");
  const fs::path copy = volume.mountpoint;
  EXPECT_EQ(read_file(copy / "file"), "content");
  struct stat file {};
  struct stat same {};
  struct stat top {};
  ASSERT_EQ(::stat((copy / "file").c_str(), &file), 0);
  ASSERT_EQ(::stat((copy / "sub/same").c_str(), &same), 0);
  ASSERT_EQ(::stat(copy.c_str(), &top), 0);
  EXPECT_EQ(file.st_uid, 1000u);
  EXPECT_EQ(file.st_mode & 07777, 0640u);
  EXPECT_EQ(file.st_ino, same.st_ino) << "hard links stay";
  EXPECT_EQ(top.st_uid, 70u);
  EXPECT_EQ(top.st_mode & 07777, 0700u);
  EXPECT_EQ(find_link(copy / "link"), "/etc/passwd");
  write_file_atomic(copy / "file", "mine", Durability::Cached);
  fill_volume(*context_, "data", root.get(), "/data");
  EXPECT_EQ(read_file(copy / "file"), "mine");
  fill_volume(*context_, "data", root.get(), "/missing");
  EXPECT_FALSE(path_exists(directory_.path() / "root/volumes/data/filling"));
}

TEST_F(Volumes, InterruptedFillingIsFinished) {
  const fs::path image = directory_.path() / "image";
  make_directories(image / "data");
  write_file_atomic(image / "data/one", "one", Durability::Cached);
  write_file_atomic(image / "data/two", "two", Durability::Cached);
  const Volume volume = make("data");
  write_file_atomic(fs::path(volume.mountpoint) / "one", "o", Durability::Cached);
  write_file_atomic(directory_.path() / "root/volumes/data/filling", "", Durability::Cached);
  fill_volume(*context_, "data", open_directory(image).get(), "data");
  EXPECT_EQ(read_file(fs::path(volume.mountpoint) / "one"), "one");
  EXPECT_EQ(read_file(fs::path(volume.mountpoint) / "two"), "two");
}

TEST_F(Volumes, FillingFollowsNoLinkOutOfTheImage) {
  const fs::path image = directory_.path() / "image";
  make_directories(image);
  make_directories(directory_.path() / "outside");
  write_file_atomic(directory_.path() / "outside/secret", "x", Durability::Cached);
  ::symlink((directory_.path() / "outside").c_str(), (image / "data").c_str());
  const Volume volume = make("data");
  fill_volume(*context_, "data", open_directory(image).get(), "data");
  EXPECT_TRUE(list_directory(volume.mountpoint).empty());
}

TEST_F(Volumes, FillingLeadsNowhereElseWhileTheVolumeIsChanged) {
  const fs::path image = directory_.path() / "image";
  const fs::path target = directory_.path() / "target";
  const fs::path outside = directory_.path() / "outside";
  for (const fs::path& directory : {image / "dir", target / "dir", outside}) make_directories(directory);
  write_file_atomic(image / "dir/file", "of the image", Durability::Cached);
  fs::create_hard_link(image / "dir/file", image / "hard");
  ASSERT_EQ(::mkfifo((image / "pipe").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((image / "pipe").c_str(), 0777), 0);
  write_file_atomic(outside / "file", "secret", Durability::Cached, 0600);
  fs::create_symlink(outside, target / "evil");
  fs::create_symlink(outside / "file", target / "evil-pipe");
  std::atomic<bool> is_done = false;
  std::thread swapper([&] {
    const Fd place = open_directory(target);
    while (!is_done) {
      ::renameat2(place.get(), "dir", place.get(), "evil", RENAME_EXCHANGE);
      ::renameat2(place.get(), "pipe", place.get(), "evil-pipe", RENAME_EXCHANGE);
    }
  });
  struct stat secret {};
  for (int round = 0; round < 1000 && secret.st_nlink <= 1; ++round) {
    try {
      copy_directory(open_directory(image).get(), open_directory(target).get());
    } catch (const Error&) {
      // losing the race may fail
    }
    ASSERT_EQ(::stat((outside / "file").c_str(), &secret), 0);
  }
  is_done = true;
  swapper.join();
  EXPECT_EQ(secret.st_nlink, 1u) << "a file of the host became a file of the volume";
  EXPECT_EQ(secret.st_mode & 07777, 0600u);
  EXPECT_EQ(read_file(outside / "file"), "secret");
  EXPECT_EQ(list_directory(outside), std::vector<std::string>{"file"});
}

TEST_F(Volumes, OptionsAreMountedAndUnmounted) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to mount";
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  VolumeRequest request;
  request.name = "scratch";
  request.options = {{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "size=1m,uid=1000,noexec"}};
  const Volume volume = ensure_volume(*context_, request);
  EXPECT_FALSE(is_mounted(volume.mountpoint));
  mount_volume(*context_, "scratch");
  mount_volume(*context_, "scratch");
  EXPECT_TRUE(is_mounted(volume.mountpoint));
  struct stat info {};
  ASSERT_EQ(::stat(volume.mountpoint.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000u);
  unmount_idle_volume(*context_, "scratch");
  EXPECT_FALSE(is_mounted(volume.mountpoint));

  const fs::path host = directory_.path() / "host";
  make_directories(host);
  write_file_atomic(host / "file", "here", Durability::Cached);
  request.name = "bound";
  request.options = {{"type", "none"}, {"device", host.string()}, {"o", "bind,ro"}};
  const Volume bound = ensure_volume(*context_, request);
  mount_volume(*context_, "bound");
  EXPECT_EQ(read_file(fs::path(bound.mountpoint) / "file"), "here");
  EXPECT_THROW(write_file_atomic(fs::path(bound.mountpoint) / "new", "x", Durability::Cached), Error);
  remove_volume(*context_, "bound");
  EXPECT_EQ(read_file(host / "file"), "here") << "removing the volume leaves the host's directory alone";

  request.name = "broken";
  request.options["device"] = "/nowhere";
  ensure_volume(*context_, request);
  EXPECT_NE(sentence([&] { mount_volume(*context_, "broken"); }).find("error while mounting volume"), std::string::npos);
}

}  // namespace
}  // namespace ctr
