#include "image/erofs_metadata.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <sys/stat.h>
#include <utility>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::uint32_t kSlotsPerBlock = kErofsBlock / kErofsSlot;
constexpr std::uint32_t kIntMax16 = 0xffff;
constexpr std::uint64_t kXattrHeaderSize = 12;

struct Kind {
  std::uint16_t mode;
  std::uint8_t dirent;  // FT_* as in a directory entry
};

Kind kind_of(const Entry* entry) {
  switch (entry ? entry->type : EntryType::Whiteout) {
    case EntryType::Directory:
      return {S_IFDIR, 2};
    case EntryType::Symlink:
      return {S_IFLNK, 7};
    case EntryType::BlockDevice:
      return {S_IFBLK, 4};
    case EntryType::Fifo:
      return {S_IFIFO, 5};
    case EntryType::CharacterDevice:
    case EntryType::Whiteout:
      return {S_IFCHR, 3};
    default:
      return {S_IFREG, 1};
  }
}

// Linux's encoding of a device number in 32 bits.
std::uint32_t device_number(const Entry* entry) {
  if (!entry) return 0;
  const std::uint32_t minor = entry->device_minor;
  return (minor & 0xff) | entry->device_major << 8 | (minor & ~0xffu) << 12;
}

bool is_device(const Entry* entry) {
  const std::uint16_t mode = kind_of(entry).mode;
  return mode == S_IFCHR || mode == S_IFBLK;
}

// How many of the names from `first` on fit into one block, and what they take of it.
template <typename Names>
std::pair<std::size_t, std::uint64_t> fill_block(const Names& names, std::size_t first) {
  std::uint64_t used = 0;
  std::size_t last = first;
  for (; last < names.size(); ++last) {
    const std::uint64_t more = kErofsDirentSize + names[last].text.size();
    if (used + more > kErofsBlock) break;
    used += more;
  }
  return {last - first, used};
}

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return crc;
}

}  // namespace

// ---- what there is ----

std::uint32_t ErofsMetadata::collect_leaf(const std::string& path, const LayerTree::Node& node) {
  if (!node.inode) {
    if (whiteout_ == 0) {
      whiteout_ = static_cast<std::uint32_t>(inodes_.size());
      inodes_.emplace_back();
    }
    ++inodes_[whiteout_].links;
    return whiteout_;
  }
  const auto number = static_cast<std::uint32_t>(inodes_.size());
  if (node.inode.use_count() > 1) {
    const auto [known, is_new] = numbers_.try_emplace(node.inode.get(), number);
    if (!is_new) {
      ++inodes_[known->second].links;
      return known->second;
    }
  }
  Inode inode;
  inode.entry = node.inode.get();
  inode.links = 1;
  if (inode.entry->type == EntryType::File) inode.data = &find_data_(*inode.entry);
  xattrs_.count(path, inode.entry->xattrs);
  inodes_.push_back(inode);
  return number;
}

std::uint32_t ErofsMetadata::collect(const std::string& path, const LayerTree::Node& node, std::uint32_t parent) {
  if (!node.is_directory()) return collect_leaf(path, node);
  const auto number = static_cast<std::uint32_t>(inodes_.size());
  Inode inode;
  inode.entry = node.inode.get();
  inode.directory = &node;
  inode.parent = parent;
  inode.links = 2;
  inode.first_child = children_.size();
  inode.is_opaque = node.is_opaque;
  inodes_.push_back(inode);
  xattrs_.count(path, xattrs_of(inode));
  children_.resize(children_.size() + node.children.size());
  std::uint64_t slot = inode.first_child;
  std::uint32_t directories = 0;
  for (const auto& [name, child] : node.children) {
    children_[slot++] = collect(path.empty() ? name : path + "/" + name, *child, number);
    if (child->is_directory()) ++directories;
  }
  inodes_[number].links += directories;
  return number;
}

Xattrs ErofsMetadata::xattrs_of(const Inode& inode) const {
  Xattrs xattrs = inode.entry ? inode.entry->xattrs : Xattrs();
  if (inode.is_opaque) xattrs[opaque_name_] = "y";
  return xattrs;
}

