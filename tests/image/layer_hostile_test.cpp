// Tars that mean harm, and tars of other tools, as layers of both forms: refused by an Error, or laid out as GNU tar lays
// them out, never outside the layer.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/process.h"
#include "image/entry_sources.h"
#include "image/garbage.h"
#include "image/layer_store.h"
#include "image/tar_reader.h"
#include "tests/support/image_namespace.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

// A sparse file as GNU tar's format 1.0 has it: its map, padded to a block, before its data.
TarBuilder::Member sparse_file(const std::string& name, const std::string& size, const std::string& map, const std::string& data = "") {
  const std::string block = map + std::string(512 - map.size(), '\0');
  return {"GNUSparseFile.0/f", '0', block + data, {}, 0644, 0, 0, 0, 0, 0,
          {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", name}, {"GNU.sparse.realsize", size}}};
}

class HostileLayerTest : public testing::TestWithParam<LayerForm> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root for owners and devices";
    if (GetParam() == LayerForm::Erofs && !why_no_erofs(root_.path()).empty()) GTEST_SKIP() << why_no_erofs(root_.path());
  }

  LayerInfo unpack(const std::string& tar) {
    StringSource source(tar);
    TarReader reader(source);
    const auto writer = layers_.create(GetParam());
    while (const std::optional<Entry> entry = reader.next()) writer->add(*entry, reader);
    return writer->commit({Digest::of(tar), tar.size(), 0});
  }
  ErrorKind refusal_of(const std::string& tar) {
    try {
      unpack(tar);
    } catch (const Error& error) {
      return error.kind();
    }
    ADD_FAILURE() << "accepted";
    return ErrorKind::System;
  }
  Fd tree(const LayerInfo& info) { return layers_.open_tree(info.identity.diff_id); }

  TempDirectory root_;
  NamespaceEnd end_{root_.path() / "run"};
  LayerStore layers_{root_.path(), root_.path() / "run", UnsyncedMarkers{root_.path(), "boot"}};
};

TEST_P(HostileLayerTest, WhatLeavesTheLayerIsRefused) {
  for (const char* name : {"../x", "a/../../x", "..", "a/.."}) EXPECT_EQ(refusal_of(TarBuilder().file(name, "").finish()), ErrorKind::Invalid) << name;
  EXPECT_EQ(refusal_of(TarBuilder().hard_link("a", "../etc/passwd").finish()), ErrorKind::Invalid);
  EXPECT_EQ(refusal_of(TarBuilder().hard_link("a", "/etc/passwd").finish()), ErrorKind::Invalid);
}

TEST_P(HostileLayerTest, LoopsOfLinksAreRefusedWhenSomethingGoesThroughThem) {
  EXPECT_EQ(refusal_of(TarBuilder().symlink("a", "b").symlink("b", "a").file("a/f", "").finish()), ErrorKind::Invalid);
  EXPECT_EQ(refusal_of(TarBuilder().symlink("a", "a").file("a/f", "").finish()), ErrorKind::Invalid);
  EXPECT_NO_THROW(unpack(TarBuilder().symlink("a", "b").symlink("b", "a").finish()));
}

TEST_P(HostileLayerTest, DevicesThatPlayAWhiteoutAndMarksOfOverlayAreRefused) {
  EXPECT_EQ(refusal_of(TarBuilder().add({"x", '3', {}, {}, 0666, 0, 0, 0, 0, 0}).finish()), ErrorKind::Invalid);
  for (const char* name : {"SCHILY.xattr.trusted.overlay.opaque", "SCHILY.xattr.user.overlay.opaque"})
    EXPECT_EQ(refusal_of(TarBuilder().add({"d/", '5', {}, {}, 0755, 0, 0, 0, 0, 0, {{name, "y"}}}).finish()), ErrorKind::Invalid) << name;
}

