#include "builder/emulators.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"

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

bool is_registered_on_host(const Emulated& emulated) {
  const auto entry = find_file("/proc/sys/fs/binfmt_misc/qemu-" + std::string(emulated.qemu), 64 * 1024);
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

}  // namespace

/// A user namespace with every id mapped to itself and a binfmt_misc of its own, held by a process that does nothing.
class Emulators::Namespace {
 public:
  Namespace() : directory_(TempDirectory::default_parent(), "ctr-binfmt") { start(); }
  ~Namespace() {
    if (holder_ <= 0) return;
    ::kill(holder_, SIGKILL);
    ::waitpid(holder_, nullptr, 0);
  }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  fs::path path() const { return "/proc/" + std::to_string(holder_) + "/ns/user"; }

 private:
  void start() {
    const std::string mount_point = directory_.path().native();
    std::vector<std::pair<const char*, std::string>> entries;
    for (const Emulated& each : kEmulated)
      if (const auto emulator = find_emulator(each); emulator && each.architecture != host_platform().architecture)
        entries.emplace_back(each.qemu, registration(each, *emulator));
    Pipe ready = make_pipe();
    Pipe go = make_pipe();
    holder_ = ctr::check(::fork(), "fork");
    if (holder_ == 0) hold(ready, go, mount_point.c_str(), entries);
    ready.write.reset();
    go.read.reset();
    expect(ready.read.get(), 'u', "make a user namespace");
    const std::string process = "/proc/" + std::to_string(holder_);
    write_control_file(process + "/uid_map", "0 0 4294967295\n");
    write_control_file(process + "/gid_map", "0 0 4294967295\n");
    write_all(go.write.get(), as_bytes("g"));
    expect(ready.read.get(), 'r', "register qemu-user in a binfmt_misc of a user namespace (needs Linux 6.7)");
  }

  static void expect(int fd, char wanted, const std::string& what) {
    char answer[2] = {};
    if (::read(fd, answer, 1) != 1 || answer[0] != wanted)
      throw Error(ErrorKind::Unavailable, "could not " + what);
  }

  /// The child: only system calls.
  [[noreturn]] static void hold(const Pipe& ready, const Pipe& go, const char* mount_point,
                                const std::vector<std::pair<const char*, std::string>>& entries) {
    char byte = 'u';
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(1);
    if (::write(ready.write.get(), &byte, 1) != 1 || ::read(go.read.get(), &byte, 1) != 1) ::_exit(1);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(1);
    if (::mount("binfmt_misc", mount_point, "binfmt_misc", 0, nullptr) != 0) ::_exit(1);
    const int directory = ::open(mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const auto& [name, text] : entries) {
      const int file = ::openat(directory, "register", O_WRONLY | O_CLOEXEC);
      if (file < 0 || ::write(file, text.data(), text.size()) < 0) ::_exit(1);
      ::close(file);
    }
    byte = 'r';
    if (::write(ready.write.get(), &byte, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }

  TempDirectory directory_;
  pid_t holder_ = -1;
};

Emulators::Emulators() = default;
Emulators::~Emulators() = default;

void Emulators::check(const Platform& platform) {
  if (runs_natively(platform)) return;
  const std::string sentence = "RUN steps for " + platform.str() + " can't run on this machine (" + host_platform().str() + "): ";
  if (platform.os != "linux") throw Error(ErrorKind::Unavailable, sentence + "programs for " + platform.os + " don't run on Linux");
  const Emulated* emulated = find_emulated(platform.architecture);
  if (emulated == nullptr) throw Error(ErrorKind::Unavailable, sentence + "there is no emulator for them");
  if (is_registered_on_host(*emulated) || find_emulator(*emulated)) return;
  throw Error(ErrorKind::Unavailable,
              sentence + "qemu-" + emulated->qemu + " was not found; install the package qemu-user-static");
}

std::optional<fs::path> Emulators::user_namespace(const Platform& platform) {
  if (runs_natively(platform)) return std::nullopt;
  check(platform);
  if (is_registered_on_host(*find_emulated(platform.architecture))) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (!namespace_) namespace_ = std::make_unique<Namespace>();
  return namespace_->path();
}

}  // namespace ctr