// The time that most inodes have; the earliest of several.
void ErofsMetadata::choose_time() {
  std::map<FileTime, std::size_t> counts;
  for (const Inode& inode : inodes_) ++counts[inode.entry ? inode.entry->mtime : FileTime{}];
  std::size_t most = 0;
  for (const auto& [time, count] : counts) {
    if (count <= most || time.seconds < 0) continue;
    most = count;
    time_ = time;
  }
}

std::vector<ErofsMetadata::Name> ErofsMetadata::names_of(std::uint32_t directory) const {
  const Inode& inode = inodes_[directory];
  std::vector<Name> names{{".", directory}, {"..", inode.parent}};
  names.reserve(names.size() + inode.directory->children.size());
  std::uint64_t slot = inode.first_child;
  for (const auto& [name, child] : inode.directory->children) names.push_back({name, children_[slot++]});
  // The dots belong among the names, some of which come before them.
  std::inplace_merge(names.begin(), names.begin() + 2, names.end(),
                     [](const Name& left, const Name& right) { return left.text < right.text; });
  return names;
}

// ---- where it goes ----

std::uint64_t ErofsMetadata::nid(const Inode& inode) const {
  // Counted from the block before the inodes, so that none has the number 0, which readdir takes for a deleted file.
  return (inode.position - (inode_area_ - 1) * kErofsBlock) / kErofsSlot;
}

void ErofsMetadata::lay_out() {
  next_block_ = data_.next_block();
  for (std::uint32_t number = 0; number < inodes_.size(); ++number) lay_out(inodes_[number], number);
  inode_area_ = next_block_;
  free_.assign(kSlotsPerBlock, {});
  for (Inode& inode : inodes_) {
    const std::uint64_t core = inode.is_compact ? kErofsCompactSize : kErofsExtendedSize;
    std::uint64_t size = core + xattrs_.encode(xattrs_of(inode)).size();
    if (inode.layout == ErofsLayout::Chunks) size += 4 * (((erofs_blocks(inode.size) - 1) >> inode.data->chunk_bits) + 1);
    place_inode(inode, size + inode.tail_size);
  }
  xattr_block_ = next_block_;
  next_block_ += erofs_blocks(xattrs_.shared_area().size());
  // fsck.erofs 1.5 reads the header of attributes behind every inode, even where there is none: not beyond the end.
  const auto last = std::ranges::max_element(inodes_, {}, &Inode::position);
  if (last->position + kErofsExtendedSize + kXattrHeaderSize > next_block_ * kErofsBlock) ++next_block_;
  if (next_block_ > kErofsBlockLimit) throw Error(ErrorKind::Invalid, "layer has more than 16 TiB");
}

// Sizes, layout, and blocks of its own.
void ErofsMetadata::lay_out(Inode& inode, std::uint32_t number) {
  std::uint64_t blocks = 0;  // whole ones, before a tail
  if (inode.directory) {
    const std::vector<Name> names = names_of(number);
    for (std::size_t first = 0; first < names.size();) {
      const auto [count, used] = fill_block(names, first);
      first += count;
      if (first < names.size()) {
        ++blocks;
      } else {
        inode.tail_size = used;
      }
    }
    inode.size = blocks * kErofsBlock + inode.tail_size;
  } else if (inode.data) {
    inode.size = inode.data->size;
    inode.tail_size = inode.data->tail_size;
    inode.first_block = inode.data->first_block;
    if (inode.data->has_holes) {
      inode.layout = ErofsLayout::Chunks;
      has_chunks_ = true;
    }
  } else if (inode.entry && inode.entry->type == EntryType::Symlink) {
    inode.size = inode.entry->link.size();
    inode.tail_size = inode.size;
  }
  const FileTime time = inode.entry ? inode.entry->mtime : FileTime{};
  inode.is_compact = time == time_ && inode.size <= 0xffffffff && inode.links <= kIntMax16 &&
                     (!inode.entry || (inode.entry->uid <= kIntMax16 && inode.entry->gid <= kIntMax16));
  const std::uint64_t head = kErofsExtendedSize + ErofsXattrs::size_limit(xattrs_of(inode));
  if (!inode.data && inode.tail_size > 0 && head + inode.tail_size > kErofsBlock) {
    ++blocks;
    inode.tail_size = 0;
  }
  if (inode.tail_size > 0) inode.layout = ErofsLayout::Inline;
  if (inode.data || blocks == 0) return;
  inode.first_block = static_cast<std::uint32_t>(next_block_);
  next_block_ += blocks;
}