TEST_P(HostileLayerTest, DirectoriesBecomeLinksAndBackAndNothingIsWrittenThroughThem) {
  TarBuilder tar;
  for (int i = 0; i < 20; ++i) tar.directory("d/").file("d/in", "x").symlink("d", "/elsewhere").file("d/through", "y");
  tar.directory("d/").file("d/last", "z");
  const LayerInfo info = unpack(tar.finish());
  const Fd root = tree(info);
  EXPECT_EQ(list_directory_fd(root.get()), (std::vector<std::string>{"d", "elsewhere"}));
  const Fd d = open_at(root.get(), "d", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  EXPECT_EQ(list_directory_fd(d.get()), (std::vector<std::string>{"last"}));
}

TEST_P(HostileLayerTest, TruncatedTarsAreCorruptWhereverTheyEnd) {
  const std::string whole = TarBuilder().file("a", std::string(5000, 'a')).file("b", std::string(5000, 'b')).finish();
  for (std::size_t size = 513; size < 12'000; size += 511) {
    if (size == 6144) continue;  // between two members: an end that GNU tar accepts too
    EXPECT_EQ(refusal_of(whole.substr(0, size)), ErrorKind::Corrupt) << size;
  }
  EXPECT_EQ(layers_.list().size(), 0u);
}

TEST_P(HostileLayerTest, SizesThatNoFileCanHaveAreRefused) {
  for (const char* size : {"9223372036854775807", "9223372036854775808", "99999999999999999999", "-1"})
    EXPECT_THROW(unpack(TarBuilder().add({"f", '0', "short", {}, 0644, 0, 0, 0, 0, 0, {{"size", size}}}).finish()), Error) << size;
  EXPECT_THROW(unpack(TarBuilder().add(sparse_file("f", "9000000000000000000", "0\n")).finish()), Error);
}

TEST_P(HostileLayerTest, SparseMapsThatLieAreRefusedOrHarmless) {
  for (const char* map : {"1\n0\n99999\n", "2\n100\n5\n0\n5\n", "1\n18446744073709551615\n5\n", "3\n0\n1\n", "x\n"}) {
    try {
      const LayerInfo info = unpack(TarBuilder().add(sparse_file("f", "1000", map, "12345")).finish());
      EXPECT_LE(info.content_size, 1000u) << map;
    } catch (const Error&) {
      continue;
    }
  }
}

TEST_P(HostileLayerTest, ManyHolesAndReplacementsTakeNoSpaceAndNoMemory) {
  TarBuilder tar;
  for (int i = 0; i < 1000; ++i) tar.add(sparse_file("hole" + std::to_string(i % 100), "100000000000", "1\n100000000000\n0\n"));
  const LayerInfo info = unpack(tar.finish());
  EXPECT_LT(disk_usage(layers_.directory() / info.identity.diff_id.hex()), 1'000'000u);
}

// What GNU tar packs and unpacks again is what a layer of its tar shows.
TEST_P(HostileLayerTest, TarsOfGnuTarAreLaidOutAsItLaysThemOut) {
  if (!find_program("tar")) GTEST_SKIP() << "needs tar";
  const fs::path source = root_.path() / "source";
  const fs::path unpacked = root_.path() / "unpacked";
  const std::string script =
      "set -e; cd \"$1\"; mkdir -p deep/" + std::string(120, 'd') + "/" + std::string(120, 'e') + "; echo x >deep/" + std::string(120, 'd') + "/" +
      std::string(120, 'e') + "/" + std::string(200, 'n') +
      "; echo one >one; ln one two; ln -s one link; ln -s $(printf 'l%.0s' $(seq 300)) long; mkfifo pipe; mknod null c 1 3; "
      "printf '\\377\\376' >$(printf 'bad\\377name'); truncate -s 3000000 sparse; printf data | dd of=sparse bs=1 seek=2000000 "
      "conv=notrunc status=none; touch -d '1969-12-31 23:00:00 UTC' old; chmod 4711 one; mkdir -m 1777 tmp; chown 12:34 link tmp -h";
  make_directories(source);
  Command prepare;
  prepare.argv = {"/bin/sh", "-c", script, "sh", source.native()};
  ASSERT_TRUE(run_command(prepare).status.success());
  for (const char* format : {"gnu", "posix", "oldgnu"}) {
    Command pack;
    pack.argv = {"tar", "--sparse", std::string("--format=") + format, "-C", source.native(), "-c", "."};
    const CommandOutput tar = run_command(pack);
    ASSERT_TRUE(tar.status.success()) << tar.standard_error;
    remove_tree(unpacked);
    make_directories(unpacked);
    Command unpack_again;
    unpack_again.argv = {"tar", "-C", unpacked.native(), "-xp", "--numeric-owner"};
    ASSERT_TRUE(run_command(unpack_again, tar.standard_out).status.success());
    const LayerInfo info = unpack(tar.standard_out);
    const Fd root = tree(info);
    DirectorySource ours(root.get(), TreeKind::Plain, OverlayXattrs::Trusted);
    DirectorySource theirs(open_directory(unpacked).get(), TreeKind::Plain, OverlayXattrs::Trusted);
    for (;;) {
      std::optional<Entry> our = ours.next();
      std::optional<Entry> their = theirs.next();
      ASSERT_EQ(our.has_value(), their.has_value()) << format;
      if (!our) break;
      if (our->type == EntryType::Symlink || our->type == EntryType::Fifo || our->type == EntryType::Directory) our->mtime = their->mtime;
      EXPECT_EQ(*our, *their) << format << " " << our->path << " and " << their->path;
      Hasher our_content;
      Hasher their_content;
      copy_all(ours, our_content);
      copy_all(theirs, their_content);
      EXPECT_EQ(our_content.digest(), their_content.digest()) << format << " " << our->path;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, HostileLayerTest, testing::Values(LayerForm::Directory, LayerForm::Erofs),
                         [](const auto& form) { return form.param == LayerForm::Erofs ? "Erofs" : "Directory"; });

}  // namespace
}  // namespace ctr
