#include "image/layer_check.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/entry_sources.h"
#include "image/store.h"
#include "tests/support/image_namespace.h"

namespace ctr {
namespace {

const std::string kContent(3 * 4096, 'x');

class LayerCheckTest : public testing::TestWithParam<LayerForm> {
 protected:
  void SetUp() override {
    if (GetParam() == LayerForm::Erofs && !why_no_erofs(root_.path()).empty()) GTEST_SKIP() << why_no_erofs(root_.path());
  }

  LayerInfo make_layer() {
    CanonicalLayerWriter writer(store_.layers().create(GetParam()));
    Entry entry{"file", EntryType::File, 0644};
    entry.size = kContent.size();
    TextContent content(kContent);
    writer.add(entry, content);
    return writer.commit();
  }

  std::string read_all(const Digest& layer) {
    const auto source = store_.layers().read(layer);
    source->next();
    StringSink sink;
    copy_all(*source, sink);
    return sink.text();
  }

  void damage(const Digest& layer) {
    const bool is_image = GetParam() == LayerForm::Erofs;
    const fs::path file = is_image ? store_.layers().mounts().image_path(layer) : store_.layers().tree_path(layer) / "file";
    const Fd opened = open_file(file, O_WRONLY);
    ASSERT_EQ(::pwrite(opened.get(), "DAMAGE", 6, is_image ? 4096 : 0), 6);
  }

  TempDirectory root_;
  NamespaceEnd end_{root_.path() / "run"};
  Store store_{root_.path() / "store", root_.path() / "run"};
};

TEST_P(LayerCheckTest, AWholeLayerIsSound) {
  const LayerInfo info = make_layer();
  EXPECT_EQ(find_layer_damage(store_, info.identity.diff_id, std::nullopt), std::nullopt);
}

TEST_P(LayerCheckTest, DamageOfTheDiskIsFoundThoughPagesAreCached) {
  const Digest layer = make_layer().identity.diff_id;
  EXPECT_TRUE(read_all(layer) == kContent);  // an image stays mounted, with its pages
  damage(layer);
  const std::optional<std::string> found = find_layer_damage(store_, layer, std::nullopt);
  ASSERT_TRUE(found);
  EXPECT_NE(found->find("is damaged"), std::string::npos) << *found;
}

INSTANTIATE_TEST_SUITE_P(Forms, LayerCheckTest, testing::Values(LayerForm::Directory, LayerForm::Erofs),
                         [](const auto& form) { return form.param == LayerForm::Erofs ? "Erofs" : "Directory"; });

}  // namespace
}  // namespace ctr
