#include "builder/git_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr std::uint64_t kOutputLimit = 4 * kMiB;

std::string base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j)
      result += i + j > text.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63];
  }
  return result;
}

std::string host_of(const std::string& remote) {
  const std::size_t scheme = remote.find("://");
  if (scheme == std::string::npos) return {};
  const std::string rest = remote.substr(scheme + 3);
  const std::string authority = rest.substr(0, rest.find('/'));
  return authority.substr(authority.rfind('@') + 1);
}

/// Runs git in one repository.
class Git {
 public:
  Git(fs::path directory, std::vector<std::string> options)
      : directory_(std::move(directory)), options_(std::move(options)) {
    if (!find_program("git"))
      throw Error(ErrorKind::Unavailable, "git is needed for this and not installed (Debian's package is git)");
  }

  std::string run(const std::vector<std::string>& arguments) const {
    const CommandOutput output = try_run(arguments);
    if (output.status.success()) return std::string(trim(output.standard_out));
    const std::string message(trim(output.standard_error));
    const bool is_absent = message.find("couldn't find remote ref") != std::string::npos;
    throw Error(is_absent ? ErrorKind::NotFound : ErrorKind::Unavailable,
                "git " + arguments.front() + " failed: " + replace_all(message, "\n", "; "));
  }

  CommandOutput try_run(const std::vector<std::string>& arguments) const {
    Command command;
    command.argv = {"git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never",
                    "-c", "advice.detachedHead=false"};
    command.argv.insert(command.argv.end(), options_.begin(), options_.end());
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.cwd = directory_;
    command.env = environment();
    return run_command(command, {}, kOutputLimit);
  }

 private:
  static std::vector<std::string> environment() {
    std::vector<std::string> result{"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"};
    for (const char* name : {"PATH", "HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "HTTP_PROXY",
                             "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"})
      if (const char* value = ::getenv(name)) result.push_back(std::string(name) + "=" + value);
    return result;
  }

  fs::path directory_;
  std::vector<std::string> options_;
};

std::vector<std::string> authentication(const std::string& remote, const SecretLookup& secret) {
  const std::string host = host_of(remote);
  if (host.empty() || !secret || !remote.starts_with("http")) return {};
  for (const std::string& suffix : {"." + host, std::string()}) {
    std::string header;
    if (const auto value = secret("GIT_AUTH_HEADER" + suffix)) header = *value;
    if (const auto token = secret("GIT_AUTH_TOKEN" + suffix); header.empty() && token)
      header = "basic " + base64("x-access-token:" + std::string(trim(*token)));
    if (!header.empty())
      return {"-c", "http." + remote.substr(0, remote.find("://") + 3) + host + "/.extraheader=Authorization: " +
                        std::string(trim(header))};
  }
  return {};
}

void fetch(const Git& git, const GitOp& op) {
  const std::string reference = op.reference.empty() ? "HEAD" : op.reference;
  const CommandOutput shallow = git.try_run({"fetch", "-q", "--depth=1", "--no-tags", "--", op.remote, reference});
  if (shallow.status.success()) return;
  // Some servers don't give a commit by its name: fetch all and look for it.
  const bool is_commit = reference.size() >= 7 && reference.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_commit) git.run({"fetch", "-q", "--depth=1", "--no-tags", "--", op.remote, reference});
  git.run({"fetch", "-q", "--tags", "--", op.remote, "+refs/heads/*:refs/remotes/origin/*"});
  git.run({"update-ref", "FETCH_HEAD", reference + "^{commit}"});
}

void check_commit(const Git& git, const GitOp& op) {
  if (op.checksum.empty()) return;
  const std::string commit = git.run({"rev-parse", "FETCH_HEAD^{commit}"});
  const std::string object = git.run({"rev-parse", "FETCH_HEAD"});
  if (op.checksum.size() < 7)
    throw Error(ErrorKind::Invalid, "invalid checksum " + op.checksum + " for " + op.remote + ": a commit has 7 digits or more");
  if (!commit.starts_with(op.checksum) && !object.starts_with(op.checksum))
    throw Error(ErrorKind::Corrupt, "expected checksum to match " + op.checksum + ", got " + commit);
}

}  // namespace

fs::path checkout_git(const GitOp& op, const fs::path& directory, const SecretLookup& secret) {
  if (op.remote.starts_with('-') || op.reference.starts_with('-'))
    throw Error(ErrorKind::Invalid, "invalid git reference: " + op.remote + "#" + op.reference);
  const Git git(directory, authentication(op.remote, secret));
  git.run({"init", "-q"});
  fetch(git, op);
  check_commit(git, op);
  git.run({"checkout", "-q", "FETCH_HEAD"});
  if (op.submodules && exists(directory / ".gitmodules"))
    git.run({"submodule", "update", "-q", "--init", "--recursive", "--depth=1"});
  if (op.commit_times) {
    const std::string time = git.run({"log", "-1", "--format=%ct", "FETCH_HEAD"});
    const ::timespec stamp{.tv_sec = parse_int(time).value_or(0), .tv_nsec = 0};
    const ::timespec times[2] = {stamp, stamp};
    for (const auto& entry : fs::recursive_directory_iterator(directory))
      ::utimensat(-1, entry.path().c_str(), times, AT_SYMLINK_NOFOLLOW);
  }
  if (!op.keep_git_dir) remove_tree(directory / ".git");
  const fs::path tree = op.subdirectory.empty() ? directory : directory / op.subdirectory;
  if (!fs::is_directory(fs::symlink_status(tree)))
    throw Error(ErrorKind::NotFound, "subdirectory " + op.subdirectory + " not found in " + op.remote);
  return tree;
}

std::int64_t commit_time_of_clean_tree(const fs::path& directory) {
  const Git git(directory, {});
  if (!git.run({"status", "--porcelain", "--", "."}).empty())
    throw Error(ErrorKind::Invalid, "SOURCE_DATE_EPOCH=git needs a clean tree: " + directory.native() + " has changes");
  const auto time = parse_int(git.run({"log", "-1", "--format=%ct"}));
  if (!time) throw Error(ErrorKind::Invalid, "SOURCE_DATE_EPOCH=git: " + directory.native() + " has no commit");
  return *time;
}

}  // namespace ctr
