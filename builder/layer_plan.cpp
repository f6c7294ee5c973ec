#include "builder/layer_plan.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/rooted_path.h"
#include "builder/file_xattrs.h"
#include "builder/source_hashes.h"
#include "image/held_owner.h"

namespace ctr {

namespace {

/// The bytes of an open file, holes skipped.
class OpenFileContent final : public FileContent {
 public:
  OpenFileContent(Fd fd, std::uint64_t size, std::string name) : fd_(std::move(fd)), size_(size), name_(std::move(name)) {
    struct ::stat info = {};
    check(::fstat(fd_.get(), &info), "stat", name_);
    has_holes_ = static_cast<std::uint64_t>(info.st_blocks) * 512 < size_;
    if (!S_ISREG(info.st_mode)) throw Error(ErrorKind::Busy, "/" + name_ + " changed while it was copied");
  }

  std::size_t read(std::span<std::byte> buffer) override {
    for (;;) {
      const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      check(count, "read", name_);
      at_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
  }

  int fd() const noexcept { return fd_.get(); }

  std::uint64_t skip_hole() override {
    if (!has_holes_ || at_ >= size_) return 0;
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(at_), SEEK_DATA);
    if (data < 0 && errno != ENXIO) {
      has_holes_ = false;
      return 0;
    }
    const std::uint64_t next = data < 0 ? size_ : std::min(static_cast<std::uint64_t>(data), size_);
    const std::uint64_t skipped = next - at_;
    check(::lseek(fd_.get(), static_cast<off_t>(next), SEEK_SET), "seek", name_);
    at_ = next;
    return skipped;
  }

 private:
  Fd fd_;
  std::uint64_t size_;
  std::string name_;
  std::uint64_t at_ = 0;
  bool has_holes_ = false;
};

/// Content that is hashed while it passes.
class HashedContent final : public FileContent {
 public:
  HashedContent(FileContent& from, SourceHashes& hashes) : from_(from), hashes_(hashes) {}
  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t count = from_.read(buffer);
    hashes_.write(Bytes(buffer).first(count));
    return count;
  }
  std::uint64_t skip_hole() override {
    const std::uint64_t hole = from_.skip_hole();
    hashes_.write_zeros(hole);
    return hole;
  }

 private:
  FileContent& from_;
  SourceHashes& hashes_;
};

}  // namespace

FileTime file_time(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return {seconds.time_since_epoch().count(),
          static_cast<std::uint32_t>((time - seconds).count())};
}

Entry entry_of(const SourceTree& tree, const TreeFile& file) {
  const struct ::stat& info = file.info;
  Entry entry;
  switch (info.st_mode & S_IFMT) {
    case S_IFDIR: entry.type = EntryType::Directory; break;
    case S_IFREG:
      entry.type = EntryType::File;
      entry.size = static_cast<std::uint64_t>(info.st_size);
      break;
    case S_IFLNK:
      entry.type = EntryType::Symlink;
      entry.link = read_link_text(tree.root(), file.path);
      break;
    case S_IFCHR: entry.type = EntryType::CharacterDevice; break;
    case S_IFBLK: entry.type = EntryType::BlockDevice; break;
    case S_IFIFO: entry.type = EntryType::Fifo; break;
    default: throw Error(ErrorKind::Invalid, "/" + file.path + " is of a type that can't be copied");
  }
  if (entry.type == EntryType::CharacterDevice || entry.type == EntryType::BlockDevice) {
    entry.device_major = ::major(info.st_rdev);
    entry.device_minor = ::minor(info.st_rdev);
  }
  entry.mode = entry.type == EntryType::Symlink ? 0777 : info.st_mode & 07777;
  if (tree.owners() == Owners::Kept) {
    const FileOwner owner = owner_of(fd_path(tree.root()) + "/" + file.path, info);
    entry.uid = owner.uid;
    entry.gid = owner.gid;
  }
  entry.mtime = {info.st_mtim.tv_sec, static_cast<std::uint32_t>(info.st_mtim.tv_nsec)};
  return entry;
}

