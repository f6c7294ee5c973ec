#include "image/pins.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr std::string_view kSnapshotPrefix = "snapshot:";
constexpr std::uint64_t kPinLimit = 256 * kMiB;

void add_line(const std::string& line, PinnedObjects& objects) {
  if (line.starts_with(kSnapshotPrefix)) {
    objects.snapshots.insert(line.substr(kSnapshotPrefix.size()));
  } else if (const auto digest = Digest::try_parse(line)) {
    objects.digests.insert(*digest);
  }
}

}  // namespace

Fd create_pin_file(const fs::path& directory, fs::path& path) {
  make_directories(directory, 0700);
  // Locked under another name first: a reader must not take a file that is not locked yet for a dead command's.
  const std::string name = std::to_string(::getpid()) + "-" + random_hex(8);
  const fs::path hidden = directory / ("." + name);
  Fd file = open_file(hidden, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0600);
  check(::flock(file.get(), LOCK_EX | LOCK_NB), "lock", hidden);
  path = directory / name;
  check(::rename(hidden.c_str(), path.c_str()), "create", path);
  return file;
}

PinnedObjects read_pins(const fs::path& directory) {
  PinnedObjects objects;
  for (const std::string& name : list_directory(directory)) {
    if (name.starts_with('.')) continue;
    const fs::path path = directory / name;
    const std::optional<Fd> file = find_at(AT_FDCWD, path, O_RDONLY);
    if (!file) continue;
    if (::flock(file->get(), LOCK_EX | LOCK_NB) == 0) {
      ::unlink(path.c_str());
      continue;
    }
    if (errno != EWOULDBLOCK) throw_errno(errno, "lock", path.native());
    for (const std::string& line : split(read_fd(file->get(), kPinLimit, path.native()), '\n')) add_line(line, objects);
  }
  return objects;
}

}  // namespace ctr
