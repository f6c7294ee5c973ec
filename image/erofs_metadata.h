// The metadata of an EROFS image, written last, when the tree is known: directories' blocks, inodes with their
// attributes and tails packed into blocks, shared attributes, and at the very end the superblock, without which the file
// is no image. Everything but the place of the files' data is a function of the tree alone: no clock, no random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "image/erofs_data.h"
#include "image/erofs_format.h"
#include "image/erofs_xattrs.h"
#include "image/layer_tree.h"

namespace ctr {

class ErofsMetadata {
 public:
  /// Where the content of a regular file is.
  using FindData = std::function<const ErofsFileData&(const Entry& inode)>;

  ErofsMetadata(ErofsData& data, FindData find_data) : data_(data), find_data_(std::move(find_data)) {}

  /// Writes everything behind the data and returns the image's size. `opaque_name` is the attribute of an opaque directory.
  std::uint64_t write(const LayerTree& tree, const std::string& opaque_name);

 private:
  struct Inode {
    const Entry* entry = nullptr;  // nothing: the whiteout, of which there is one
    const LayerTree::Node* directory = nullptr;
    const ErofsFileData* data = nullptr;
    std::uint32_t parent = 0;
    std::uint32_t links = 0;
    std::uint64_t first_child = 0;  // in children_
    bool is_opaque = false;
    bool is_compact = false;
    ErofsLayout layout = ErofsLayout::Plain;
    std::uint32_t first_block = 0;
    std::uint64_t size = 0;
    std::uint64_t tail_size = 0;
    std::uint64_t position = 0;
  };
  struct Name {
    std::string_view text;
    std::uint32_t inode;
  };

  std::uint32_t collect(const std::string& path, const LayerTree::Node& node, std::uint32_t parent);
  std::uint32_t collect_leaf(const std::string& path, const LayerTree::Node& node);
  void choose_time();
  Xattrs xattrs_of(const Inode& inode) const;
  std::vector<Name> names_of(std::uint32_t directory) const;

  void lay_out();
  void lay_out(Inode& inode, std::uint32_t number);
  void place_inode(Inode& inode, std::uint64_t size);
  std::uint64_t nid(const Inode& inode) const;

  void write_blocks();
  void write_inodes();
  std::string inode_bytes(std::uint32_t number) const;
  std::string core_bytes(const Inode& inode, std::uint32_t number, std::size_t xattr_size) const;
  std::string chunk_table(const Inode& inode) const;
  std::string tail_of(const Inode& inode, std::uint32_t number) const;
  std::string directory_block(std::span<const Name> names) const;
  void write_superblock(std::uint64_t end);

  ErofsData& data_;
  FindData find_data_;
  std::string opaque_name_;
  ErofsXattrs xattrs_;
  std::vector<Inode> inodes_;
  std::vector<std::uint32_t> children_;
  std::unordered_map<const Entry*, std::uint32_t> numbers_;  // of inodes that may have several names
  std::uint32_t whiteout_ = 0;
  FileTime time_;                                // what compact inodes have
  bool has_chunks_ = false;
  std::uint64_t inode_area_ = 0;                 // its first block
  std::uint64_t next_block_ = 0;
  std::vector<std::vector<std::uint32_t>> free_;  // by free slots: blocks of the inode area
  std::uint64_t xattr_block_ = 0;
};

}  // namespace ctr
