// The parts of the init child, shared by its files only. Everything here runs between clone and exec, perhaps in the
// copy of a process with many threads: raw system calls, the stack, and the plan. No allocation, no locks, no stdio, no
// exceptions; scripts/check_init_symbols.sh holds the objects against a list of permitted symbols.
#pragma once

#include <cerrno>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <type_traits>
#include <unistd.h>

#include "runtime/init_plan.h"

namespace ctr::init {

template <typename T>
long word(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
    return 0;
  } else {
    return static_cast<long>(value);
  }
}

/// A system call; its result, or -errno.
template <typename... Arguments>
long call(long number, Arguments... arguments) {
  const long result = ::syscall(number, word(arguments)...);
  return result == -1 ? -static_cast<long>(errno) : result;
}

/// What the functions below share: the plan, and where failures go.
struct Child {
  const InitPlan& plan;
  /// Whoever opened the gate, when that is another process than our parent: it reads failures there.
  int report_fd = -1;
};

/// Reports the failure and exits.
[[noreturn]] void fail(const Child& child, InitStep step, long error, std::size_t index = 0);
inline void require(const Child& child, long result, InitStep step, std::size_t index = 0) {
  if (result < 0) fail(child, step, -result, index);
}

void send_message(const Child& child, const InitMessage& message);
void send_descriptor(const Child& child, InitMessageType type, int fd, InitStep step);
void wait_for_parent(const Child& child, char expected, InitStep step);

std::size_t length(const char* text);
/// Whether `text` starts with the `count` bytes of `prefix`.
bool starts_with(const char* text, const char* prefix, std::size_t count);
/// "/proc/self/fd/<fd>" in `buffer`, which holds kFdPathSize bytes.
inline constexpr std::size_t kFdPathSize = 32;
inline constexpr std::size_t kPathSize = 4096;
const char* fd_path(int fd, char* buffer);

/// openat2 with the root as "/", so that neither links nor ".." lead out. A descriptor or -errno.
long open_inside(int root, const char* path, int flags, unsigned long resolve = 0, unsigned mode = 0);
enum class Leaf { Directory, File };
/// Opens `path` inside the root (O_PATH), making directories and the last component as needed. Links are followed
/// inside the root, dangling ones too. A descriptor or -errno.
long make_inside(int root, const char* path, Leaf leaf, mode_t mode);
long stat_fd(int fd, struct statx* result);
bool is_directory(const struct statx& status);
/// Whether a lookup failed because there is nothing of that name.
bool is_absent(long error);
/// Moves a detached mount onto the file or directory of a descriptor.
long attach(long tree, long target);

/// Writes the text to a file of the host's /proc, before the root changes. 0 or -errno.
long write_file(const PlannedWrite& file);

/// Attaches the root file system and fills it: mounts, devices, terminal, masks. Returns its descriptor.
int set_up_root(Child& child);
/// Makes `root` the root directory and lets go of the host's.
void enter_root(const Child& child, int root);
void make_devices(const Child& child, int root);
/// Makes a pair in the container's own devpts, sends the master to the parent, and puts the slave on 0, 1, 2.
void open_terminal(const Child& child, int root);

/// Everything about the process itself, in the order that privileges allow; then waits at the gate and executes.
[[noreturn]] void run_process(Child& child);

}  // namespace ctr::init
