#include "runtime/protected_program.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mount.h"
#include "base/process.h"
#include "base/text.h"

extern "C" char** environ;

namespace ctr {

namespace {

constexpr const char* kOwnProgram = "/proc/self/exe";

bool is_read_only(int fd) {
  struct statvfs status {};
  return ::fstatvfs(fd, &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
}

bool is_sealed(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

Fd read_only_mount(const fs::path& path) {
  Fd tree = clone_mount(AT_FDCWD, path, false);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  check(::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes), "protect", path);
  return tree;
}

Fd sealed_copy(const fs::path& path) {
  const Fd source = open_file(path, O_RDONLY);
  struct stat status {};
  check(::fstat(source.get(), &status), "read", path);
  Fd copy(check(static_cast<int>(::syscall(SYS_memfd_create, "ctr", MFD_CLOEXEC | MFD_ALLOW_SEALING)), "copy", path));
  for (off_t left = status.st_size; left > 0;) {
    const ssize_t sent =
        check(::sendfile(copy.get(), source.get(), nullptr, static_cast<std::size_t>(left)), "copy", path);
    if (sent == 0) break;
    left -= sent;
  }
  check(::fchmod(copy.get(), 0700), "copy", path);
  check(::fcntl(copy.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), "seal", path);
  return copy;
}

}  // namespace

Fd open_protected_program(const fs::path& path) {
  try {
    return read_only_mount(path);
  } catch (const Error&) {
    // No right to mount (rootless), or a kernel before 5.12.
    return sealed_copy(path);
  }
}

void run_from_protected_program(const fs::path& other) {
  const Fd own = open_file(kOwnProgram, O_RDONLY);
  if (is_read_only(own.get()) || is_sealed(own.get())) {
    // Executed by descriptor, it would be shown under the descriptor's number (before Linux 6.14).
    ::prctl(PR_SET_NAME, program_invocation_short_name, 0, 0, 0);
    return;
  }
  // A file that we may not write is none that our containers may: rootless, with a program that root installed.
  if (::faccessat(AT_FDCWD, kOwnProgram, W_OK, AT_EACCESS) != 0) return;
  const Fd program = open_protected_program(other.empty() ? kOwnProgram : other);
  const std::string text = read_file("/proc/self/cmdline", 16 * kMiB);
  std::vector<std::string> arguments = split(text, '\0');
  if (!arguments.empty()) arguments.pop_back();
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string path = other.empty() ? find_link(kOwnProgram).value_or("") : other.native();
  ::setenv(kOwnProgramVariable, path.c_str(), 1);
  ::syscall(SYS_execveat, program.get(), "", argv.data(), environ, AT_EMPTY_PATH);
  throw_errno(errno, "execute this program from a protected copy");
}

}  // namespace ctr
