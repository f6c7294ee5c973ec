// The files of a container: cp, diff, commit.
#include "engine/container_files.h"


#include "cli/commands.h"
#include "engine/host_copy.h"
#include "cli/output.h"

namespace ctr {

namespace {

// ---- cp ----

void define_copy_flags(FlagTable& flags) {
  flags.toggle("archive", 'a', "Archive mode (copy all uid/gid information)");
  flags.toggle("follow-link", 'L', "Always follow symbol link in SRC_PATH");
  flags.toggle("quiet", 'q', "Suppress progress output during copy");
}

struct CopyPlace {
  std::string container;  // empty: on the host
  std::string path;
};

/// "CONTAINER:PATH"; a path that begins with "/" or "." is the host's, whatever colons it has.
CopyPlace parse_place(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (text.starts_with('/') || text.starts_with('.') || colon == std::string::npos || colon == 0) return {"", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

int copy(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const CopyPlace source = parse_place(invocation.arguments()[0]);
  const CopyPlace target = parse_place(invocation.arguments()[1]);
  Context& context = invocation.context();
  if (source.container.empty() == target.container.empty()) {
    throw Error(ErrorKind::Invalid, source.container.empty() ? "must specify at least one container source or destination"
                                                             : "copying between containers is not supported");
  }
  const FollowLink follow = flags.on("follow-link") ? FollowLink::Yes : FollowLink::No;
  const KeepOwner keep = flags.on("archive") ? KeepOwner::Yes : KeepOwner::No;
  if (!source.container.empty()) {
    if (source.path.empty()) throw Error(ErrorKind::Invalid, "a path in the container is missing behind " + source.container + ":");
    copy_out(context, source.container, source.path, target.path, follow, keep);
  } else {
    if (target.path.empty()) throw Error(ErrorKind::Invalid, "a path in the container is missing behind " + target.container + ":");
    copy_in(context, source.path, target.container, target.path, follow, keep);
  }
  return 0;
}

// ---- diff ----

int diff(Invocation& invocation) {
  for (const FilesystemChange& change : diff_container(invocation.context(), invocation.arguments().front())) {
    const char* letter = change.kind == ChangeKind::Added ? "A " : change.kind == ChangeKind::Deleted ? "D " : "C ";
    write_standard_out(letter + change.path + "\n");
  }
  return 0;
}

// ---- commit ----

void define_commit_flags(FlagTable& flags) {
  flags.text("author", 'a', "string", "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")");
  flags.list("change", 'c', "list", "Apply Dockerfile instruction to the created image");
  flags.text("message", 'm', "string", "Commit message");
  flags.toggle("no-pause", 0, "Don't pause the container during commit");
  flags.toggle("pause", 'p', "Pause container during commit", true);
  flags.hide_last();
}

int commit(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  CommitRequest request;
  request.container = invocation.arguments().front();
  if (invocation.arguments().size() > 1) request.repository = invocation.arguments()[1];
  request.author = flags.text("author");
  request.comment = flags.text("message");
  request.changes = flags.list("change");
  request.pause = flags.on("pause") && !flags.on("no-pause");
  write_standard_out(commit_container(invocation.context(), request) + "\n");
  return 0;
}

}  // namespace

std::vector<CommandSpec> container_file_command_specs() {
  return {{.words = "cp",
           .arguments = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
           .summary = "Copy files/folders between a container and the local filesystem",
           .min_arguments = 2,
           .max_arguments = 2,
           .define_flags = define_copy_flags,
           .run = copy,
           .aliases = {"container cp"}},
          {.words = "diff",
           .arguments = "CONTAINER",
           .summary = "Inspect changes to files or directories on a container's filesystem",
           .min_arguments = 1,
           .max_arguments = 1,
           .run = diff,
           .aliases = {"container diff"}},
          {.words = "commit",
           .arguments = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
           .summary = "Create a new image from a container's changes",
           .min_arguments = 1,
           .max_arguments = 2,
           .define_flags = define_commit_flags,
           .run = commit,
           .aliases = {"container commit"}}};
}

}  // namespace ctr
