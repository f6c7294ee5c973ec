#include "builder/emulators.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/mount.h"
#include "base/process.h"
#include "base/text.h"
#include "runtime/spec.h"

namespace ctr {

namespace {

/// How the kernel knows a program of an architecture: the first 20 bytes of its ELF header.
struct Emulated {
  const char* architecture;
  const char* qemu;
  const char* magic;
};

// Class, data and machine of each ELF header; the mask below lets the OS ABI and the object's type (EXEC or DYN) vary.
constexpr Emulated kEmulated[] = {
    {"amd64", "x86_64", R"(\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00)"},
    {"386", "i386", R"(\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00)"},
    {"arm64", "aarch64", R"(\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00)"},
    {"arm", "arm", R"(\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00)"},
    {"riscv64", "riscv64", R"(\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00)"},
    {"ppc64le", "ppc64le", R"(\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00)"},
    {"s390x", "s390x", R"(\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16)"},
    {"mips64le", "mips64el", R"(\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08\x00)"},
    {"loong64", "loongarch64", R"(\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x02\x01)"},
};
constexpr const char* kMaskLittle = R"(\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff)";
constexpr const char* kMaskBig = R"(\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff)";

const Emulated* find_emulated(const std::string& architecture) {
  for (const Emulated& each : kEmulated)
    if (architecture == each.architecture) return &each;
  return nullptr;
}

std::optional<fs::path> find_emulator(const Emulated& emulated) {
  if (auto path = find_program("qemu-" + std::string(emulated.qemu) + "-static")) return path;
  return find_program("qemu-" + std::string(emulated.qemu));
}

constexpr const char* kHostRegistry = "/proc/sys/fs/binfmt_misc";

bool is_registered_on_host(const Emulated& emulated) {
  const auto entry = find_file(fs::path(kHostRegistry) / ("qemu-" + std::string(emulated.qemu)), 64 * 1024);
  // Without "F" the emulator would have to be inside the image.
  return entry && entry->starts_with("enabled") && entry->find("flags:") != std::string::npos &&
         entry->find('F', entry->find("flags:") + 6) != std::string::npos;
}

bool runs_natively(const Platform& platform) {
  if (platform.os != "linux") return false;
  if (platform_score(host_platform(), platform) > 0) return true;
  return host_platform().architecture == "amd64" && platform.architecture == "386";
}

std::string registration(const Emulated& emulated, const fs::path& emulator) {
  const bool is_big = std::string(emulated.qemu) == "s390x";
  return ":qemu-" + std::string(emulated.qemu) + ":M::" + emulated.magic + ":" + (is_big ? kMaskBig : kMaskLittle) + ":" +
         emulator.native() + ":POCF";
}

/// One line for each emulator that is installed.
std::vector<std::string> registrations() {
  std::vector<std::string> result;
  for (const Emulated& each : kEmulated)
    if (const auto emulator = find_emulator(each); emulator && each.architecture != host_platform().architecture)
      result.push_back(registration(each, *emulator));
  return result;
}

/// Every id that this process knows, mapped to itself.
std::string identity_map(const char* file) {
  std::string result;
  for (const std::string& line : split(read_file(file, 64 * 1024), '\n')) {
    const std::vector<std::string> fields = split_words(line);
    if (fields.size() == 3) result += fields[0] + " " + fields[0] + " " + fields[2] + "\n";
  }
  return result;
}

void register_on_host(const Emulated& emulated, const fs::path& emulator) {
  if (!path_exists(fs::path(kHostRegistry) / "register"))
    check(::mount("binfmt_misc", kHostRegistry, "binfmt_misc", 0, nullptr), "mount", kHostRegistry);
  write_control_file(std::string(kHostRegistry) + "/register", registration(emulated, emulator));
}

/// In a child: keeps these two as 0 and 1 and closes all else. Steps of other threads have pipes open, whose ends would
/// never come while this process has them too.
void keep_only(int first, int second) {
  const int first_copy = ::fcntl(first, F_DUPFD, 3);
  const int second_copy = ::fcntl(second, F_DUPFD, 3);
  if (::dup2(first_copy, 0) != 0 || ::dup2(second_copy, 1) != 1 || ::close_range(2, ~0U, 0) != 0) ::_exit(1);
}

/// The child: only system calls. It tells "u" when it is in its user namespace, waits for its ids, registers, and tells
/// "r" and the number of its descriptor of the mount. It ends with the one who made it, whose thread may go before.
[[noreturn]] void hold_namespace(const Pipe& ready, const Pipe& go, const std::vector<std::string>& entries) {
  char byte = 'u';
  keep_only(ready.write.get(), go.read.get());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(1);
  if (::write(0, &byte, 1) != 1 || ::read(1, &byte, 1) != 1) ::_exit(1);
  const int context = ::fsopen("binfmt_misc", FSOPEN_CLOEXEC);
  if (context < 0 || ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) ::_exit(1);
  const int mount = ::fsmount(context, FSMOUNT_CLOEXEC, 0);
  if (mount < 0) ::_exit(1);
  for (const std::string& text : entries) {
    const int file = ::openat(mount, "register", O_WRONLY | O_CLOEXEC);
    if (file < 0 || ::write(file, text.data(), text.size()) < 0) ::_exit(1);
    ::close(file);
  }
  char answer[1 + sizeof mount] = {'r'};
  std::memcpy(answer + 1, &mount, sizeof mount);
  if (::write(0, answer, sizeof answer) != sizeof answer) ::_exit(1);
  while (::read(1, &byte, 1) < 0 && errno == EINTR) {
  }
  ::_exit(0);
}

void expect(int fd, char wanted, const std::string& what) {
  char answer = 0;
  if (::read(fd, &answer, 1) != 1 || answer != wanted) throw Error(ErrorKind::Unavailable, "could not " + what);
}

/// A descriptor of another process, as one's own.
Fd take_descriptor(pid_t process, int number) {
  const Fd pidfd(static_cast<int>(check(::syscall(SYS_pidfd_open, process, 0), "pidfd_open")));
  return Fd(static_cast<int>(check(::syscall(SYS_pidfd_getfd, pidfd.get(), number, 0), "pidfd_getfd")));
}

}  // namespace

EmulatorNamespace::EmulatorNamespace() {
  const std::vector<std::string> entries = registrations();
  Pipe ready = make_pipe();
  Pipe go = make_pipe();
  holder_ = check(::fork(), "fork");
  if (holder_ == 0) hold_namespace(ready, go, entries);
  ready.write.reset();
  go.read.reset();
  expect(ready.read.get(), 'u', "make a user namespace");
  const std::string process = "/proc/" + std::to_string(holder_);
  write_control_file(process + "/uid_map", identity_map("/proc/self/uid_map"));
  write_control_file(process + "/gid_map", identity_map("/proc/self/gid_map"));
  write_all(go.write.get(), as_bytes("g"));
  expect(ready.read.get(), 'r', "register qemu-user in a binfmt_misc of a user namespace (needs Linux 6.7)");
  if (::read(ready.read.get(), &binfmt_, sizeof binfmt_) != sizeof binfmt_)
    throw Error(ErrorKind::Unavailable, "the process that holds the emulators ended");
  lifeline_ = std::move(go.write);
}

EmulatorNamespace::~EmulatorNamespace() {
  if (holder_ <= 0) return;
  ::kill(holder_, SIGKILL);
  ::waitpid(holder_, nullptr, 0);
}

fs::path EmulatorNamespace::path() const { return "/proc/" + std::to_string(holder_) + "/ns/user"; }

fs::path EmulatorNamespace::pin(const fs::path& directory) const {
  make_directories(directory / "binfmt", 0700);
  const fs::path user = directory / "user";
  const Fd place = open_file(user, O_RDONLY | O_CREAT, 0600);
  check(::mount(path().c_str(), user.c_str(), nullptr, MS_BIND, nullptr), "pin the user namespace at", user);
  attach_mount(take_descriptor(holder_, binfmt_).get(), directory / "binfmt");
  return user;
}

void EmulatorNamespace::unpin(const fs::path& directory) noexcept {
  for (const char* name : {"binfmt", "user"}) ::umount2((directory / name).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

Execution execution_of(const Platform& platform) {
  if (runs_natively(platform)) return Execution::Native;
  const std::string sentence =
      "programs for " + platform.str() + " can't run on this machine (" + host_platform().str() + "): ";
  if (platform.os != "linux") throw Error(ErrorKind::Unavailable, sentence + "they are not for Linux");
  const Emulated* emulated = find_emulated(platform.architecture);
  if (emulated == nullptr) throw Error(ErrorKind::Unavailable, sentence + "there is no emulator for them");
  if (is_registered_on_host(*emulated)) return Execution::Registered;
  if (find_emulator(*emulated)) return Execution::Emulated;
  throw Error(ErrorKind::Unavailable,
              sentence + "qemu-" + emulated->qemu + " was not found; install the package qemu-user-static");
}

void show_outer_sysfs(Spec& spec) {
  const NamespaceSpec* network = find_namespace(spec, NamespaceType::Network);
  if (network != nullptr && network->path.empty()) return;
  for (MountSpec& mount : spec.mounts) {
    if (mount.destination != "/sys" || mount.type != "sysfs") continue;
    const bool is_writable = std::find(mount.options.begin(), mount.options.end(), "ro") == mount.options.end();
    mount.type = "bind";
    mount.source = "/sys";
    mount.options = {"rbind", "nosuid", "noexec", "nodev", is_writable ? "rw" : "ro"};
  }
}

void enter_emulation(Spec& spec, const fs::path& user_namespace) {
  if (find_namespace(spec, NamespaceType::User) != nullptr)
    throw Error(ErrorKind::Unavailable, "programs of another architecture can't run in a user namespace of their own here");
  show_outer_sysfs(spec);
  spec.linux.namespaces.push_back({NamespaceType::User, user_namespace});
}

namespace {

/// Makes the namespace, or registers on the host where the kernel has no such thing and it may be done.
std::unique_ptr<EmulatorNamespace> make_namespace(const Platform& platform, HostRegistration registration) {
  try {
    return std::make_unique<EmulatorNamespace>();
  } catch (const Error& error) {
    const Emulated& emulated = *find_emulated(platform.architecture);
    if (registration == HostRegistration::Allowed) {
      register_on_host(emulated, *find_emulator(emulated));
      return nullptr;
    }
    throw Error(ErrorKind::Unavailable,
                std::string(error.what()) + "; \"register-emulators\": true in the configuration lets ctr register it for "
                                            "the whole machine instead");
  }
}

}  // namespace

std::optional<fs::path> Emulators::user_namespace(const Platform& platform) {
  const std::lock_guard lock(mutex_);
  if (execution_of(platform) != Execution::Emulated) return std::nullopt;
  if (!namespace_) namespace_ = make_namespace(platform, registration_);
  if (!namespace_) return std::nullopt;
  return namespace_->path();
}

std::optional<fs::path> pin_emulation(const Platform& platform, HostRegistration registration, const fs::path& directory) {
  if (execution_of(platform) != Execution::Emulated) return std::nullopt;
  const std::unique_ptr<EmulatorNamespace> made = make_namespace(platform, registration);
  if (!made) return std::nullopt;
  return made->pin(directory);
}

}  // namespace ctr
