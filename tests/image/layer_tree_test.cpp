#include "image/layer_tree.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

Entry entry(const char* path, EntryType type, const char* link = "") {
  Entry result{path, type, 0700};
  result.link = link;
  return result;
}

std::string shown(const LayerTree& tree) {
  std::string text;
  tree.visit([&](const std::string& path, const LayerTree::Node& node) {
    if (path.empty()) return;
    text += path;
    if (!node.inode) text += "(gone)";
    if (node.is_directory()) text += "/";
    if (node.is_implied) text += "(implied)";
    if (node.is_opaque) text += "(opaque)";
    text += " ";
  });
  return text;
}

TEST(LayerTree, MissingParentsAreMadeAndKnown) {
  LayerTree tree;
  const auto place = tree.place(entry("a/b/c", EntryType::File));
  EXPECT_EQ(place.missing_parents, (std::vector<std::string>{"a", "a/b"}));
  EXPECT_EQ(shown(tree), "a/(implied) a/b/(implied) a/b/c ");
  tree.place(entry("a", EntryType::Directory));
  EXPECT_EQ(shown(tree), "a/ a/b/(implied) a/b/c ");
}

TEST(LayerTree, LinksAmongParentsAreFollowedInside) {
  LayerTree tree;
  tree.place(entry("lib", EntryType::Symlink, "usr/lib"));
  EXPECT_EQ(tree.place(entry("lib/x", EntryType::File)).path, "usr/lib/x");
  tree.place(entry("abs", EntryType::Symlink, "/../../etc"));
  EXPECT_EQ(tree.place(entry("abs/passwd", EntryType::File)).path, "etc/passwd");
  tree.place(entry("usr/up", EntryType::Symlink, "../../../etc"));
  EXPECT_EQ(tree.place(entry("usr/up/shadow", EntryType::File)).path, "etc/shadow");
}

TEST(LayerTree, LinkLoopIsRefused) {
  LayerTree tree;
  tree.place(entry("a", EntryType::Symlink, "b"));
  tree.place(entry("b", EntryType::Symlink, "a"));
  EXPECT_THROW(tree.place(entry("a/x", EntryType::File)), Error);
}

TEST(LayerTree, FileAsAParentIsRefused) {
  LayerTree tree;
  tree.place(entry("a", EntryType::File));
  EXPECT_THROW(tree.place(entry("a/x", EntryType::File)), Error);
}

TEST(LayerTree, LaterEntryReplacesAnEarlierOne) {
  LayerTree tree;
  tree.place(entry("a/b", EntryType::File));
  EXPECT_EQ(tree.place(entry("a", EntryType::Symlink, "/etc")).replaced, LayerTree::Existing::Directory);
  EXPECT_EQ(shown(tree), "a ");
  EXPECT_EQ(tree.place(entry("a", EntryType::Directory)).replaced, LayerTree::Existing::Other);
  EXPECT_EQ(shown(tree), "a/ ");
}

TEST(LayerTree, WhiteoutBesideWhatTheLayerHasMeansOpaque) {
  for (const bool whiteout_first : {true, false}) {
    LayerTree tree;
    if (whiteout_first) tree.place(entry("a", EntryType::Whiteout));
    tree.place(entry("a", EntryType::Directory));
    if (!whiteout_first) tree.place(entry("a", EntryType::Whiteout));
    EXPECT_EQ(shown(tree), "a/(opaque) ");
  }
}

TEST(LayerTree, DirectoryImpliedOverAWhiteoutIsOpaque) {
  LayerTree tree;
  tree.place(entry("a", EntryType::Whiteout));
  tree.place(entry("a/b", EntryType::File));
  EXPECT_EQ(shown(tree), "a/(implied)(opaque) a/b ");
}

TEST(LayerTree, WhiteoutBesideAFileIsTheFile) {
  LayerTree tree;
  tree.place(entry("a", EntryType::File));
  EXPECT_TRUE(tree.place(entry("a", EntryType::Whiteout)).is_noop);
  EXPECT_EQ(shown(tree), "a ");
}

TEST(LayerTree, HardLinksShareAttributesEvenOfAReplacedFile) {
  LayerTree tree;
  tree.place(entry("a", EntryType::File));
  EXPECT_EQ(tree.place(entry("b", EntryType::HardLink, "a")).link_target, "a");
  tree.place(entry("a", EntryType::Symlink, "x"));
  std::map<std::string, EntryType> types;
  tree.visit([&](const std::string& path, const LayerTree::Node& node) { types[path] = node.inode->type; });
  EXPECT_EQ(types["b"], EntryType::File);
  EXPECT_TRUE(tree.place(entry("b", EntryType::HardLink, "b")).is_noop);
}

TEST(LayerTree, ImpossibleHardLinksAreRefused) {
  LayerTree tree;
  tree.place(entry("d/f", EntryType::File));
  EXPECT_THROW(tree.place(entry("x", EntryType::HardLink, "missing")), Error);
  EXPECT_THROW(tree.place(entry("x", EntryType::HardLink, "no/such/directory")), Error);
  EXPECT_THROW(tree.place(entry("x", EntryType::HardLink, "d")), Error);
  EXPECT_THROW(tree.place(entry("d", EntryType::HardLink, "d/f")), Error);
  EXPECT_THROW(tree.place(entry("", EntryType::HardLink, "d/f")), Error);
}

}  // namespace
}  // namespace ctr
