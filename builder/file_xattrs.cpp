#include "builder/file_xattrs.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <cerrno>

#include "base/error.h"
#include "base/rooted_path.h"
#include "image/canonical_tar.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxNames = 64 * 1024;  // XATTR_LIST_MAX
constexpr std::size_t kMaxValue = 64 * 1024;  // XATTR_SIZE_MAX

bool is_absence(int error) { return error == ENOTSUP || error == ENODATA || error == EPERM || error == EACCES; }

}  // namespace

Xattrs read_layer_xattrs(int fd) {
  Xattrs result;
  char small[256];
  ssize_t size = ::flistxattr(fd, small, sizeof small);
  std::string names;
  if (size < 0 && errno == ERANGE) {
    names.resize(kMaxNames);
    size = ::flistxattr(fd, names.data(), names.size());
  } else if (size > 0) {
    names.assign(small, static_cast<std::size_t>(size));
  }
  if (size < 0) {
    if (is_absence(errno)) return result;
    throw_errno(errno, "list extended attributes");
  }
  names.resize(static_cast<std::size_t>(size));
  for (std::size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (!is_canonical_xattr(name)) continue;
    std::string value(kMaxValue, '\0');
    const ssize_t length = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (length < 0) {
      if (is_absence(errno)) continue;
      throw_errno(errno, "read extended attribute", name);
    }
    value.resize(static_cast<std::size_t>(length));
    result.emplace(name, std::move(value));
  }
  return result;
}

Xattrs read_layer_xattrs(int directory, const std::string& path) {
  const Fd fd = open_beneath(directory, path.empty() ? "." : path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return read_layer_xattrs(fd.get());
}

void hash_xattrs(Hasher& hasher, const Xattrs& xattrs) {
  for (const auto& [name, value] : xattrs) {
    hasher.write("xattr " + name + " " + std::to_string(value.size()) + "\n");
    hasher.write(value);
  }
}

}  // namespace ctr
