#include "base/mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cerrno>

#include "base/error.h"
#include "base/text.h"

// glibc 2.36 has the wrappers; the numbers of its headers are the kernel's.

namespace ctr {

namespace {

/// What the kernel wrote about a failure into the context, such as "overlay: maximum lower layers exceeded".
std::string context_log(int context) {
  char buffer[512];
  const ssize_t length = ::read(context, buffer, sizeof buffer);
  if (length <= 2) return {};
  return ": " + std::string(trim(std::string_view(buffer + 2, static_cast<std::size_t>(length) - 2)));
}

[[noreturn]] void fail(int error, int context, const std::string& what) {
  const std::string log = context_log(context);
  try {
    throw_errno(error, what);
  } catch (const Error& reason) {
    throw Error(reason.kind(), reason.what() + log, error);
  }
}

void set_option(int context, const std::string& type, const std::string& key, const char* value) {
  const unsigned command = value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  if (::fsconfig(context, command, key.c_str(), value, 0) != 0) {
    fail(errno, context, "mount " + type + " with " + key + (value == nullptr ? "" : std::string("=") + value));
  }
}

Fd finish(const Fd& context, const std::string& type, std::uint64_t attributes) {
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    fail(errno, context.get(), "mount " + type);
  }
  return Fd(check(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)), "mount", type));
}

Fd open_context(const std::string& type) { return Fd(check(::fsopen(type.c_str(), FSOPEN_CLOEXEC), "mount", type)); }

/// The options that make foreign overlay marks in a layer powerless.
constexpr const char* kPlainOptions[][2] = {{"redirect_dir", "off"}, {"metacopy", "off"}, {"index", "off"}};

/// Overlay took no parameters one by one before Linux 6.5: anything is accepted there, and refused only when the mount is
/// made. A directory that does not exist tells such a kernel from one that looks at what it is given.
bool accepts_anything(const Fd& context) {
  return ::fsconfig(context.get(), FSCONFIG_SET_STRING, "lowerdir+", "/proc/self/no such directory", 0) == 0;
}

[[noreturn]] void refuse_lowerdir_plus() {
  throw Error(ErrorKind::Unavailable, "this kernel's overlay knows no lowerdir+ (Linux 6.5)", ENOSYS);
}

}  // namespace

Fd mount_overlay_detached(const OverlayMount& overlay) {
  static const bool is_old = accepts_anything(open_context("overlay"));
  if (is_old) refuse_lowerdir_plus();
  const Fd context = open_context("overlay");
  for (const fs::path& lower : overlay.lowers) {
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "lowerdir+", lower.c_str(), 0) == 0) continue;
    if (errno == EINVAL && &lower == &overlay.lowers.front()) {
      refuse_lowerdir_plus();
    }
    fail(errno, context.get(), "mount overlay with lowerdir+=" + lower.native());
  }
  if (!overlay.upper.empty()) {
    set_option(context.get(), "overlay", "upperdir", overlay.upper.c_str());
    set_option(context.get(), "overlay", "workdir", overlay.work.c_str());
    if (overlay.is_volatile) set_option(context.get(), "overlay", "volatile", nullptr);
  }
  if (overlay.is_userxattr) {
    set_option(context.get(), "overlay", "userxattr", nullptr);
  } else {
    for (const auto& option : kPlainOptions) set_option(context.get(), "overlay", option[0], option[1]);
  }
  return finish(context, "overlay", 0);
}

std::string overlay_mount_data(const OverlayMount& overlay) {
  const auto escaped = [](const fs::path& path, bool is_lower) {
    std::string text;
    for (const char c : path.native()) {
      if (c == '\\' || c == ',' || (is_lower && c == ':')) text.push_back('\\');
      text.push_back(c);
    }
    return text;
  };
  std::string data = "lowerdir=";
  for (const fs::path& lower : overlay.lowers) {
    if (&lower != &overlay.lowers.front()) data.push_back(':');
    data.append(escaped(lower, true));
  }
  if (!overlay.upper.empty()) {
    data.append(",upperdir=").append(escaped(overlay.upper, false));
    data.append(",workdir=").append(escaped(overlay.work, false));
    if (overlay.is_volatile) data.append(",volatile");
  }
  if (overlay.is_userxattr) return data.append(",userxattr");
  for (const auto& option : kPlainOptions) data.append(",").append(option[0]).append("=").append(option[1]);
  return data;
}

Fd mount_detached(const std::string& type, const std::vector<std::string>& options, std::uint64_t attributes) {
  const Fd context = open_context(type);
  for (const std::string& option : options) {
    const auto pair = cut(option, '=');
    set_option(context.get(), type, pair ? pair->first : option, pair ? pair->second.c_str() : nullptr);
  }
  return finish(context, type, attributes);
}

Fd clone_mount(int dir, const fs::path& path, bool is_recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  if (is_recursive) flags |= AT_RECURSIVE;
  return Fd(check(::open_tree(dir, path.c_str(), flags), "clone the mount at", path));
}

void attach_mount(int mount, int target) {
  check(::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH), "attach a mount");
}

void attach_mount(int mount, const fs::path& target) {
  check(::move_mount(mount, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH), "attach a mount at", target);
}

bool can_change_mount_trees() {
  // Without attributes it fails in any case, but only an older kernel does not know the call.
  static const bool is_known = ::mount_setattr(-1, "", 0, nullptr, 0) == 0 || errno != ENOSYS;
  return is_known;
}

}  // namespace ctr
