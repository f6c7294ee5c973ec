#include "builder/build_context.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "builder/archive_source.h"
#include "builder/context_spec.h"
#include "builder/dockerfile_parser.h"
#include "builder/git_source.h"
#include "builder/layer_plan.h"
#include "builder/rootfs_view.h"
#include "image/compression.h"
#include "image/layer_store.h"
#include "image/tar_reader.h"

namespace ctr {

namespace {

constexpr std::uint64_t kIgnoreFileLimit = 8 * kMiB;
constexpr std::uint64_t kInputLimit = 16ULL * 1024 * kMiB;
constexpr std::uint64_t kDownloadLimit = 64ULL * 1024 * kMiB;
constexpr std::size_t kSniffBytes = 512;

bool looks_like_tar(std::string_view head) {
  if (detect_compression(as_bytes(head)) != Compression::None) return true;
  if (head.starts_with("BZh") || head.starts_with("\xfd" "7zXZ")) return true;
  return head.size() >= 262 && head.substr(257, 5) == "ustar";
}

/// A stream whose first bytes were read ahead.
class PrependedSource final : public ByteSource {
 public:
  PrependedSource(std::string head, ByteSource& rest) : head_(std::move(head)), rest_(rest) {}
  std::size_t read(std::span<std::byte> buffer) override {
    if (at_ == head_.size()) return read_rest_of_limit(buffer);
    const std::size_t count = std::min(buffer.size(), head_.size() - at_);
    const Bytes bytes = as_bytes(std::string_view(head_).substr(at_, count));
    std::copy(bytes.begin(), bytes.end(), buffer.begin());
    at_ += count;
    return count;
  }

 private:
  std::size_t read_rest_of_limit(std::span<std::byte> buffer) {
    const std::size_t count = rest_.read(buffer);
    taken_ += count;
    if (taken_ > kInputLimit) throw Error(ErrorKind::Invalid, "the build context is larger than 16 GiB");
    return count;
  }

  std::string head_;
  ByteSource& rest_;
  std::size_t at_ = 0;
  std::uint64_t taken_ = 0;
};

std::string read_head(ByteSource& source, std::size_t size) {
  std::string head(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const std::size_t count =
        source.read({reinterpret_cast<std::byte*>(head.data()) + filled, size - filled});
    if (count == 0) break;
    filled += count;
  }
  head.resize(filled);
  return head;
}

std::string read_rest(ByteSource& source, std::uint64_t limit) {
  StringSink sink;
  copy_all(source, sink, limit);
  return std::move(sink).take();
}

GitOp git_op(const GitSource& source) {
  return {.remote = source.remote,
          .reference = source.reference,
          .subdirectory = source.subdirectory,
          .checksum = source.checksum,
          .keep_git_dir = source.keep_git_dir,
          .submodules = source.submodules,
          .commit_times = source.commit_times};
}

/// A download in a file without a name.
class DownloadFile final : public ByteSink {
 public:
  explicit DownloadFile(const fs::path& directory) {
    make_directories(directory);
    fd_ = Fd(check(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "make a temporary file in", directory));
  }
  void write(Bytes bytes) override {
    hasher_.write(bytes);
    write_all(fd_.get(), bytes);
  }
  void rewind() const { check(::lseek(fd_.get(), 0, SEEK_SET), "seek"); }
  int fd() const noexcept { return fd_.get(); }
  const Hasher& hasher() const noexcept { return hasher_; }

