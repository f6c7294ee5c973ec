#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/process.h"
#include "builder/copy_selection.h"
#include "builder/exec_copy.h"
#include "builder/rootfs_view.h"
#include "builder/selection_checksum.h"
#include "builder/source_hashes.h"
#include "image/canonical_tar.h"
#include "image/store.h"
#include "tests/support/image_namespace.h"

namespace ctr {
namespace {

using Names = std::vector<std::string>;

/// A context directory, a base made of entries, and what a COPY makes of them.
class CopyTest : public testing::Test {
 protected:
  CopyTest() : store(root.path() / "store", root.path() / "run") { make_directories(context()); }

  fs::path context() const { return root.path() / "context"; }

  void file(const std::string& path, const std::string& content, mode_t mode = 0644) {
    make_directories((context() / path).parent_path());
    const Fd fd = open_file(context() / path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write_all(fd.get(), as_bytes(content));
    ASSERT_EQ(::fchmod(fd.get(), mode), 0);
    set_old(path);
  }
  void directory(const std::string& path, mode_t mode = 0755) {
    make_directories(context() / path);
    ASSERT_EQ(::chmod((context() / path).c_str(), mode), 0);
  }
  void link(const std::string& path, const std::string& text) {
    make_directories((context() / path).parent_path());
    ASSERT_EQ(::symlink(text.c_str(), (context() / path).c_str()), 0);
  }
  /// Times older than the hash cache's grain.
  void set_old(const std::string& path, std::int64_t seconds = 1'600'000'000) {
    const struct ::timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (context() / path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  void ignore(const std::string& text) { patterns = std::make_shared<IgnorePatterns>(parse_ignore_file(text)); }

  SourceTree tree() const { return SourceTree(open_directory(context()), "context", Owners::Root, patterns); }

  /// A layer below; each entry is "dir/" or "file" or "name -> target".
  void base(const Names& entries, std::uint32_t uid = 0) {
    const std::unique_ptr<LayerWriter> writer = store.layers().create();
    for (const std::string& text : entries) {
      Entry entry;
      const std::size_t arrow = text.find(" -> ");
      entry.path = clean_entry_path(text.substr(0, arrow));
      entry.uid = uid;
      entry.mtime = {1'500'000'000, 0};
      NoContent none;
      TextContent content("content");
      if (arrow != std::string::npos) {
        entry.type = EntryType::Symlink;
        entry.mode = 0777;
        entry.link = text.substr(arrow + 4);
        writer->add(entry, none);
      } else if (text.ends_with('/')) {
        entry.type = EntryType::Directory;
        entry.mode = 0751;
        writer->add(entry, none);
      } else {
        entry.mode = 0640;
        entry.size = 7;
        writer->add(entry, content);
      }
    }
    layers.push_back(writer->commit_canonical().identity.diff_id);
  }
  void base_file(const std::string& path, const std::string& text) {
    const std::unique_ptr<LayerWriter> writer = store.layers().create();
    Entry entry;
    entry.path = path;
    entry.mode = 0644;
    entry.size = text.size();
    TextContent content(text);
    writer->add(entry, content);
    layers.push_back(writer->commit_canonical().identity.diff_id);
  }

  CopyOp op(const Names& sources, const std::string& destination) {
    CopyOp result;
    for (const std::string& source : sources) result.sources.push_back({.input = 1, .path = source});
    result.destination = destination;
    return result;
  }

  LayerInfo copy(const CopyOp& copied) {
    const SourceTree source = tree();
    const std::vector<Selection> selections = select_files(copied, {nullptr, &source});
    const Fd view = open_rootfs_view(store, layers);
    return execute_copy(store.layers(), copied, selections, view.get(), Time(std::chrono::seconds(1'700'000'000)));
  }

  /// "d 755 0:0 app", "f 644 0:0 app/a.txt", "l link -> a": what the layer has.
  Names entries(const CopyOp& copied) { return entries(copy(copied).identity.diff_id); }
  Names entries(const Digest& layer) {
    Names result;
    const std::unique_ptr<EntrySource> source = store.layers().read(layer);
    while (const auto entry = source->next()) result.push_back(text_of(*entry));
    return result;
  }
  static std::string text_of(const Entry& entry) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%o", entry.mode);
    const std::string owner = std::to_string(entry.uid) + ":" + std::to_string(entry.gid);
    switch (entry.type) {
      case EntryType::Directory: return std::string("d ") + mode + " " + owner + " " + entry.path;
      case EntryType::Symlink: return "l " + owner + " " + entry.path + " -> " + entry.link;
      case EntryType::HardLink: return "h " + entry.path + " = " + entry.link;
      case EntryType::File: return std::string("f ") + mode + " " + owner + " " + entry.path;
      default: return "? " + entry.path;
    }
  }

  std::string error_of(const CopyOp& copied) {
    try {
      copy(copied);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  Digest checksum(const CopyOp& copied) {
    const SourceTree source = tree();
    return checksum_selections(select_files(copied, {nullptr, &source}), hashes, 2).digest;
  }

  TempDirectory root;
  NamespaceEnd end{root.path() / "run"};
  Store store;
  std::vector<Digest> layers;
  std::shared_ptr<const IgnorePatterns> patterns;
  FileHashCache hashes;
};

TEST_F(CopyTest, AFileGoesToItsNameWithParentsMade) {
  file("app.js", "x", 0640);
  EXPECT_EQ(entries(op({"/app.js"}, "/home/app/main.js")),
            (Names{"d 755 0:0 home", "d 755 0:0 home/app", "f 640 0:0 home/app/main.js"}));
}

TEST_F(CopyTest, AFileGoesIntoADirectoryWithASlashOrOneThatExists) {
  file("a", "x");
  EXPECT_EQ(entries(op({"/a"}, "/d/")), (Names{"d 755 0:0 d", "f 644 0:0 d/a"}));
  base({"e/"});
  EXPECT_EQ(entries(op({"/a"}, "/e")), (Names{"d 751 0:0 e", "f 644 0:0 e/a"}));
}

TEST_F(CopyTest, ADirectorysContentsAreCopiedAndItselfIsNot) {
  file("src/a", "1");
  file("src/sub/b", "2");
  directory("src/sub", 0700);
  directory("src", 0711);
  EXPECT_EQ(entries(op({"/src"}, "/dst")),
            (Names{"d 755 0:0 dst", "f 644 0:0 dst/a", "d 700 0:0 dst/sub", "f 644 0:0 dst/sub/b"}));
}

TEST_F(CopyTest, ParentsOfTheBaseKeepWhatTheyAre) {
  base({"home/", "home/node/"}, 1000);
  file("a", "x");
  EXPECT_EQ(entries(op({"/a"}, "/home/node/app/")),
            (Names{"d 751 1000:0 home", "d 751 1000:0 home/node", "d 755 0:0 home/node/app", "f 644 0:0 home/node/app/a"}));
}

TEST_F(CopyTest, LinksOfTheBaseAreFollowedInsideIt) {
  base({"data/", "data/real/", "short -> /data/real", "up -> ../../../data"});
  file("a", "x");
  EXPECT_EQ(entries(op({"/a"}, "/short/x/")).back(), "f 644 0:0 data/real/x/a");
  EXPECT_EQ(entries(op({"/a"}, "/up/")).back(), "f 644 0:0 data/a");
}

TEST_F(CopyTest, GlobsMatchOneComponentAndMayMatchNothing) {
  file("a1.txt", "1");
  file("a2.txt", "2");
  file("b.txt", "3");
  file("d/a3.txt", "4");
  EXPECT_EQ(entries(op({"/a*.txt"}, "/x/")), (Names{"d 755 0:0 x", "f 644 0:0 x/a1.txt", "f 644 0:0 x/a2.txt"}));
  EXPECT_EQ(entries(op({"/*/a?.txt"}, "/x/")), (Names{"d 755 0:0 x", "f 644 0:0 x/a3.txt"}));
  EXPECT_EQ(entries(op({"/none*"}, "/x/")), (Names{"d 755 0:0 x"}));
}

TEST_F(CopyTest, IgnoredFilesAreNotThereAndReincludedOnesAre) {
  file("keep", "1");
  file("secret", "2");
  file("out/a", "3");
  file("out/b", "4");
  ignore("secret\nout\n!out/b\n");
  EXPECT_EQ(entries(op({"/"}, "/x/")),
            (Names{"d 755 0:0 x", "f 644 0:0 x/keep", "d 755 0:0 x/out", "f 644 0:0 x/out/b"}));
  EXPECT_EQ(error_of(op({"/secret"}, "/x/")),
            "failed to compute cache key: \"/secret\": not found (it is excluded by .dockerignore)");
  EXPECT_EQ(error_of(op({"/nothing"}, "/x/")), "failed to compute cache key: \"/nothing\": not found");
}

TEST_F(CopyTest, ChownTakesNumbersAndNamesOfTheBase) {
  file("a", "x");
  base_file("etc/passwd", "root:x:0:0::/:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n");
  base_file("etc/group", "staff:x:50:\n");
  CopyOp copied = op({"/a"}, "/new/");
  copied.chown = "node";
  EXPECT_EQ(entries(copied), (Names{"d 755 1000:1001 new", "f 644 1000:1001 new/a"}));
  copied.chown = "7";
  EXPECT_EQ(entries(copied).back(), "f 644 7:7 new/a");
  copied.chown = "7:staff";
  EXPECT_EQ(entries(copied).back(), "f 644 7:50 new/a");
  copied.chown = "nobody-there";
  EXPECT_EQ(error_of(copied), "can't find uid for user nobody-there: no such user: nobody-there");
}

TEST_F(CopyTest, ChmodIsOctalForAllOrSymbolic) {
  file("d/run.sh", "x", 0644);
  file("d/data", "x", 0600);
  CopyOp copied = op({"/d"}, "/x");
  copied.chmod = "755";
  EXPECT_EQ(entries(copied), (Names{"d 755 0:0 x", "f 755 0:0 x/data", "f 755 0:0 x/run.sh"}));
  copied.chmod = "go+r";
  EXPECT_EQ(entries(copied), (Names{"d 755 0:0 x", "f 644 0:0 x/data", "f 644 0:0 x/run.sh"}));
}

TEST_F(CopyTest, LinksAreCopiedAsLinksUnlessTheyAreNamed) {
  file("real", "x");
  link("d/to", "../real");
  link("named", "real");
  EXPECT_EQ(entries(op({"/d"}, "/x")).back(), "l 0:0 x/to -> ../real");
  EXPECT_EQ(entries(op({"/named"}, "/x/")).back(), "f 644 0:0 x/named");
  link("out", "/etc/passwd");
  EXPECT_EQ(error_of(op({"/out"}, "/x/")), "failed to compute cache key: \"/out\": not found");
}

TEST_F(CopyTest, HardLinksStayHardLinks) {
  file("d/a", "x");
  ASSERT_EQ(::link((context() / "d/a").c_str(), (context() / "d/b").c_str()), 0);
  EXPECT_EQ(entries(op({"/d"}, "/x")), (Names{"d 755 0:0 x", "f 644 0:0 x/a", "h x/b = x/a"}));
}

TEST_F(CopyTest, ParentsKeepsDirectoriesFromThePivotOn) {
  file("x/a/one.txt", "1");
  file("x/b/c/two.txt", "2");
  file("x/b/three.md", "3");
  directory("x/b", 0700);
  CopyOp copied = op({"x/a/one.txt"}, "/dst/");
  copied.parents = true;
  EXPECT_EQ(entries(copied),
            (Names{"d 755 0:0 dst", "d 755 0:0 dst/x", "d 755 0:0 dst/x/a", "f 644 0:0 dst/x/a/one.txt"}));
  copied = op({"x/./**/*.txt"}, "/dst/");
  copied.parents = true;
  EXPECT_EQ(entries(copied), (Names{"d 755 0:0 dst", "d 755 0:0 dst/a", "f 644 0:0 dst/a/one.txt", "d 700 0:0 dst/b",
                                    "d 755 0:0 dst/b/c", "f 644 0:0 dst/b/c/two.txt"}));
}

TEST_F(CopyTest, ExcludeLeavesOutAndReincludes) {
  file("a.txt", "1");
  file("b.md", "2");
  file("d/c.txt", "3");
  file("d/keep.txt", "4");
  CopyOp copied = op({"/"}, "/x/");
  copied.exclude = {"**/*.txt", "!d/keep.txt"};
  EXPECT_EQ(entries(copied), (Names{"d 755 0:0 x", "f 644 0:0 x/b.md", "d 755 0:0 x/d", "f 644 0:0 x/d/keep.txt"}));
  copied = op({"/*"}, "/x/");
  copied.exclude = {"*.txt"};
  EXPECT_EQ(entries(copied), (Names{"d 755 0:0 x", "f 644 0:0 x/b.md"}));
}

TEST_F(CopyTest, ALinkedCopyIsTheSameOnEveryBase) {
  file("a", "x");
  CopyOp copied = op({"/a"}, "/d/e/");
  copied.link = true;
  const Digest without = copy(copied).identity.diff_id;
  base({"d/"}, 5);
  const LayerInfo with = copy(copied);
  EXPECT_EQ(with.identity.diff_id, without);
  EXPECT_EQ(entries(without), (Names{"d 755 0:0 d", "d 755 0:0 d/e", "f 644 0:0 d/e/a"}));
  layers.push_back(without);
  const Fd view = open_rootfs_view(store, layers);
  struct ::stat info = {};
  ASSERT_EQ(::fstatat(view.get(), "d", &info, 0), 0);
  // As with BuildKit the parents are the layer's own, whatever was below.
  EXPECT_EQ(info.st_mode & 07777, 0755u);
  EXPECT_EQ(info.st_uid, 0u);
}

TEST_F(CopyTest, ConflictsAreRefusedByName) {
  file("a", "x");
  file("d/sub/x", "x");
  base({"dir/", "dir/sub", "plain"});
  EXPECT_EQ(error_of(op({"/d"}, "/dir")), "cannot copy to non-directory: /dir/sub");
  EXPECT_EQ(error_of(op({"/d"}, "/plain")), "cannot copy to non-directory: /plain");
  EXPECT_EQ(error_of(op({"/a"}, "/plain/x")), "/plain: not a directory");
  file("e/dir", "x");
  EXPECT_EQ(error_of(op({"/e"}, "/")), "cannot replace to directory /dir with file");
}

TEST_F(CopyTest, TimesOfFilesAreKeptAndOfNewDirectoriesTheSteps) {
  file("a", "x");
  set_old("a", 1'234'567'890);
  const Digest layer = copy(op({"/a"}, "/d/")).identity.diff_id;
  const std::unique_ptr<EntrySource> source = store.layers().read(layer);
  EXPECT_EQ(source->next()->mtime.seconds, 1'700'000'000);
  EXPECT_EQ(source->next()->mtime.seconds, 1'234'567'890);
}

TEST_F(CopyTest, AnEpochIsTheTimeOfEverything) {
  file("a", "x");
  CopyOp copied = op({"/a"}, "/d/");
  copied.epoch = 1000;
  const Digest one = copy(copied).identity.diff_id;
  set_old("a", 1'234'567'890);
  const std::unique_ptr<EntrySource> source = store.layers().read(one);
  source->next();
  EXPECT_EQ(source->next()->mtime.seconds, 1000);
}

TEST_F(CopyTest, ContentOfTheDockerfileBecomesAFile) {
  CopyOp copied;
  copied.sources.push_back({.input = 0, .path = "hello.txt", .content = "hi\n"});
  copied.destination = "/d/";
  EXPECT_EQ(entries(copied), (Names{"d 755 0:0 d", "f 644 0:0 d/hello.txt"}));
}

TEST_F(CopyTest, AddUnpacksArchivesThroughLinksOfTheBase) {
  file("tar/lib/x", "1");
  file("tar/y", "2", 0600);
  for (const char* flag : {"-cf", "-czf", "-cjf", "-cJf"}) {
    const CommandOutput tar = run_command({.argv = {"tar", "-C", (context() / "tar").native(), flag,
                                                    (context() / "a.tar").native(), "--owner=3", "--group=4", "y", "lib/x"}});
    ASSERT_TRUE(tar.status.success()) << tar.standard_error;
    if (layers.empty()) base({"usr/", "usr/lib/", "opt/", "opt/lib -> /usr/lib"});
    CopyOp added = op({"/a.tar"}, "/opt");
    added.sources[0].unpack = true;
    added.chown = "7:8";  // of directories that are made; the archive's entries keep theirs
    EXPECT_EQ(entries(added), (Names{"d 751 0:0 opt", "f 600 3:4 opt/y", "d 751 0:0 usr", "d 751 0:0 usr/lib", "f 644 3:4 usr/lib/x"}));
  }
  CopyOp copied = op({"/a.tar"}, "/opt/");
  EXPECT_EQ(entries(copied).back(), "f 644 0:0 opt/a.tar");
  file("plain", "no archive at all");
  CopyOp added = op({"/plain"}, "/opt/");
  added.sources[0].unpack = true;
  EXPECT_EQ(entries(added).back(), "f 644 0:0 opt/plain");
}

TEST_F(CopyTest, AnArchiveOutOfAllProportionIsRefused) {
  const std::string in_context = "cd " + context().native() + " && ";
  for (const char* pack : {"truncate -s 3G big && tar -cSf bomb.tar big", "truncate -s 300M big && tar -czf bomb.tar big"}) {
    ASSERT_TRUE(run_command({.argv = {"sh", "-c", in_context + pack + " && rm big"}}).status.success());
    CopyOp added = op({"/bomb.tar"}, "/opt/");
    added.sources[0].unpack = true;
    EXPECT_NE(error_of(added).find("the archive unpacks to more than 300 times its"), std::string::npos) << pack;
  }
}

TEST_F(CopyTest, PipesAndSocketsOfAContextStayBehind) {
  file("d/a", "1");
  ASSERT_EQ(::mkfifo((context() / "d/pipe").c_str(), 0644), 0);
  EXPECT_EQ(entries(op({"/d"}, "/x/")), (Names{"d 755 0:0 x", "f 644 0:0 x/a"}));
  EXPECT_NE(error_of(op({"/d/pipe"}, "/x/")).find("not found"), std::string::npos);
}

TEST_F(CopyTest, WorkdirMakesWhatIsMissingAndNothingElse) {
  base({"srv/"}, 9);
  const Fd view = open_rootfs_view(store, layers);
  MakeDirectoryOp make{.path = "/srv/app", .owner = "5:6"};
  const Time time(std::chrono::seconds(1));
  EXPECT_EQ(entries(execute_make_directory(store.layers(), make, view.get(), time).identity.diff_id),
            (Names{"d 751 9:0 srv", "d 755 5:6 srv/app"}));
  make.path = "/srv";
  EXPECT_TRUE(entries(execute_make_directory(store.layers(), make, view.get(), time).identity.diff_id).empty());
}

TEST_F(CopyTest, ChecksumsSeeNamesModesAndBytesButNotTimes) {
  file("d/a", "1");
  file("d/b", "2");
  const CopyOp copied = op({"/d"}, "/x");
  const Digest first = checksum(copied);
  set_old("d/a", 1'111'111'111);
  EXPECT_EQ(checksum(copied), first);
  file("d/a", "3");
  EXPECT_NE(checksum(copied), first);
  file("d/a", "1");
  EXPECT_EQ(checksum(copied), first);
  file("d/a", "1", 0600);
  EXPECT_NE(checksum(copied), first);
  file("d/a", "1");
  fs::rename(context() / "d/b", context() / "d/c");
  EXPECT_NE(checksum(copied), first);
}

TEST_F(CopyTest, ChecksumsOfEqualContextsAreEqualElsewhere) {
  file("d/a", "1");
  const CopyOp copied = op({"/d"}, "/x");
  const Digest here = checksum(copied);
  fs::rename(context() / "d", context() / "other");
  EXPECT_EQ(checksum(op({"/other"}, "/x")), here);
}

TEST_F(CopyTest, AHashIsRememberedOnlyForFilesThatStandStill) {
  file("a", "1");
  FileHashCache cache(root.path() / "hashes");
  const SourceTree source = tree();
  TreeFile found{"a", *find_stat(source.root(), "a")};
  hash_file(source, found, cache);
  // ctime is the moment of the write above: too young to trust.
  EXPECT_FALSE(cache.find(found.info));
}

TEST_F(CopyTest, RememberedHashesComeBackFromTheFile) {
  struct ::stat info = {};
  info.st_ino = 7;
  info.st_size = 5;
  {
    FileHashCache cache(root.path() / "hashes");
    cache.remember(info, Digest::of("x"));
    cache.save();
  }
  FileHashCache cache(root.path() / "hashes");
  EXPECT_EQ(cache.find(info), Digest::of("x"));
  info.st_mtim.tv_nsec = 1;
  EXPECT_FALSE(cache.find(info));
}

TEST_F(CopyTest, HashesOfBytesThatPassAreThoseOfTheFiles) {
  for (int i = 0; i < 40; ++i) file("d/" + std::to_string(i), std::string(static_cast<std::size_t>(i) * 70'001, static_cast<char>('a' + i)));
  file("d/holes", "x");
  ASSERT_EQ(::truncate((context() / "d/holes").c_str(), 5'000'000), 0);
  fs::create_hard_link(context() / "d/1", context() / "d/other-name");
  const SourceTree source = tree();
  const CopyOp copied = op({"/d"}, "/x/");
  const std::vector<Selection> selections = select_files(copied, {nullptr, &source});
  SourceHashes passed;
  const Time time(std::chrono::seconds(1'700'000'000));
  const LayerInfo layer = execute_copy(store.layers(), copied, selections, -1, time, &passed);
  passed.finish();
  for (const SelectedFile& each : selections.front().files) {
    if (!S_ISREG(each.file.info.st_mode)) continue;
    const SourceHashes::Known* known = passed.find(each.file.info);
    ASSERT_NE(known, nullptr) << each.target;
    FileHashCache fresh;
    EXPECT_EQ(known->digest, hash_file(source, each.file, fresh)) << each.target;
  }
  EXPECT_EQ(checksum_selections(selections, hashes, 1, &passed).digest, checksum(copied));
  EXPECT_EQ(layer.identity.diff_id, execute_copy(store.layers(), copied, selections, -1, time).identity.diff_id);
}

TEST_F(CopyTest, ManyFilesKeepTheirBytes) {
  for (int i = 0; i < 300; ++i) file("d/" + std::to_string(i), std::string(static_cast<std::size_t>(i) * 37, 'x'));
  const LayerInfo layer = copy(op({"/d"}, "/x"));
  StringSink tar;
  store.layers().write_canonical_tar(layer.identity.diff_id, tar);
  EXPECT_EQ(Digest::of(tar.text()), layer.identity.diff_id);
}

}  // namespace
}  // namespace ctr
