#include "engine/volume_label.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr const char* kLabelAttribute = "security.selinux";
constexpr int kDeepestLabelled = 1000;

/// What no other program could use any more.
bool is_needed_by_system(const fs::path& path) {
  static constexpr std::array kPlaces = {"/",     "/bin",  "/boot", "/dev",  "/etc",  "/etc/passwd", "/etc/pki", "/etc/shadow",
                                         "/home", "/lib",  "/lib64", "/media", "/opt", "/proc",       "/root",    "/run",
                                         "/sbin", "/srv",  "/sys",  "/system", "/tmp", "/usr",        "/var",     "/var/lib",
                                         "/var/log"};
  return std::find(kPlaces.begin(), kPlaces.end(), path.native()) != kPlaces.end();
}

/// Through the descriptor's path: O_PATH descriptors have no fsetxattr, and a link's own label is not wanted.
void set_label(const Fd& file, const std::string& label, const std::string& name) {
  if (::setxattr(fd_path(file.get()).c_str(), kLabelAttribute, label.data(), label.size() + 1, 0) == 0) return;
  if (errno != EOPNOTSUPP) throw_errno(errno, "relabel", name);
}

void relabel(const Fd& file, const std::string& label, const std::string& name, int depth) {
  if (depth > kDeepestLabelled) throw Error(ErrorKind::Invalid, "relabel " + name + ": directories are nested too deeply");
  struct stat info {};
  check(::fstat(file.get(), &info), "read", name);
  if (S_ISLNK(info.st_mode)) return;
  set_label(file, label, name);
  if (!S_ISDIR(info.st_mode)) return;
  const Fd directory = open_at(file.get(), ".", O_RDONLY | O_DIRECTORY);
  for (const std::string& entry : list_directory_fd(directory.get())) {
    const std::optional<Fd> child = find_at(directory.get(), entry, O_PATH | O_NOFOLLOW);
    if (child) relabel(*child, label, name + "/" + entry, depth + 1);  // else it went meanwhile
  }
}

}  // namespace

std::string volume_label(const std::string& mode, const std::string& label) {
  const std::vector<std::string> words = split(mode, ',');
  const auto has_word = [&](const char* word) { return std::find(words.begin(), words.end(), word) != words.end(); };
  if (label.empty() || (!has_word("z") && !has_word("Z"))) return {};
  if (has_word("Z")) return label;
  std::vector<std::string> parts = split_at_most(label, ':', 4);
  parts.resize(4);
  parts[3] = "s0";
  return join(parts, ":");
}

void relabel_tree(const fs::path& source, const std::string& label) {
  const Fd found = open_file(source, O_PATH);
  if (is_needed_by_system(find_link(fd_path(found.get())).value_or(""))) {
    throw Error(ErrorKind::Invalid, "SELinux relabeling of " + source.native() + " is not allowed");
  }
  relabel(found, label, source.native(), 0);
}

bool has_selinux() { return path_exists("/sys/fs/selinux/enforce"); }

}  // namespace ctr