 private:
  Fd fd_;
  Hasher hasher_;
};

}  // namespace

BuildContexts::BuildContexts(Store& store, Pin& pin, const BuildRequest& request, const BuildServices& services)
    : store_(store), pin_(pin), request_(request), services_(services), source_(parse_context(request.context)) {}

BuildContexts::~BuildContexts() = default;

// ---- opening ----

std::shared_ptr<const SourceTree> BuildContexts::open_directory_tree(const std::string& path) const {
  struct ::stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) throw Error(ErrorKind::NotFound, "unable to prepare context: path \"" + path + "\" not found");
    throw_errno(errno, "unable to prepare context", path);
  }
  if (!S_ISDIR(info.st_mode))
    throw Error(ErrorKind::Invalid, "unable to prepare context: path \"" + path + "\" is not a directory");
  return std::make_shared<SourceTree>(open_directory(path), path, Owners::Root);
}

std::shared_ptr<const SourceTree> BuildContexts::tree_of_tar(Store& store, Pin& pin, ByteSource& bytes,
                                                             const std::string& name) {
  UnpackedSource plain(bytes);
  TarReader reader(plain, WhiteoutNames::ArePlain);
  const std::unique_ptr<LayerWriter> writer = store.layers().create();
  while (const auto entry = reader.next())
    if (!entry->path.empty()) writer->add(*entry, reader);
  const LayerInfo layer = writer->commit_canonical();
  pin.add(layer.identity.diff_id);
  return std::make_shared<SourceTree>(open_rootfs_view(store, {layer.identity.diff_id}), name, Owners::Root);
}

std::string BuildContexts::read_standard_input() {
  FdSource input(request_.standard_input);
  return read_rest(input, kMaxDockerfileBytes);
}

BuildContexts::Opened BuildContexts::open_input() {
  FdSource input(request_.standard_input);
  const std::string head = read_head(input, kSniffBytes);
  PrependedSource whole(head, input);
  if (looks_like_tar(head)) return {tree_of_tar(store_, pin_, whole, "the tar from standard input"), std::nullopt};
  if (head.empty()) throw Error(ErrorKind::Invalid, "unable to prepare context: standard input is empty");
  return {std::make_shared<SourceTree>(open_rootfs_view(store_, {}), "the empty context", Owners::Root),
          read_rest(whole, kMaxDockerfileBytes)};
}

BuildContexts::Opened BuildContexts::open_url(const std::string& url) {
  if (!services_.fetch_url) throw Error(ErrorKind::Unavailable, "contexts from URLs can't be fetched here");
  DownloadFile file(store_.root() / "ingest");
  services_.fetch_url({url, authorization(url), kDownloadLimit}, file);
  file.rewind();
  FdSource bytes(file.fd());
  const std::string head = read_head(bytes, kSniffBytes);
  PrependedSource whole(head, bytes);
  if (looks_like_tar(head)) return {tree_of_tar(store_, pin_, whole, url), std::nullopt};
  return {std::make_shared<SourceTree>(open_rootfs_view(store_, {}), "the empty context", Owners::Root),
          read_rest(whole, kMaxDockerfileBytes)};
}