// Best fit: the block with the least room that suffices, the newest of them. What is larger than a block gets its own.
void ErofsMetadata::place_inode(Inode& inode, std::uint64_t size) {
  const std::uint64_t slots = (size + kErofsSlot - 1) / kErofsSlot;
  if (slots >= kSlotsPerBlock) {
    inode.position = next_block_ * kErofsBlock;
    next_block_ += erofs_blocks(size);
    return;
  }
  std::uint64_t room = slots;
  while (room < kSlotsPerBlock && free_[room].empty()) ++room;
  std::uint32_t block = 0;
  if (room < kSlotsPerBlock) {
    block = free_[room].back();
    free_[room].pop_back();
  } else {
    block = static_cast<std::uint32_t>(next_block_++);
  }
  inode.position = block * kErofsBlock + (kSlotsPerBlock - room) * kErofsSlot;
  if (room > slots) free_[room - slots].push_back(block);
}

// ---- how it looks ----

std::string ErofsMetadata::tail_of(const Inode& inode, std::uint32_t number) const {
  if (inode.tail_size == 0) return {};
  if (inode.data) return data_.tail(*inode.data);
  if (!inode.directory) return inode.entry->link;
  const std::vector<Name> names = names_of(number);
  std::size_t first = 0;
  for (;;) {
    const std::size_t count = fill_block(names, first).first;
    if (first + count == names.size()) break;
    first += count;
  }
  return directory_block(std::span(names).subspan(first));
}

std::string ErofsMetadata::directory_block(std::span<const Name> names) const {
  ErofsBytes bytes;
  std::uint64_t offset = names.size() * kErofsDirentSize;
  for (const Name& name : names) {
    const Inode& target = inodes_[name.inode];
    bytes.u64(nid(target)).u16(static_cast<std::uint16_t>(offset)).u8(kind_of(target.entry).dirent).u8(0);
    offset += name.text.size();
  }
  for (const Name& name : names) bytes.text(name.text);
  return bytes.bytes();
}

std::string ErofsMetadata::chunk_table(const Inode& inode) const {
  const std::uint64_t count = ((erofs_blocks(inode.size) - 1) >> inode.data->chunk_bits) + 1;
  std::vector<std::uint32_t> blocks(count, kErofsNoBlock);
  for (const ErofsFileData::Run& run : inode.data->runs) {
    for (std::uint32_t i = 0; i < run.chunks; ++i) blocks[run.first_chunk + i] = run.block + (i << inode.data->chunk_bits);
  }
  ErofsBytes bytes;
  for (const std::uint32_t block : blocks) bytes.u32(block);
  return bytes.bytes();
}

std::string ErofsMetadata::core_bytes(const Inode& inode, std::uint32_t number, std::size_t xattr_size) const {
  static const Entry kWhiteout;
  const Entry& entry = inode.entry ? *inode.entry : kWhiteout;
  const auto format = static_cast<std::uint16_t>((inode.is_compact ? 0 : 1) | static_cast<int>(inode.layout) << 1);
  const auto xattr_count = static_cast<std::uint16_t>(xattr_size == 0 ? 0 : (xattr_size - kXattrHeaderSize) / 4 + 1);
  std::uint32_t where = inode.first_block;
  if (is_device(inode.entry)) where = device_number(inode.entry);
  if (inode.layout == ErofsLayout::Chunks) where = inode.data->chunk_bits;
  const auto mode = static_cast<std::uint16_t>(kind_of(inode.entry).mode | (inode.entry ? entry.mode & 07777 : 0));
  ErofsBytes bytes;
  bytes.u16(format).u16(xattr_count).u16(mode);
  if (inode.is_compact) {
    bytes.u16(static_cast<std::uint16_t>(inode.links)).u32(static_cast<std::uint32_t>(inode.size)).u32(0).u32(where);
    bytes.u32(number + 1).u16(static_cast<std::uint16_t>(entry.uid)).u16(static_cast<std::uint16_t>(entry.gid)).u32(0);
    return bytes.bytes();
  }
  bytes.u16(0).u64(inode.size).u32(where).u32(number + 1).u32(entry.uid).u32(entry.gid);
  bytes.u64(static_cast<std::uint64_t>(entry.mtime.seconds)).u32(entry.mtime.nanoseconds).u32(inode.links);
  return bytes.pad_to(kErofsExtendedSize).bytes();
}