std::string LayerPlan::resolve(const std::string& path) const {
  if (base_ >= 0) return resolve_in_tree(base_, path, LastLink::Follow).path;
  return clean_entry_path(path);
}

bool LayerPlan::is_new_directory(const std::string& path) const { return new_directories_.contains(path); }

LayerPlan::Kind LayerPlan::kind_of(const std::string& path) const {
  const auto planned = items_.find(path);
  if (planned != items_.end())
    return planned->second.entry.type == EntryType::Directory ? Kind::Directory : Kind::Other;
  if (path.empty()) return Kind::Directory;
  if (base_ < 0 || is_new_directory(std::string(parent_path(path)))) return Kind::Absent;
  const auto info = find_stat(base_, path);
  if (!info) return Kind::Absent;
  // A layer's own tree may show a whiteout device where an overlay shows nothing.
  if (S_ISCHR(info->st_mode) && info->st_rdev == 0) return Kind::Absent;
  return S_ISDIR(info->st_mode) ? Kind::Directory : Kind::Other;
}

Entry LayerPlan::new_directory(const std::string& path) const {
  Entry entry;
  entry.path = path;
  entry.type = EntryType::Directory;
  entry.mode = 0755;
  entry.uid = owner_.uid;
  entry.gid = owner_.gid;
  entry.mtime = file_time(step_time_);
  return entry;
}

void LayerPlan::make_directories(const std::string& path) {
  if (path.empty() || items_.contains(path)) {
    if (!path.empty() && kind_of(path) != Kind::Directory)
      throw Error(ErrorKind::Invalid, "/" + path + ": not a directory");
    return;
  }
  make_directories(std::string(parent_path(path)));
  const Kind kind = kind_of(path);
  if (kind == Kind::Other) throw Error(ErrorKind::Invalid, "/" + path + ": not a directory");
  Entry entry;
  if (kind == Kind::Directory) {
    const SourceTree view(duplicate(base_), "base", Owners::Kept);
    entry = entry_of(view, {path, *find_stat(base_, path)});
    entry.path = path;
    entry.xattrs = read_layer_xattrs(base_, path);
  } else {
    new_directories_.insert(path);
    entry = new_directory(path);
  }
  items_.emplace(path, Item{std::move(entry), {}});
}

void LayerPlan::add(Entry entry, LayerContent content) {
  const std::string path = entry.path;
  if (entry.type == EntryType::Directory && kind_of(path) == Kind::Absent) new_directories_.insert(path);
  items_.insert_or_assign(path, Item{std::move(entry), std::move(content)});
}

namespace {

template <typename Writer>
void write_item(Writer& writer, Entry entry, const LayerContent& content, SourceHashes* hashes = nullptr) {
  NoContent none;
  if (content.tree == nullptr) {
    if (content.text == nullptr) {
      writer.add(entry, none);
    } else {
      TextContent text(*content.text);
      writer.add(entry, text);
    }
    return;
  }
  if (entry.type == EntryType::Directory) {
    entry.xattrs = read_layer_xattrs(content.tree->root(), content.path);
    writer.add(entry, none);
  } else if (entry.type == EntryType::File) {
    Fd fd = open_beneath(content.tree->root(), content.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    entry.xattrs = read_layer_xattrs(fd.get());
    OpenFileContent bytes(std::move(fd), entry.size, content.path);
    if (hashes == nullptr) {
      writer.add(entry, bytes);
    } else {
      hashes->begin(bytes.fd(), entry.xattrs);
      HashedContent hashed(bytes, *hashes);
      writer.add(entry, hashed);
      hashes->end(bytes.fd());
    }
  } else {
    writer.add(entry, none);
  }
}

}  // namespace

LayerInfo LayerPlan::write(const LayerStore& store, SourceHashes* hashes) const {
  CanonicalLayerWriter writer(store.create());
  for (const auto& [path, item] : items_) write_item(writer, item.entry, item.content, hashes);
  return writer.commit();
}

void LayerPlan::write(LayerWriter& writer) const {
  for (const auto& [path, item] : items_) write_item(writer, item.entry, item.content);
}

}  // namespace ctr
