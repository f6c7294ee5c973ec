#include "image/trash.h"

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/random.h"

namespace ctr {

bool move_to_trash(const fs::path& path, const fs::path& trash) {
  const fs::path target = trash / (path.filename().native().substr(0, 100) + "." + random_hex(8));
  if (::rename(path.c_str(), target.c_str()) == 0) return true;
  if (errno == ENOENT && path_exists(trash)) return false;
  if (errno != ENOENT) throw_errno(errno, "move to trash", path.native());
  make_directories(trash, 0700);
  if (::rename(path.c_str(), target.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw_errno(errno, "move to trash", path.native());
}

}  // namespace ctr
