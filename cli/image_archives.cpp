// Images as files: save, load, import, export.
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/output.h"
#include "engine/container_files.h"
#include "engine/images.h"

namespace ctr {

namespace {

/// Where a tar goes: -o FILE, published whole at the end, or standard output, which must not be a terminal.
class ArchiveOutput {
 public:
  explicit ArchiveOutput(const std::string& path) : path_(path) {
    if (path_.empty()) {
      if (is_terminal(STDOUT_FILENO)) {
        throw Error(ErrorKind::Invalid, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
      }
      return;
    }
    if (fs::exists(path_) && !fs::is_regular_file(path_)) {
      file_ = open_file(path_, O_WRONLY);
      return;
    }
    temporary_ = path_ + "." + random_hex(4) + ".tmp";
    file_ = open_file(temporary_, O_WRONLY | O_CREAT | O_EXCL, 0600);
  }
  ~ArchiveOutput() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  ArchiveOutput(const ArchiveOutput&) = delete;
  ArchiveOutput& operator=(const ArchiveOutput&) = delete;

  int fd() const { return file_ ? file_.get() : STDOUT_FILENO; }
  void commit() {
    if (temporary_.empty()) return;
    fs::rename(temporary_, path_);
    temporary_.clear();
  }

 private:
  std::string path_;
  std::string temporary_;
  Fd file_;
};

/// -i FILE, or standard input, which must not be a terminal.
Fd open_input(const std::string& path, const char* flag) {
  if (!path.empty() && path != "-") return open_file(path, O_RDONLY);
  if (is_terminal(STDIN_FILENO)) {
    throw Error(ErrorKind::Invalid, std::string("requested to read from stdin, but stdin is a terminal: use ") + flag);
  }
  return duplicate(STDIN_FILENO);
}

void define_save_flags(FlagTable& flags) {
  flags.text("output", 'o', "string", "Write to a file, instead of STDOUT");
  flags.text("platform", 0, "string", "Save only the given platform");
}

int save(Invocation& invocation) {
  ArchiveOutput output(invocation.flags().text("output"));
  FdSink sink(output.fd());
  std::optional<Platform> platform;
  if (invocation.flags().given("platform")) platform = platform_option(invocation.flags());
  save_images(invocation.context(), invocation.arguments(), platform, sink);
  output.commit();
  return 0;
}

void define_load_flags(FlagTable& flags) {
  flags.text("input", 'i', "string", "Read from tar archive file, instead of STDIN");
  flags.text("platform", 0, "string", "Load only the given platform");
  flags.toggle("quiet", 'q', "Suppress the load output");
}

int load(Invocation& invocation) {
  const Fd input = open_input(invocation.flags().text("input"), "-i FILE");
  FdSource source(input.get());
  std::optional<Platform> platform;
  if (invocation.flags().given("platform")) platform = platform_option(invocation.flags());
  for (const std::string& line : load_images(invocation.context(), source, platform)) write_standard_out(line + "\n");
  return 0;
}

void define_import_flags(FlagTable& flags) {
  flags.list("change", 'c', "list", "Apply Dockerfile instruction to the created image");
  flags.text("message", 'm', "string", "Set commit message for imported image");
  flags.text("platform", 0, "string", "Set platform of the image");
}

int import(Invocation& invocation) {
  const std::string& file = invocation.arguments().front();
  if (file.starts_with("http://") || file.starts_with("https://")) {
    throw Error(ErrorKind::Unavailable, "import from a URL is not supported yet: download it and import the file");
  }
  const Fd input = open_input(file, "a file's name");
  FdSource source(input.get());
  ImportRequest request;
  if (invocation.arguments().size() > 1) request.reference = invocation.arguments()[1];
  request.message = invocation.flags().text("message");
  request.changes = invocation.flags().list("change");
  if (invocation.flags().given("platform")) request.platform = platform_option(invocation.flags());
  write_standard_out(import_image(invocation.context(), source, request) + "\n");
  return 0;
}

void define_export_flags(FlagTable& flags) {
  flags.text("output", 'o', "string", "Write to a file, instead of STDOUT");
}

int export_files(Invocation& invocation) {
  ArchiveOutput output(invocation.flags().text("output"));
  FdSink sink(output.fd());
  export_container(invocation.context(), invocation.arguments().front(), sink);
  output.commit();
  return 0;
}

}  // namespace

std::vector<CommandSpec> image_archive_command_specs() {
  return {{.words = "save",
           .arguments = "[OPTIONS] IMAGE [IMAGE...]",
           .summary = "Save one or more images to a tar archive (streamed to STDOUT by default)",
           .min_arguments = 1,
           .define_flags = define_save_flags,
           .run = save,
           .aliases = {"image save"}},
          {.words = "load",
           .arguments = "[OPTIONS]",
           .summary = "Load an image from a tar archive or STDIN",
           .max_arguments = 0,
           .define_flags = define_load_flags,
           .run = load,
           .aliases = {"image load"}},
          {.words = "import",
           .arguments = "[OPTIONS] file|- [REPOSITORY[:TAG]]",
           .summary = "Import the contents from a tarball to create a filesystem image",
           .min_arguments = 1,
           .max_arguments = 2,
           .define_flags = define_import_flags,
           .run = import,
           .aliases = {"image import"}},
          {.words = "export",
           .arguments = "[OPTIONS] CONTAINER",
           .summary = "Export a container's filesystem as a tar archive",
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_export_flags,
           .run = export_files,
           .aliases = {"container export"}}};
}

}  // namespace ctr
