// What every command works on: where things are, how they are configured, and the parts of the store, each opened
// when it is first needed (a command that only lists containers never opens the image store). engine/ is what commands
// do, as functions on values: nothing here prints, so that the command line and an API server are equal callers.
#pragma once

#include <memory>
#include <string>

#include "base/paths.h"
#include "engine/configuration.h"

namespace ctr {

class Store;           // image/store.h
class ContainerStore;  // engine/container_store.h
class EventLog;        // engine/events.h

/// One per process; made by main(). Not thread-safe while a part is opened for the first time: whoever starts
/// threads calls the accessors that these need before.
class Context {
 public:
  Context(Paths paths, Configuration configuration);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Paths& paths() const noexcept { return paths_; }
  const Configuration& configuration() const noexcept { return configuration_; }

  Store& store();
  ContainerStore& containers();
  EventLog& events();

 private:
  Paths paths_;
  Configuration configuration_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ContainerStore> containers_;
  std::unique_ptr<EventLog> events_;
};

/// Reads the configuration files and opens nothing. `root` overrides CTR_ROOT (empty: does not).
std::unique_ptr<Context> open_context(const std::string& root);

}  // namespace ctr
