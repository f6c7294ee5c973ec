// ctr build, also as buildx build, builder build and image build.
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "cli/build_options.h"
#include "cli/build_view.h"
#include "cli/commands.h"
#include "cli/output.h"

namespace ctr {

namespace {

void write_result_files(const ParsedFlags& flags, const BuildResult& result) {
  if (const std::string& file = flags.text("iidfile"); !file.empty()) {
    write_file_atomic(file, result.image_id, Durability::Cached);
  }
  if (const std::string& file = flags.text("metadata-file"); !file.empty()) {
    write_file_atomic(file, result.metadata_json, Durability::Cached);
  }
}

int build(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const BuildRequest request = build_request(flags);
  if (request.standard_input == STDIN_FILENO && reads_standard_input(request) && is_terminal(STDIN_FILENO)) {
    throw Error(ErrorKind::Invalid, "standard input is a terminal: give it a Dockerfile or a tar, or name a directory");
  }
  protect_from_builds();
  BuildResult result;
  try {
    Context& context = invocation.context();  // an ordinary user joins namespaces here, while there is one thread
    const std::unique_ptr<BuildProgress> view = make_build_view(progress_mode(flags), STDERR_FILENO);
    if (flags.on("load")) view->warned(kLoadNotice);
    result = build_image(context, request, *view, flags.text("builder"));
  } catch (const BuildFailure& failure) {
    write_standard_error(render_failure(failure));
    return 1;
  }
  write_result_files(flags, result);
  if (!result.report.empty()) write_standard_out(result.report);
  if (flags.on("quiet") && !result.image_id.empty()) write_standard_out(result.image_id + "\n");
  return result.exit_code;
}

}  // namespace

std::vector<CommandSpec> build_command_specs() {
  return {{.words = "build",
           .arguments = "[OPTIONS] PATH | URL | -",
           .summary = "Build an image from a Dockerfile",
           .group = HelpGroup::Common,
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_build_flags,
           .run = build,
           .aliases = {"buildx build", "buildx b", "builder build", "image build"}}};
}

}  // namespace ctr
