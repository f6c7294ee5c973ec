#include "base/mount_namespace.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <thread>
#include <unistd.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/text.h"

namespace ctr {

namespace {

/// Runs `body` on a thread that shares neither working directory nor root with the others, which joining asks for.
void on_own_thread(const std::function<void()>& body) {
  std::exception_ptr failure;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread([&] {
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  thread.join();
  if (failure) std::rethrow_exception(failure);
}

/// Where the process lives, though the calling thread may be in a namespace of its own.
void in_main_namespace(const std::function<void()>& body) {
  in_mount_namespace(open_file("/proc/self/ns/mnt", O_RDONLY).get(), body);
}

/// A path as /proc/self/mountinfo writes it: blanks as \040 and so on.
std::string unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' && i + 3 < text.size() ? parse_uint(text.substr(i + 1, 3), 8) : std::nullopt;
    result += code ? static_cast<char>(*code) : text[i];
    if (code) i += 3;
  }
  return result;
}

bool is_below(const std::string& path, const std::string& directory) {
  return path == directory || directory == "/" || path.starts_with(directory + "/");
}

void let_go_of_others(const std::vector<fs::path>& needed) {
  const std::string table = read_file("/proc/thread-self/mountinfo");
  std::vector<std::string> others;
  for (const std::string& line : split(table, '\n')) {
    const std::vector<std::string> words = split_words(line);
    if (words.size() < 5) continue;
    const std::string place = unescape(words[4]);
    const bool is_needed = is_below(place, needed.front().native()) ||
                           std::ranges::any_of(needed, [&](const fs::path& path) { return is_below(path.native(), place); });
    if (!is_needed) others.push_back(place);
  }
  // What can't be unmounted (it went already, with what it was below) does no harm.
  for (auto place = others.rbegin(); place != others.rend(); ++place)
    ::umount2(place->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

/// Such a file may only be mounted where nothing propagates, hence the mount of `pin` on itself below it. Whether the
/// kernel took it.
bool mount_pin(int mount_namespace, const fs::path& pin) {
  const Fd file = open_file(pin, O_RDONLY | O_CREAT, 0444);
  check(::mount(pin.c_str(), pin.c_str(), nullptr, MS_BIND, nullptr), "mount", pin);
  check(::mount(nullptr, pin.c_str(), nullptr, MS_PRIVATE, nullptr), "make private", pin);
  if (::mount(fd_path(mount_namespace).c_str(), pin.c_str(), nullptr, MS_BIND, nullptr) == 0) return true;
  if (errno != EINVAL) throw_errno(errno, "pin a mount namespace on", pin.native());
  return false;
}

void unmount_pin(const fs::path& pin) {
  while (::umount2(pin.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) throw_errno(errno, "unmount", pin.native());
}

std::vector<int> usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> result;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return result;  // more than the set can hold
  for (int number = 0; number < CPU_SETSIZE; ++number) {
    if (CPU_ISSET(number, &set)) result.push_back(number);
  }
  return result;
}

/// On that processor, if it is none below zero.
Fd make_namespace(const std::vector<fs::path>& needed, int processor) {
  Fd made;
  on_own_thread([&] {
    if (processor >= 0) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(processor, &set);
      check(::sched_setaffinity(0, sizeof set, &set), "go to a processor");
    }
    check(::unshare(CLONE_NEWNS), "make a mount namespace");
    check(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr), "make mounts stay inside");
    made = open_file("/proc/thread-self/ns/mnt", O_RDONLY);
    let_go_of_others(needed);
  });
  return made;
}

}  // namespace

void in_mount_namespace(int mount_namespace, const std::function<void()>& body) {
  on_own_thread([&] {
    check(::unshare(CLONE_FS), "leave the shared working directory");
    check(::setns(mount_namespace, CLONE_NEWNS), "enter a mount namespace");
    body();
  });
}

// A mount namespace can be mounted only where the number of the namespace is lower than its own. Linux 6.18 hands these
// numbers out in batches to each processor, so one that is made later may have a lower one. On the processor where ours
// was made it has a higher one: try them all.
void create_mount_namespace(const fs::path& pin, const std::vector<fs::path>& needed) {
  in_main_namespace([&] {
    const std::vector<int> processors = usable_processors();
    for (std::size_t tried = 0;; ++tried) {
      const Fd made = make_namespace(needed, tried == 0 ? -1 : processors[tried - 1]);
      unmount_pin(pin);
      if (mount_pin(made.get(), pin)) return;
      if (tried == processors.size())
        throw Error(ErrorKind::Unavailable, "the kernel refuses to mount a mount namespace on " + pin.native(), EINVAL);
    }
  });
}

Fd find_mount_namespace(const fs::path& pin) {
  Fd found;
  const auto look = [&] {
    std::optional<Fd> file = find_at(AT_FDCWD, pin, O_RDONLY);
    struct statfs info = {};
    if (file && ::fstatfs(file->get(), &info) == 0 && info.f_type == NSFS_MAGIC) found = std::move(*file);
  };
  look();
  if (!found && find_link("/proc/self/ns/mnt") != find_link("/proc/thread-self/ns/mnt")) in_main_namespace(look);
  return found;
}

void remove_mount_namespace(const fs::path& pin) {
  in_main_namespace([&] {
    unmount_pin(pin);
    if (::unlink(pin.c_str()) != 0 && errno != ENOENT) throw_errno(errno, "remove", pin.native());
  });
}

}  // namespace ctr
