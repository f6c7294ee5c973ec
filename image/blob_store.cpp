#include "image/blob_store.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "image/trash.h"

namespace ctr {

namespace {

constexpr std::size_t kBufferSize = 256 * 1024;

// Reads the first `size` bytes of a file, whatever its position is and whoever appends meanwhile.
class PrefixSource final : public ByteSource {
 public:
  PrefixSource(Fd file, std::uint64_t size) : file_(std::move(file)), rest_(size) {}

  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), rest_));
    if (wanted == 0) return 0;
    const ssize_t count = check(::pread(file_.get(), buffer.data(), wanted, position_), "read", "partial blob");
    position_ += count;
    rest_ -= static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }

 private:
  Fd file_;
  off_t position_ = 0;
  std::uint64_t rest_;
};

void lock_file(int file, const fs::path& path) {
  while (::flock(file, LOCK_EX) != 0) {
    if (errno != EINTR) throw_errno(errno, "lock", path.native());
  }
}

// Whether the path still names the open file: another process may have published or dropped it before we got the lock.
bool is_same_file(int file, const fs::path& path) {
  struct stat opened = {};
  struct stat named = {};
  check(::fstat(file, &opened), "stat", path);
  if (::stat(path.c_str(), &named) != 0) return false;
  return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

std::string object_name(const Digest& digest) {
  return "blobs/sha256/" + digest.hex();
}

[[noreturn]] void throw_not_found(const Digest& digest) {
  throw Error(ErrorKind::NotFound, "blob " + digest.str() + " is not in the store");
}

}  // namespace

struct BlobWriter::State {
  fs::path root;
  UnsyncedMarkers markers;
  fs::path partial;
  std::optional<Digest> expected;
  Fd file;
  Hasher hasher = {};
  bool is_published = false;
};

BlobWriter::BlobWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlobWriter::BlobWriter(BlobWriter&&) noexcept = default;

BlobWriter::~BlobWriter() {
  if (state_ && !state_->is_published && !state_->expected) ::unlink(state_->partial.c_str());
}

std::uint64_t BlobWriter::offset() const noexcept {
  return state_->hasher.size();
}

Digest BlobWriter::digest() const {
  return state_->hasher.digest();
}

std::unique_ptr<ByteSource> BlobWriter::resumed_bytes() const {
  return std::make_unique<PrefixSource>(duplicate(state_->file.get()), offset());
}

void BlobWriter::write(Bytes bytes) {
  write_all(state_->file.get(), bytes, state_->partial.native());
  state_->hasher.write(bytes);
}

void BlobWriter::restart() {
  check(::ftruncate(state_->file.get(), 0), "truncate", state_->partial);
  check(::lseek(state_->file.get(), 0, SEEK_SET), "seek", state_->partial);
  state_->hasher = Hasher();
}

void BlobWriter::discard() && {
  ::unlink(state_->partial.c_str());
  state_.reset();
}

Descriptor BlobWriter::commit(std::string_view media_type, std::optional<std::uint64_t> expected_size) && {
  State& state = *state_;
  const Digest digest = state.hasher.digest();
  const std::uint64_t size = offset();
  const auto reject = [&](const std::string& sentence) {
    ::unlink(state.partial.c_str());
    throw Error(ErrorKind::Corrupt, sentence);
  };
  if (expected_size && *expected_size != size)
    reject("blob " + state.expected.value_or(digest).str() + " should have " + std::to_string(*expected_size) +
           " bytes, but has " + std::to_string(size));
  if (state.expected && *state.expected != digest)
    reject("blob " + state.expected->str() + " has the digest " + digest.str());
  const fs::path target = state.root / object_name(digest);
  if (path_exists(target)) {
    ::unlink(state.partial.c_str());
  } else {
    state.markers.mark(object_name(digest));
    check(::rename(state.partial.c_str(), target.c_str()), "publish blob", target);
  }
  state.is_published = true;
  return Descriptor{std::string(media_type), digest, size};
}

BlobStore::BlobStore(const fs::path& root, UnsyncedMarkers markers) : root_(root), markers_(std::move(markers)) {
  make_directories(root_ / "blobs" / "sha256");
  make_directories(root_ / "ingest", 0700);
}

