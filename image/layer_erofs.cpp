#include "image/layer_erofs.h"

#include <fcntl.h>
#include <map>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "image/canonical_tar.h"
#include "image/erofs_data.h"
#include "image/erofs_metadata.h"
#include "image/entry_sources.h"
#include "image/erofs_xattrs.h"
#include "image/layer_directory.h"
#include "image/layer_tree.h"

namespace ctr {

namespace {

constexpr std::size_t kSweepAfter = 1000;

// Content that is in the image already.
class StoredContent final : public FileContent {
 public:
  StoredContent(ErofsData& area, const ErofsFileData& data) : area_(area), data_(data) {}
  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t count = area_.read_at(data_, position_, buffer);
    position_ += count;
    return count;
  }

 private:
  ErofsData& area_;
  const ErofsFileData& data_;
  std::uint64_t position_ = 0;
};

// A mounted image has all that an entry list says, but which parents are implied.
class MountedSource final : public EntrySource {
 public:
  MountedSource(Fd tree, const LayerInfo& info)
      : tree_(std::move(tree)),
        implied_(info.implied.begin(), info.implied.end()),
        source_(tree_.get(), TreeKind::OverlayUpper, OverlayXattrs::Trusted) {
    if (!implied_.contains("")) root_ = describe_root(tree_.get());
  }

  std::optional<Entry> next() override {
    if (root_) return std::exchange(root_, std::nullopt);
    for (;;) {
      std::optional<Entry> entry = source_.next();
      if (entry && entry->type == EntryType::Directory && implied_.contains(entry->path)) continue;
      return entry;
    }
  }
  std::size_t read(std::span<std::byte> buffer) override { return source_.read(buffer); }
  std::uint64_t skip_hole() override { return source_.skip_hole(); }

 private:
  Fd tree_;
  std::set<std::string> implied_;
  DirectorySource source_;
  std::optional<Entry> root_;
};

class ErofsWriter final : public LayerWriter {
 public:
  ErofsWriter(const fs::path& root, const UnsyncedMarkers& markers, OverlayXattrs xattrs)
      : directory_(root, markers),
        opaque_name_(xattrs == OverlayXattrs::Trusted ? "trusted.overlay.opaque" : "user.overlay.opaque"),
        data_(open_file(directory_.path() / kErofsFileName, O_RDWR | O_CREAT | O_EXCL, 0600), directory_.path()) {
    check(::mkdir(directory_.tree().c_str(), 0755), "create", directory_.tree());
  }

  void add(const Entry& entry, FileContent& content) override {
    ErofsXattrs::check_values(entry.path, entry.xattrs);
    const LayerTree::Placement place = tree_.place(entry);
    if (place.replaced != LayerTree::Existing::Nothing && ++replaced_ >= kSweepAfter + files_.size()) release_replaced();
    if (entry.type != EntryType::File || !place.inode) return;
    const std::uint64_t head = kErofsExtendedSize + ErofsXattrs::size_limit(entry.xattrs);
    const std::uint64_t tail_limit = head < kErofsBlock ? kErofsBlock - head : 0;
    files_.insert_or_assign(place.inode, data_.add(entry.path, entry.size, tail_limit, content));
  }

  LayerInfo commit(const LayerIdentity& identity) override {
    LayerInfo info{identity};
    visit_entries(info, [](const Entry&, bool) {});
    publish(info);
    return info;
  }

  LayerInfo commit_canonical() override {
    LayerInfo info{LayerIdentity{Digest::of(std::string_view()), 0, kCanonicalTarVersion}};
    Hasher hasher;
    CanonicalTarWriter tar(hasher);
    visit_entries(info, [&](const Entry& entry, bool is_implied) {
      if (!is_implied) add_to_tar(tar, entry);
    });
    tar.finish();
    info.identity.diff_id = hasher.digest();
    info.identity.tar_size = hasher.size();
    publish(info);
    return info;
  }

 private:
  // The entries in canonical order, as a reader of the layer gets them, and what they amount to.
  template <typename Visitor>
  void visit_entries(LayerInfo& info, Visitor visitor) {
    info.form = LayerForm::Erofs;
    std::map<const Entry*, std::string> first_names;
    tree_.visit([&](const std::string& path, const LayerTree::Node& node) {
      ++info.entries;
      if (!node.inode) return visitor(Entry{path, EntryType::Whiteout}, false);
      Entry entry = *node.inode;
      entry.path = path;
      current_ = node.inode;
      if (!node.is_directory() && node.inode.use_count() > 2) {  // the tree, current_, and at least another
        const auto [first, is_new] = first_names.try_emplace(node.inode.get(), path);
        if (!is_new) {
          entry = Entry{path, EntryType::HardLink, entry.mode, entry.uid, entry.gid, entry.mtime};
          entry.link = first->second;
        }
      }
      info.content_size += entry.size;
      if (node.is_implied) info.implied.push_back(path);
      visitor(entry, node.is_implied);
      if (!node.is_opaque) return;
      ++info.entries;
      visitor(Entry{path, EntryType::Opaque}, false);
    });
    current_.reset();
  }

  void add_to_tar(CanonicalTarWriter& tar, const Entry& entry) {
    if (entry.type != EntryType::File) {
      NoContent none;
      return tar.add(entry, none);
    }
    StoredContent content(data_, files_.at(current_));
    tar.add(entry, content);
  }

  // Files that later entries have replaced: nothing but files_ knows them any more.
  void release_replaced() {
    replaced_ = 0;
    for (auto file = files_.begin(); file != files_.end();) {
      if (file->first.use_count() > 1) {
        ++file;
        continue;
      }
      data_.release(file->second);
      file = files_.erase(file);
    }
  }

  void publish(const LayerInfo& info) {
    release_replaced();
    std::unordered_map<const Entry*, const ErofsFileData*> places;
    for (const auto& [inode, data] : files_) places.emplace(inode.get(), &data);
    ErofsMetadata metadata(data_, [&](const Entry& inode) -> const ErofsFileData& { return *places.at(&inode); });
    const std::uint64_t size = metadata.write(tree_, opaque_name_);
    check(::ftruncate(data_.output().fd(), static_cast<off_t>(size)), "set the size of", directory_.path());
    directory_.publish(info);
  }

  NewLayerDirectory directory_;
  std::string opaque_name_;
  ErofsData data_;
  LayerTree tree_;
  std::unordered_map<std::shared_ptr<Entry>, ErofsFileData> files_;
  std::size_t replaced_ = 0;
  std::shared_ptr<Entry> current_;
};

}  // namespace

std::unique_ptr<EntrySource> read_layer_erofs(Fd tree, const LayerInfo& info) {
  return std::make_unique<MountedSource>(std::move(tree), info);
}

std::unique_ptr<LayerWriter> make_erofs_writer(const fs::path& root, const UnsyncedMarkers& markers, OverlayXattrs xattrs) {
  return std::make_unique<ErofsWriter>(root, markers, xattrs);
}

}  // namespace ctr
