// ctr tags and ctr delete: what a registry has, and what it shall no longer have. Nothing local changes.
#include "cli/commands.h"
#include "cli/each_argument.h"
#include "cli/output.h"
#include "engine/remote_images.h"

namespace ctr {

namespace {

int tags(Invocation& invocation) {
  for (const std::string& tag : list_remote_tags(invocation.context(), invocation.arguments().front())) {
    write_standard_out(tag + "\n");
  }
  return 0;
}

int remove(Invocation& invocation) {
  return for_each_argument(
      invocation, [&](const std::string& name) { return delete_remote_image(invocation.context(), name); });
}

}  // namespace

std::vector<CommandSpec> remote_command_specs() {
  return {{.words = "tags",
           .arguments = "REPOSITORY",
           .summary = "List the tags of a repository in a registry",
           .min_arguments = 1,
           .max_arguments = 1,
           .run = tags},
          {.words = "delete",
           .arguments = "NAME:TAG|NAME@DIGEST [NAME:TAG|NAME@DIGEST...]",
           .summary = "Delete tags, or images by digest with all their tags, from a registry",
           .min_arguments = 1,
           .run = remove}};
}

}  // namespace ctr