fs::path BlobStore::path(const Digest& digest) const {
  return root_ / object_name(digest);
}

bool BlobStore::has(const Digest& digest) const {
  return path_exists(path(digest));
}

std::optional<std::uint64_t> BlobStore::find_size(const Digest& digest) const {
  struct stat info = {};
  const fs::path file = path(digest);
  if (::stat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::nullopt;
    throw_errno(errno, "stat", file.native());
  }
  return static_cast<std::uint64_t>(info.st_size);
}

std::optional<Fd> BlobStore::find(const Digest& digest) const {
  return find_at(AT_FDCWD, path(digest), O_RDONLY);
}

Fd BlobStore::open(const Digest& digest) const {
  std::optional<Fd> file = find(digest);
  if (!file) throw_not_found(digest);
  return std::move(*file);
}

std::string BlobStore::read(const Digest& digest, std::uint64_t limit) const {
  std::string content = read_fd(open(digest).get(), limit, digest.str());
  if (Digest::of(content) != digest) throw Error(ErrorKind::Corrupt, "blob " + digest.str() + " is damaged on disk");
  return content;
}

bool BlobStore::is_whole(const Digest& digest) const {
  const std::optional<Fd> file = find(digest);
  if (!file) return false;
  Hasher hasher;
  FdSource source(file->get());
  copy_all(source, hasher);
  return hasher.digest() == digest;
}

Descriptor BlobStore::put(std::string_view media_type, std::string_view bytes) const {
  const Descriptor descriptor = describe(media_type, bytes);
  if (has(descriptor.digest)) return descriptor;
  BlobWriter writer = ingest();
  writer.write(as_bytes(bytes));
  return std::move(writer).commit(media_type);
}

std::optional<BlobWriter> BlobStore::ingest(const Digest& expected) const {
  const fs::path partial = root_ / "ingest" / expected.hex();
  for (;;) {
    if (has(expected)) return std::nullopt;
    Fd file = open_file(partial, O_RDWR | O_CREAT, 0644);
    lock_file(file.get(), partial);
    if (!is_same_file(file.get(), partial)) continue;
    auto state =
        std::make_unique<BlobWriter::State>(BlobWriter::State{root_, markers_, partial, expected, std::move(file)});
    if (has(expected)) {
      ::unlink(partial.c_str());
      return std::nullopt;
    }
    std::vector<std::byte> buffer(kBufferSize);
    FdSource source(state->file.get());
    while (const std::size_t count = source.read(buffer)) state->hasher.write(Bytes(buffer).first(count));
    return BlobWriter(std::move(state));
  }
}

BlobWriter BlobStore::ingest() const {
  const fs::path partial = root_ / "ingest" / ("new-" + random_hex(16));
  Fd file = open_file(partial, O_RDWR | O_CREAT | O_EXCL, 0644);
  lock_file(file.get(), partial);
  return BlobWriter(
      std::make_unique<BlobWriter::State>(BlobWriter::State{root_, markers_, partial, std::nullopt, std::move(file)}));
}

std::vector<Digest> BlobStore::list() const {
  std::vector<Digest> result;
  for (const std::string& name : list_directory(root_ / "blobs" / "sha256")) {
    if (const auto digest = Digest::from_hex(name)) result.push_back(*digest);
  }
  return result;
}

void BlobStore::remove(const Digest& digest, const fs::path& trash) const {
  move_to_trash(path(digest), trash);
}

std::uint64_t BlobStore::drop_idle_partials() const {
  std::uint64_t bytes = 0;
  for (const std::string& name : list_directory(root_ / "ingest")) {
    const fs::path partial = root_ / "ingest" / name;
    const std::optional<Fd> file = find_at(AT_FDCWD, partial, O_RDONLY);
    if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) continue;
    struct stat info = {};
    check(::fstat(file->get(), &info), "stat", partial);
    if (::unlink(partial.c_str()) == 0) bytes += static_cast<std::uint64_t>(info.st_size);
  }
  return bytes;
}

}  // namespace ctr
