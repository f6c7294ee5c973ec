// Which network namespace bridges are in: the machine's for root, and for a user session one of its own, which only a
// thread enters. What must happen where the user is (binding a published port, asking who has it) goes back to the
// thread that called. Nothing here costs root anything.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "base/paths.h"

namespace ctr {

/// Runs `body` in the namespace of the bridges and returns when it is done; what it throws is thrown here.
void in_bridge_namespace(const Paths& paths, const std::function<void()>& body);

/// Within `body` above: runs this where the caller of in_bridge_namespace is.
void outside_bridge_namespace(const std::function<void()>& body);

/// The same with an answer.
template <typename Body>
auto with_bridges(const Paths& paths, Body&& body) -> decltype(body()) {
  std::optional<decltype(body())> result;
  in_bridge_namespace(paths, [&] { result.emplace(body()); });
  return std::move(*result);
}

}  // namespace ctr
