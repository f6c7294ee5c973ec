// Layers by diff id, in layers/<hex>/. A layer's tree never depends on other layers, so layers are written in parallel.
// A LayerWriter turns entries into one of the stored forms: an EROFS image where the kernel mounts one, else a
// directory; a store may hold both. Readers need no lock; a layer appears by rename.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "image/descriptor.h"
#include "image/digest.h"
#include "image/durability.h"
#include "image/entry.h"
#include "image/layer_mounts.h"

namespace ctr {

enum class LayerForm { Directory, Erofs };

/// Which form new layers get. Auto is a directory, where the environment's CTR_LAYER_FORMAT ("directory", "erofs") does
/// not say otherwise, for tests.
enum class LayerFormat { Auto, Directory, Erofs };
/// Throws Invalid for another word.
LayerFormat parse_layer_format(std::string_view text);

/// Which extended attributes overlay reads in this store: trusted.overlay.* (root of the first user namespace) or
/// user.overlay.* (everybody else; the mount says userxattr).
enum class OverlayXattrs { Trusted, User };
OverlayXattrs overlay_xattrs_of_this_process();

/// What a layer is called: the digest of its uncompressed tar.
struct LayerIdentity {
  Digest diff_id;
  std::uint64_t tar_size = 0;
  /// The version of the canonical tar's rules that gives diff_id, or 0: a foreign tar, whose bytes only its blob has.
  int canonical_version = 0;
};

struct LayerInfo {
  LayerIdentity identity;
  LayerForm form = LayerForm::Directory;
  std::uint64_t entries = 0;
  /// Bytes of all files.
  std::uint64_t content_size = 0;
  /// Parent directories that the tar left out (paths as in Entry; "" is the root).
  std::vector<std::string> implied = {};
};

/// A layer's compressed bytes as they were once made, so that a later push knows their digest without making them.
struct CompressedForm {
  Descriptor blob;
  /// Encoder, its version and level ("libdeflate-members-1:6"); the same name gives the same bytes. Empty: the bytes
  /// came from elsewhere and only a kept blob has them.
  std::string encoder;
};

/// Builds one layer. Entries may come in any order that a tar allows: a later entry of the same path replaces an
/// earlier one, parents may be missing. Without commit nothing stays. Not safe for several threads.
class LayerWriter {
 public:
  virtual ~LayerWriter() = default;
  /// Reads `content` to the end when the entry is a File: exactly entry.size bytes, else throws Corrupt.
  virtual void add(const Entry& entry, FileContent& content) = 0;
  /// Publishes. If the layer is there already, this one is dropped. Throws Invalid for a layer that can't be stored.
  virtual LayerInfo commit(const LayerIdentity& identity) = 0;
  /// Publishes under the digest of the canonical tar, for which everything is read back: for entries that came in no
  /// particular order (ADD of a tar, import). Missing parents stay missing in the canonical tar: other tools would
  /// make them as root's 0755, so give each parent with the attributes that it has below.
  virtual LayerInfo commit_canonical() = 0;
};

/// Writes a layer of our own making in one pass: the entries go to the store and through the canonical tar's digest at
/// the same time. COPY, ADD, commit and import use this.
class CanonicalLayerWriter {
 public:
  /// `tar` also receives the canonical tar's bytes when given.
  explicit CanonicalLayerWriter(std::unique_ptr<LayerWriter> writer, ByteSink* tar = nullptr);
  ~CanonicalLayerWriter();
  /// REQUIRES: strictly ascending paths by compare_paths, no Opaque or HardLink before its directory or file.
  void add(const Entry& entry, FileContent& content);
  LayerInfo commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Safe for use by several threads and processes at once.
class LayerStore {
 public:
  /// `run` is where the namespace is pinned in which images are mounted.
  LayerStore(fs::path root, fs::path run, UnsyncedMarkers markers, LayerFormat format = LayerFormat::Auto);

  bool has(const Digest& diff_id) const;
  std::optional<LayerInfo> find(const Digest& diff_id) const;
  /// Throws NotFound.
  LayerInfo info(const Digest& diff_id) const;
  std::vector<Digest> list() const;

  /// The form that create() gives. Throws Unavailable when images were demanded that this machine can't mount.
  LayerForm form() const;
  /// A writer of that form, or of a given one.
  std::unique_ptr<LayerWriter> create() const;
  std::unique_ptr<LayerWriter> create(LayerForm form) const;

  /// Turns an overlay upper directory that nothing uses any more into a layer, by rename: overlay's own xattrs go, the
  /// canonical tar's digest is the diff id. `upper` must be on the store's file system, and is gone afterwards.
  LayerInfo adopt_upper(const fs::path& upper) const;

  /// The entries in canonical order, with content: whiteouts and opaque marks included, implied parents left out.
  std::unique_ptr<EntrySource> read(const Digest& diff_id) const;
  /// The same past what the kernel keeps of a mounted image: what the disk has now.
  std::unique_ptr<EntrySource> read_anew(const Digest& diff_id) const;
  /// The bytes whose digest is the diff id. Throws NotFound for a foreign layer (their bytes are a blob), Corrupt when
  /// the digest is another.
  void write_canonical_tar(const Digest& diff_id, ByteSink& sink) const;

  /// The layer's tree for an overlay mount: <root>/layers/<hex>/fs, which is an image's tree only in the namespace that
  /// mounts().mount() names.
  fs::path tree_path(const Digest& diff_id) const { return mounts_.tree_path(diff_id); }
  /// The tree's root directory, wherever it is mounted.
  Fd open_tree(const Digest& diff_id) const { return mounts_.open_tree(diff_id); }
  const LayerMounts& mounts() const noexcept { return mounts_; }

  /// What a push made of this layer: all forms, newest last.
  std::vector<CompressedForm> compressed_forms(const Digest& diff_id) const;
  void remember_compressed(const Digest& diff_id, const CompressedForm& form) const;

  /// Moves the layer into `trash`; absence is fine.
  void remove(const Digest& diff_id, const fs::path& trash) const;
  /// Moves what killed writers left behind into `trash`.
  void remove_abandoned(const fs::path& trash) const;

  const fs::path& directory() const noexcept { return directory_; }

 private:
  fs::path root_;
  fs::path directory_;
  UnsyncedMarkers markers_;
  LayerFormat format_;
  LayerMounts mounts_;
};

}  // namespace ctr
