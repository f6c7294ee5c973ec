#include "cli/pull_for_run.h"

#include <unistd.h>

#include "cli/output.h"
#include "cli/transfer_view.h"
#include "engine/images.h"
#include "cli/transfer_words.h"

namespace ctr {

void provide_image(Context& context, const CreateRequest& request, PullWhen when, PullOutput output) {
  const std::string& name = request.config.image;
  if (when != PullWhen::Always) {
    if (find_image(context, name, request.platform)) return;
    if (when == PullWhen::Never) throw Error(ErrorKind::NotFound, "No such image: " + name);
    const std::optional<Reference> reference = Reference::try_parse(name);
    if (!reference) throw Error(ErrorKind::NotFound, "No such image: " + name);
    if (output == PullOutput::Shown) {
      write_standard_error("Unable to find image '" + reference->familiar() + "' locally\n");
    }
  }
  TransferView view(STDERR_FILENO,
                    output == PullOutput::Shown ? TransferView::Loudness::Normal : TransferView::Loudness::Quiet);
  pull_with_words(context, {name, request.platform, false}, view);
}

}  // namespace ctr