std::shared_ptr<const SourceTree> BuildContexts::open_git(const GitSource& source) {
  GitOp op = git_op(source);
  const auto keep = request_.build_args.find("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
  if (keep != request_.build_args.end()) op.keep_git_dir |= parse_bool(keep->second).value_or(false);
  return checkout(op);
}

std::optional<std::string> BuildContexts::find_secret(const std::string& id) const {
  for (const SecretSpec& secret : request_.secrets) {
    if (secret.id != id) continue;
    if (secret.type == SecretSpec::Type::File) return read_file(secret.source, kMiB);
    const char* value = ::getenv(secret.source.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  }
  return std::nullopt;
}

/// The secrets HTTP_AUTH_HEADER_<host> and HTTP_AUTH_TOKEN_<host>.
std::map<std::string, std::string> BuildContexts::authorization(const std::string& url) const {
  const std::size_t scheme = url.find("://");
  const std::string rest = scheme == std::string::npos ? url : url.substr(scheme + 3);
  const std::string authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::string host = authority.substr(authority.rfind('@') + 1);
  if (const auto header = find_secret("HTTP_AUTH_HEADER_" + host)) return {{"Authorization", std::string(trim(*header))}};
  if (const auto token = find_secret("HTTP_AUTH_TOKEN_" + host))
    return {{"Authorization", "Bearer " + std::string(trim(*token))}};
  return {};
}

BuildContexts::Opened BuildContexts::open(const ContextSource& source, const std::string& name) {
  if (const auto* directory = std::get_if<LocalSource>(&source))
    return {open_directory_tree(directory->path), std::nullopt};
  if (std::holds_alternative<StandardInputSource>(source)) return open_input();
  if (const auto* git = std::get_if<GitSource>(&source)) return {open_git(*git), std::nullopt};
  if (const auto* http = std::get_if<HttpSource>(&source)) return open_url(http->url);
  throw Error(ErrorKind::Invalid, "context " + name + " is no tree of files");
}

const BuildContexts::Opened& BuildContexts::main() {
  if (!main_) main_ = open(source_, request_.context);
  return *main_;
}

std::shared_ptr<const SourceTree> BuildContexts::tree(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = named_.find(name);
  if (found != named_.end()) return found->second;
  std::shared_ptr<const SourceTree> plain;
  std::shared_ptr<const IgnorePatterns> patterns;
  if (name.empty()) {
    plain = main().tree;
    patterns = ignore_;
  } else {
    const auto source = request_.named_contexts.find(name);
    if (source == request_.named_contexts.end()) throw Error(ErrorKind::NotFound, "no build context named " + name);
    plain = open(source->second, name).tree;
    // A named directory has an ignore file of its own.
    if (const auto fd = find_in_root(plain->root(), ".dockerignore", O_RDONLY))
      patterns = std::make_shared<IgnorePatterns>(
          parse_ignore_file(read_fd(fd->get(), kIgnoreFileLimit, ".dockerignore")));
  }
  auto tree = patterns == nullptr
                  ? plain
                  : std::make_shared<const SourceTree>(duplicate(plain->root()), plain->name(), plain->owners(), patterns);
  return named_.emplace(name, std::move(tree)).first->second;
}

// ---- Dockerfile and ignore file ----

std::optional<std::string> BuildContexts::find_in_main(const std::string& path) {
  const auto fd = find_in_root(main().tree->root(), path, O_RDONLY);
  if (!fd) return std::nullopt;
  return read_fd(fd->get(), kMaxDockerfileBytes, path);
}

DockerfileText BuildContexts::find_dockerfile() {
  if (request_.dockerfile == "-") return {"Dockerfile", read_standard_input()};
  if (!std::holds_alternative<LocalSource>(source_) && main().dockerfile) return {"Dockerfile", *main().dockerfile};
  const bool is_local = std::holds_alternative<LocalSource>(source_);
  if (is_local && !request_.dockerfile.empty()) {
    main();  // a missing context is named before a missing Dockerfile
    if (auto text = find_file(request_.dockerfile, kMaxDockerfileBytes)) {
      dockerfile_path_ = request_.dockerfile;
      return {request_.dockerfile, std::move(*text)};
    }
  }
  std::vector<std::string> names{request_.dockerfile};
  if (request_.dockerfile.empty()) names = {"Dockerfile", "dockerfile"};
  for (const std::string& name : names) {
    if (name.starts_with('/') && is_local) continue;
    if (auto text = find_in_main(name)) {
      dockerfile_in_context_ = name;
      return {name, std::move(*text)};
    }
  }
  throw Error(ErrorKind::NotFound, "failed to read dockerfile: open " + names.front() + ": no such file or directory");
}

DockerfileText BuildContexts::read_dockerfile(StepReporter& reporter) {
  const std::string shown = request_.dockerfile.empty() || request_.dockerfile == "-" ? "Dockerfile" : request_.dockerfile;
  ReportedStep step(reporter, "[internal] load build definition from " + fs::path(shown).filename().native());
  DockerfileText result = [&] {
    const std::lock_guard lock(mutex_);
    return find_dockerfile();
  }();
  if (trim(result.text).empty()) throw Error(ErrorKind::Invalid, "failed to solve: the Dockerfile cannot be empty");
  const std::uint64_t size = result.text.size();
  step.status({.text = "transferring dockerfile:", .current = size, .is_bytes = true, .is_done = true});
  step.done();
  return result;
}

std::optional<std::string> BuildContexts::find_ignore_file() {
  if (dockerfile_path_) {
    if (auto text = find_file(dockerfile_path_->native() + ".dockerignore", kIgnoreFileLimit)) return text;
  } else if (!dockerfile_in_context_.empty()) {
    if (auto text = find_in_main(dockerfile_in_context_ + ".dockerignore")) return text;
  }
  return find_in_main(".dockerignore");
}

std::shared_ptr<const IgnorePatterns> BuildContexts::ignore(StepReporter& reporter) {
  ReportedStep step(reporter, "[internal] load .dockerignore");
  const std::lock_guard lock(mutex_);
  const auto text = find_ignore_file();
  if (text) {
    auto patterns = in_context("failed to parse .dockerignore",
                               [&] { return std::make_shared<IgnorePatterns>(parse_ignore_file(*text)); });
    if (!patterns->empty()) ignore_ = std::move(patterns);
  }
  const std::uint64_t size = text ? text->size() : 2;
  step.status({.text = "transferring context:", .current = size, .is_bytes = true, .is_done = true});
  step.done();
  return ignore_;
}

// ---- remote sources of ADD ----

std::shared_ptr<const SourceTree> BuildContexts::download(const HttpOp& op) {
  if (!services_.fetch_url) throw Error(ErrorKind::Unavailable, "ADD can't download " + op.url + " here");
  DownloadFile file(store_.root() / "ingest");
  const FetchedUrl answer = services_.fetch_url({op.url, authorization(op.url), kDownloadLimit}, file);
  if (!op.checksum.empty() && file.hasher().digest().str() != op.checksum)
    throw Error(ErrorKind::Corrupt, "digest mismatch " + file.hasher().digest().str() + ": " + op.checksum);
  Entry entry;
  entry.path = clean_entry_path(op.file_name);
  entry.mode = 0600;
  entry.size = file.hasher().size();
  if (answer.last_modified) entry.mtime = file_time(Time(*answer.last_modified));

  class Content final : public FileContent {
   public:
    explicit Content(int fd) : source_(fd) {}
    std::size_t read(std::span<std::byte> buffer) override { return source_.read(buffer); }

   private:
    FdSource source_;
  };
  file.rewind();
  Content content(file.fd());
  CanonicalLayerWriter writer(store_.layers().create());
  writer.add(entry, content);
  const LayerInfo layer = writer.commit();
  pin_.add(layer.identity.diff_id);
  return std::make_shared<SourceTree>(open_rootfs_view(store_, {layer.identity.diff_id}), op.url, Owners::Root);
}

std::shared_ptr<const SourceTree> BuildContexts::checkout(const GitOp& op) {
  make_directories(store_.root() / "ingest");
  TempDirectory directory(store_.root() / "ingest", "git");
  const fs::path tree = checkout_git(op, directory.path(), [this](const std::string& id) { return find_secret(id); });
  auto result = std::make_shared<SourceTree>(open_directory(tree), op.remote, Owners::Root);
  checkouts_.push_back(std::move(directory));
  return result;
}

std::optional<fs::path> BuildContexts::directory() const {
  if (const auto* local = std::get_if<LocalSource>(&source_)) return fs::path(local->path);
  return std::nullopt;
}

std::string BuildContexts::identity() const {
  if (const auto local = directory()) {
    std::error_code error;
    const fs::path real = fs::canonical(*local, error);
    return error ? local->native() : real.native();
  }
  return request_.context;
}

}  // namespace ctr
