// Content store: bytes addressed by their digest, in blobs/sha256/<hex> as in an OCI layout. A blob is immutable and
// appears atomically, so a reader needs no lock. Partial downloads live in ingest/<hex> and resume, in another process
// too. Knows nothing about images or names.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/file.h"
#include "image/descriptor.h"
#include "image/digest.h"
#include "image/durability.h"

namespace ctr {

/// A partial file that becomes a blob on commit. If the digest was known beforehand, destroying it keeps the partial
/// file, and a later download resumes at offset(). Holds a lock on the partial file: one process fetches one blob.
class BlobWriter final : public ByteSink {
 public:
  BlobWriter(BlobWriter&&) noexcept;
  BlobWriter& operator=(BlobWriter&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~BlobWriter() override;

  /// How many bytes are there already; a resumed download asks for the rest.
  std::uint64_t offset() const noexcept;
  /// Of the bytes that are there.
  Digest digest() const;
  /// The bytes that a resumed partial file has, from its start.
  std::unique_ptr<ByteSource> resumed_bytes() const;
  void write(Bytes bytes) override;
  /// Forgets all bytes, for a server that can't resume.
  void restart();
  /// Gives up and removes the partial file, even of a blob whose digest was known.
  void discard() &&;

  /// Verifies the digest (and `expected_size`), then publishes. Throws Corrupt, and removes the partial file, if the
  /// content is not what was expected.
  Descriptor commit(std::string_view media_type, std::optional<std::uint64_t> expected_size = {}) &&;

 private:
  friend class BlobStore;
  struct State;
  explicit BlobWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Safe for use by several threads and processes at once.
class BlobStore {
 public:
  /// `root` holds blobs/ and ingest/, which are made when missing.
  BlobStore(const fs::path& root, UnsyncedMarkers markers);

  bool has(const Digest& digest) const;
  std::optional<std::uint64_t> find_size(const Digest& digest) const;
  /// Throws NotFound, naming the digest.
  Fd open(const Digest& digest) const;
  std::optional<Fd> find(const Digest& digest) const;
  /// The whole blob, verified against its digest. Throws NotFound, Corrupt, or Invalid above `limit`.
  std::string read(const Digest& digest, std::uint64_t limit) const;
  fs::path path(const Digest& digest) const;
  /// Whether the blob is there and has its digest: reads all of it.
  bool is_whole(const Digest& digest) const;

  /// Stores bytes at hand.
  Descriptor put(std::string_view media_type, std::string_view bytes) const;

  /// Begins or resumes a download. Waits while another process downloads the same blob; nothing when the blob is
  /// there (or was, after waiting).
  std::optional<BlobWriter> ingest(const Digest& expected) const;
  /// A blob whose digest is known at the end only; without commit nothing stays.
  BlobWriter ingest() const;

  std::vector<Digest> list() const;
  /// Moves the blob into `trash`; absence is fine.
  void remove(const Digest& digest, const fs::path& trash) const;

  /// The partial downloads and their bytes; those that nobody writes can be dropped.
  std::uint64_t drop_idle_partials() const;

 private:
  fs::path root_;
  UnsyncedMarkers markers_;
};

}  // namespace ctr
