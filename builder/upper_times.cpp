#include "builder/upper_times.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "base/rooted_path.h"

namespace ctr {

namespace {

class TimeSetter {
 public:
  TimeSetter(std::int64_t epoch, Time started)
      : epoch_(epoch), started_(std::chrono::floor<std::chrono::seconds>(started).time_since_epoch().count()) {}

  void set(int parent, const std::string& name) {
    struct ::stat info = {};
    check(::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW), "stat", name);
    if (S_ISDIR(info.st_mode)) {
      const Fd directory = open_beneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      for (const std::string& each : list_directory_fd(directory.get())) set(directory.get(), each);
    }
    const std::int64_t time = info.st_mtim.tv_sec;
    if (time <= epoch_ && time < started_) return;
    const struct ::timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = epoch_, .tv_nsec = 0}};
    check(::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW), "set the time of", name);
  }

 private:
  std::int64_t epoch_;
  std::int64_t started_;
};

}  // namespace

void set_upper_times(const fs::path& upper, std::int64_t epoch, Time started) {
  const Fd parent = open_directory(upper.parent_path());
  TimeSetter(epoch, started).set(parent.get(), upper.filename().native());
}

}  // namespace ctr
