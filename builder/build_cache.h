// Build records: what a step with that key yields, cache/<key>.json. A record names the layer that the step added and
// keeps the inputs that made its key, so that --explain can say what changed. Records of other machines (--cache-from)
// are asked after the local ones. A key's lock, under $CTR_RUN, keeps two processes from doing one step at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/time.h"
#include "builder/selection_checksum.h"
#include "image/descriptor.h"
#include "image/digest.h"
#include "image/garbage.h"

namespace ctr {

struct BuildRecord {
  Digest layer;             ///< diff id of what the step added
  std::uint64_t size = 0;   ///< bytes of the layer's files
  Time created = {};
  std::string title;        ///< "[2/3] RUN make"
  Json op = {};             ///< the operation
  std::vector<std::string> inputs;  ///< content identities of the inputs
};

/// A record whose layer is elsewhere: with its blob, or without (mode=min keeps keys of steps but not their layers).
struct RemoteRecord {
  BuildRecord record;
  std::optional<Descriptor> blob;
};

/// Holds the lock of one key; whoever waited finds the other's record afterwards.
class KeyLock {
 public:
  KeyLock(const fs::path& directory, const Digest& key);
  ~KeyLock();
  KeyLock(const KeyLock&) = delete;
  KeyLock& operator=(const KeyLock&) = delete;

 private:
  fs::path path_;
  std::optional<FileLock> lock_;
};

/// Safe for use by several threads and processes at once.
class BuildCache {
 public:
  /// `root` is the store's, `run` the run directory.
  BuildCache(const fs::path& root, const fs::path& run);

  /// A local record; a damaged one counts as none. Counts as a use.
  std::optional<BuildRecord> find(const Digest& key) const;
  void save(const Digest& key, const BuildRecord& record) const;

  /// The selection of a COPY, for --explain.
  void save_lines(const Digest& key, const SelectionLines& lines) const;
  std::optional<SelectionLines> find_lines(const Digest& key) const;

  std::unique_ptr<KeyLock> lock(const Digest& key) const;

  /// Whether a COPY with these inputs was made since the machine started, whatever it copied: then its result may be
  /// among the records, and is looked for before anything is written.
  bool was_copied(const Digest& key) const;
  void note_copied(const Digest& key) const;

  /// What the last build of one Dockerfile did, by step: an opaque document under a name of the caller's.
  std::optional<Json> find_build(const Digest& name) const;
  void save_build(const Digest& name, const Json& document) const;

  /// Where the hashes of the files below a context's root are kept.
  fs::path file_hashes_path(const std::string& context) const;

  // ---- du, prune ----

  struct Usage {
    Digest key;
    BuildRecord record;
    Time last_used;
  };
  std::vector<Usage> list() const;
  void remove(const Digest& key) const;

  const fs::path& directory() const noexcept { return directory_; }

 private:
  fs::path record_path(const Digest& key, const char* suffix = ".json") const;

  fs::path directory_;
  fs::path locks_;
  fs::path copied_;
};

/// The layers of all records, for garbage collection.
RootProvider build_record_roots(const fs::path& store_root);

Json to_json(const BuildRecord& record);
/// Throws Invalid.
BuildRecord build_record_from_json(const Json& json);

}  // namespace ctr
