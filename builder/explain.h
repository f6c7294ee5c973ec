// --explain: why a step hit or missed the cache, in one line. Compares the step with what the last build of the same
// Dockerfile in the same context did at the same place; the document of that build is kept with the records.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "builder/build_cache.h"
#include "builder/graph.h"
#include "builder/solver.h"

namespace ctr {

/// Safe for use by several threads.
class Explainer {
 public:
  /// `name` tells builds apart: context, Dockerfile and target.
  Explainer(const BuildCache& cache, const Graph& graph, const std::string& name);

  /// The line for a step that hit or is about to be executed.
  std::string explain(const SolverOptions::Event& event);

  /// Takes a finished step into the document of this build.
  void remember(const SolverOptions::Event& event);

  /// Keeps the document for the next build, if anything is new in it.
  void save();

 private:
  std::string explain_miss(const SolverOptions::Event& event, const Json& before) const;
  std::string explain_inputs(const SolverOptions::Event& event, const Json& before) const;
  std::string explain_files(const SolverOptions::Event& event, const Json& before) const;
  std::string step_name(VertexId vertex) const;
  std::string base_image_of(VertexId vertex) const;

  const BuildCache& cache_;
  const Graph& graph_;
  Digest name_;
  std::mutex mutex_;
  Json before_;
  Json now_;
};

/// What differs between two operations of one kind, for people: `command changed`, `ARG X 1 -> 2`; empty if nothing.
std::string describe_op_change(const Json& before, const Json& now, const std::set<std::string>& arguments);

/// "2 files changed: a.c, b.h; 1 added: c.c"; empty if nothing.
std::string describe_line_changes(const SelectionLines& before, const SelectionLines& now);

}  // namespace ctr
