#include "image/store.h"

#include <cerrno>
#include <linux/magic.h>
#include <mutex>
#include <set>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/lock.h"
#include "base/text.h"
#include "image/config.h"
#include "image/pins.h"

namespace ctr {

namespace {

// Locks and renames of NFS keep no promise that the store relies on.
void refuse_nfs(const fs::path& root) {
  struct statfs info = {};
  check(::statfs(root.c_str(), &info), "stat file system of", root);
  if (info.f_type == NFS_SUPER_MAGIC)
    throw Error(ErrorKind::Invalid, "the store " + root.native() +
                                        " is on NFS, where overlay file systems don't work: set " +
                                        "CTR_ROOT to a directory on a local disk");
}

void check_format(const fs::path& root) {
  const fs::path path = root / "version";
  const std::optional<std::string> text = find_file(path, 1000);
  if (!text) return write_file_atomic(path, std::to_string(kStoreFormat) + "\n", Durability::Synced);
  const std::optional<std::int64_t> format = parse_int(trim(*text));
  if (!format || *format < 1)
    throw Error(ErrorKind::Corrupt, path.native() + " should hold the store's format number, but holds \"" +
                                        std::string(trim(*text)) + "\"");
  if (*format > kStoreFormat)
    throw Error(ErrorKind::Invalid, "the store " + root.native() + " has format " + std::to_string(*format) +
                                        ", made by a newer ctr; this one (" + CTR_VERSION + ") knows formats up to " +
                                        std::to_string(kStoreFormat));
}

fs::path prepare_root(const fs::path& root) {
  const fs::path absolute = fs::absolute(root).lexically_normal();
  make_directories(absolute, 0700);
  refuse_nfs(absolute);
  check_format(absolute);
  return absolute;
}

}  // namespace

struct Pin::State {
  fs::path store_lock;
  fs::path path;
  Fd file;
  std::mutex mutex = {};
};

Pin::Pin(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pin::Pin(Pin&&) noexcept = default;
Pin& Pin::operator=(Pin&&) noexcept = default;
Pin::~Pin() {
  if (state_) ::unlink(state_->path.c_str());
}

void Pin::add_lines(const std::string& lines) {
  if (lines.empty()) return;
  const std::lock_guard guard(state_->mutex);
  const FileLock lock = FileLock::acquire(state_->store_lock, LockMode::Shared);
  write_all(state_->file.get(), as_bytes(lines), state_->path.native());
}

void Pin::add(const Digest& digest) {
  add_lines(digest.str() + "\n");
}

void Pin::add(const std::vector<Digest>& digests) {
  std::string lines;
  for (const Digest& digest : digests) lines += digest.str() + "\n";
  add_lines(lines);
}

void Pin::add_snapshot(std::string_view id) {
  add_lines("snapshot:" + std::string(id) + "\n");
}

void Pin::add_stack(const std::vector<Digest>& diff_ids) {
  std::string lines;
  for (const Digest& digest : diff_ids) lines += digest.str() + "\n";
  if (!diff_ids.empty()) lines += chain_ids(diff_ids).back().str() + "\n";
  add_lines(lines);
}

Store::Store(const fs::path& root, const fs::path& run, LayerFormat format)
    : root_(prepare_root(root)),
      run_(run),
      markers_(root_, current_boot_id()),
      blobs_(root_, markers_),
      images_(root_),
      layers_(root_, run_, markers_, format),
      snapshots_(root_) {
  if (markers_.has_lost()) settle_lost();
}

// After a reboot: layers that nobody synced are unpacked again from their blobs, which are read before the lock is
// taken.
void Store::settle_lost() const {
  constexpr std::string_view kBlobs = "blobs/sha256/";
  std::set<std::string> whole;
  for (const std::string& object : markers_.find_lost()) {
    if (!object.starts_with(kBlobs)) continue;
    const auto digest = Digest::from_hex(std::string_view(object).substr(kBlobs.size()));
    if (digest && blobs_.is_whole(*digest)) whole.insert(object);
  }
  const FileLock lock = FileLock::acquire(lock_path(), LockMode::Exclusive);
  markers_.settle_lost(whole, trash_path());
}

Pin Store::pin() const {
  auto state = std::make_unique<Pin::State>();
  state->store_lock = lock_path();
  state->file = create_pin_file(pins_path(), state->path);
  return Pin(std::move(state));
}

}  // namespace ctr