std::string ErofsMetadata::inode_bytes(std::uint32_t number) const {
  const Inode& inode = inodes_[number];
  const std::string xattrs = xattrs_.encode(xattrs_of(inode));
  std::string bytes = core_bytes(inode, number, xattrs.size()) + xattrs;
  bytes += inode.layout == ErofsLayout::Chunks ? chunk_table(inode) : tail_of(inode, number);
  return bytes;
}

void ErofsMetadata::write_blocks() {
  for (std::uint32_t number = 0; number < inodes_.size(); ++number) {
    const Inode& inode = inodes_[number];
    if (inode.data || inode.size == inode.tail_size) continue;
    std::uint64_t position = inode.first_block * kErofsBlock;
    if (!inode.directory) {
      data_.output().write_at(position, as_bytes(inode.entry->link));
      continue;
    }
    const std::vector<Name> names = names_of(number);
    for (std::size_t first = 0; first < names.size();) {
      const std::size_t count = fill_block(names, first).first;
      const bool is_tail = first + count == names.size() && inode.tail_size > 0;
      if (!is_tail) data_.output().write_at(position, as_bytes(directory_block(std::span(names).subspan(first, count))));
      position += kErofsBlock;
      first += count;
    }
  }
}

void ErofsMetadata::write_inodes() {
  std::vector<std::uint32_t> order(inodes_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t left, std::uint32_t right) { return inodes_[left].position < inodes_[right].position; });
  for (const std::uint32_t number : order)
    data_.output().write_at(inodes_[number].position, as_bytes(inode_bytes(number)));
  if (!xattrs_.shared_area().empty())
    data_.output().write_at(xattr_block_ * kErofsBlock, as_bytes(xattrs_.shared_area()));
}

void ErofsMetadata::write_superblock(std::uint64_t end) {
  const auto make = [&](std::uint32_t checksum) {
    ErofsBytes bytes;
    bytes.u32(kErofsMagic).u32(checksum).u32(kErofsCompatChecksum | kErofsCompatMtime).u8(kErofsBlockBits).u8(0);
    bytes.u16(static_cast<std::uint16_t>(nid(inodes_.front()))).u64(inodes_.size());
    bytes.u64(static_cast<std::uint64_t>(time_.seconds)).u32(time_.nanoseconds);
    bytes.u32(static_cast<std::uint32_t>(end)).u32(static_cast<std::uint32_t>(inode_area_ - 1));
    bytes.u32(xattrs_.shared_area().empty() ? 0 : static_cast<std::uint32_t>(xattr_block_));
    bytes.pad_to(bytes.size() + 32);  // uuid and name: none, for equal trees are equal files
    bytes.u32(has_chunks_ ? kErofsIncompatChunks : 0);
    return bytes.pad_to(kErofsBlock - kErofsSuperOffset).bytes();
  };
  const std::string bytes = make(crc32c(make(0)));
  data_.output().write_at(kErofsSuperOffset, as_bytes(bytes));
}

std::uint64_t ErofsMetadata::write(const LayerTree& tree, const std::string& opaque_name) {
  opaque_name_ = opaque_name;
  collect({}, tree.root(), 0);
  xattrs_.share();
  choose_time();
  lay_out();
  write_blocks();
  write_inodes();
  write_superblock(next_block_);
  data_.output().flush();
  return next_block_ * kErofsBlock;
}

}  // namespace ctr
