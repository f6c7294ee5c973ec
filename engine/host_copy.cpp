#include "engine/host_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/path_tar.h"
#include "engine/tar_extractor.h"
#include "image/byte_pipe.h"
#include "image/tar_reader.h"

namespace ctr {

namespace {

/// "dir/." means what is in the directory.
bool names_contents(const std::string& path) { return path == "." || path.ends_with("/."); }

std::string base_of(const std::string& path) {
  const fs::path clean = fs::path(path).lexically_normal();
  const std::string name = clean.filename().native();
  return name.empty() || name == "." ? clean.parent_path().filename().native() : name;
}

/// Gives the entries another first component; an empty one takes it away.
class RenamedEntries final : public EntrySource {
 public:
  RenamedEntries(EntrySource& source, std::string name) : source_(source), name_(std::move(name)) {}

  std::optional<Entry> next() override {
    for (;;) {
      std::optional<Entry> entry = source_.next();
      if (!entry) return entry;
      entry->path = renamed(entry->path);
      if (entry->type == EntryType::HardLink) entry->link = renamed(entry->link);
      if (!entry->path.empty()) return entry;
    }
  }
  std::size_t read(std::span<std::byte> buffer) override { return source_.read(buffer); }
  std::uint64_t skip_hole() override { return source_.skip_hole(); }

 private:
  std::string renamed(const std::string& path) const {
    const std::size_t slash = path.find('/');
    if (slash == std::string::npos) return name_;
    return name_.empty() ? path.substr(slash + 1) : name_ + path.substr(slash);
  }

  EntrySource& source_;
  std::string name_;
};

/// Runs both ends of a tar stream: `write` in a thread of its own, `read` here. The first failure is thrown.
void stream(const std::function<void(ByteSink&)>& write, const std::function<void(ByteSource&)>& read) {
  BytePipe pipe(kMiB);
  std::exception_ptr failure;
  std::thread writer([&] {
    try {
      write(pipe);
      pipe.close();
    } catch (...) {
      failure = std::current_exception();
      pipe.abort();
    }
  });
  std::exception_ptr reading_failure;
  try {
    read(pipe);
  } catch (...) {
    reading_failure = std::current_exception();
  }
  pipe.stop_reading();
  writer.join();
  // A writer that was cut off failed because the reader did.
  if (reading_failure && !failure) std::rethrow_exception(reading_failure);
  if (failure && !reading_failure) std::rethrow_exception(failure);
  if (failure) std::rethrow_exception(failure);
}

struct Placement {
  std::string directory;
  std::string name;  // of the first component; empty: the content alone
};

Placement place_on_host(const std::string& source, bool source_is_directory, const std::string& target) {
  struct stat status = {};
  const bool exists = ::stat(target.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) return {target, names_contents(source) ? "" : base_of(source)};
  if (exists && source_is_directory) throw Error(ErrorKind::Invalid, "cannot copy a directory over the file " + target);
  const fs::path clean = fs::path(without_suffix(target, "/"));
  const fs::path parent = clean.has_parent_path() ? clean.parent_path() : fs::path(".");
  if (!exists && target.ends_with('/') && !source_is_directory) throw Error(ErrorKind::NotFound, "no such directory: " + target);
  if (!fs::is_directory(parent)) throw Error(ErrorKind::NotFound, "no such directory: " + parent.native());
  return {parent.native(), clean.filename().native()};
}

std::optional<PathStat> find_path(Context& context, const std::string& container, const std::string& path) {
  try {
    return stat_container_path(context, container, path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::NotFound || std::string_view(error.what()).starts_with("No such container")) throw;
    return std::nullopt;
  }
}

bool is_container_directory(Context& context, const std::string& container, const std::string& path) {
  const auto found = find_path(context, container, path);
  if (!found) return false;
  if (S_ISLNK(found->mode)) return find_path(context, container, path + "/.").has_value();
  return S_ISDIR(found->mode);
}

Placement place_in_container(Context& context, const std::string& container, const std::string& source,
                             bool source_is_directory, const std::string& target) {
  if (is_container_directory(context, container, target)) return {target, names_contents(source) ? "" : base_of(source)};
  const bool exists = find_path(context, container, target).has_value();
  if (exists && source_is_directory) throw Error(ErrorKind::Invalid, "cannot copy a directory over the file " + target);
  if (!exists && target.ends_with('/') && !source_is_directory) throw Error(ErrorKind::NotFound, "no such directory: " + target);
  const fs::path clean = fs::path("/" + std::string(without_suffix(target, "/"))).lexically_normal();
  return {clean.parent_path().native(), clean.filename().native()};
}

}  // namespace

void copy_out(Context& context, const std::string& container, const std::string& path, const std::string& target,
              FollowLink follow, KeepOwner keep) {
  if (target == "-") {
    FdSink sink(STDOUT_FILENO);
    return copy_from_container(context, container, path, follow, sink);
  }
  const bool is_directory = is_container_directory(context, container, path);
  const Placement place = place_on_host(path, is_directory, target);
  ExtractOptions options;
  if (keep == KeepOwner::No) options.owner = Owner{::geteuid(), ::getegid()};
  const Fd root = open_directory("/");
  const fs::path directory = fs::absolute(place.directory);
  stream([&](ByteSink& sink) { copy_from_container(context, container, path, follow, sink); },
         [&](ByteSource& source) {
           TarReader tar(source, WhiteoutNames::ArePlain);
           RenamedEntries entries(tar, place.name);
           extract_entries(entries, root.get(), directory, options);
         });
}

void copy_in(Context& context, const std::string& source, const std::string& container, const std::string& path,
             FollowLink follow, KeepOwner keep) {
  CopyToOptions options;
  options.keep_owner = keep == KeepOwner::Yes;
  if (source == "-") {
    FdSource tar(STDIN_FILENO);
    return copy_to_container(context, container, path, tar, options);
  }
  const bool follows = follow == FollowLink::Yes || source.ends_with('/') || names_contents(source);
  const Fd file = open_file(source, O_PATH | (follows ? 0 : O_NOFOLLOW));
  struct stat status = {};
  check(::fstat(file.get(), &status), "stat", source);
  const Placement place = place_in_container(context, container, source, S_ISDIR(status.st_mode), path);
  // What comes from outside belongs to the container's root, whoever owns it here.
  const std::optional<Owner> owner = keep == KeepOwner::Yes ? std::nullopt : std::optional(Owner{});
  stream([&](ByteSink& sink) { write_path_tar(file.get(), place.name, owner, sink); },
         [&](ByteSource& tar) { copy_to_container(context, container, place.directory, tar, options); });
}

}  // namespace ctr
