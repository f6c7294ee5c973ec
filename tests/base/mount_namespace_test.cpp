#include "base/mount_namespace.h"

#include <cstdio>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

namespace ctr {
namespace {

cpu_set_t one_processor(int number) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(number, &set);
  return set;
}

// In a process whose own mount namespace was made on one processor, and which goes on to another.
int pin_from(int first, int second, const cpu_set_t& all, const fs::path& directory) {
  try {
    cpu_set_t set = one_processor(first);
    check(::sched_setaffinity(0, sizeof set, &set), "go to a processor");
    check(::unshare(CLONE_NEWNS), "make a mount namespace");
    check(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr), "make mounts stay inside");
    set = one_processor(second);
    check(::sched_setaffinity(0, sizeof set, &set), "go to a processor");
    check(::sched_setaffinity(0, sizeof all, &all), "go to all processors");
    const fs::path pin = directory / "pin";
    create_mount_namespace(pin, {directory});
    const bool is_found = static_cast<bool>(find_mount_namespace(pin));
    remove_mount_namespace(pin);
    return is_found ? 0 : 1;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

TEST(MountNamespace, IsPinnedWhicheverProcessorMadeTheCallersOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDirectory directory;
  cpu_set_t all;
  CPU_ZERO(&all);
  ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
  for (int first = 0; first < 4; ++first) {
    for (int second = 0; second < 4; ++second) {
      if (!CPU_ISSET(first, &all) || !CPU_ISSET(second, &all)) continue;
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) ::_exit(pin_from(first, second, all, directory.path()));
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0) << first << " " << second;
    }
  }
}

}  // namespace
}  // namespace ctr
