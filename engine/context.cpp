#include "engine/context.h"

#include "engine/container_store.h"
#include "engine/events.h"
#include "image/store.h"
#include "runtime/user_session.h"

namespace ctr {

Context::Context(Paths paths, Configuration configuration)
    : paths_(std::move(paths)), configuration_(std::move(configuration)) {}

Context::~Context() = default;

Store& Context::store() {
  if (!store_) store_ = std::make_unique<Store>(paths_.root, paths_.run, parse_layer_format(configuration_.layer_format));
  return *store_;
}

ContainerStore& Context::containers() {
  if (!containers_) containers_ = std::make_unique<ContainerStore>(paths_);
  return *containers_;
}

EventLog& Context::events() {
  if (!events_) events_ = std::make_unique<EventLog>(paths_);
  return *events_;
}

std::unique_ptr<Context> open_context(const std::string& root) {
  Paths paths = find_paths(root);
  Configuration configuration = read_configuration();
  enter_user_session(paths);
  return std::make_unique<Context>(std::move(paths), std::move(configuration));
}

}  // namespace ctr
