// The build graph: vertices (an operation and the vertices that it takes as inputs) that are shared when they are equal,
// and notes about them that are no part of their identity. A vertex is added after its inputs, so that ids are a
// topological order and cycles can't be built.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "builder/op.h"
#include "builder/source_range.h"

namespace ctr {

using VertexId = std::uint32_t;

struct Vertex {
  Op op;
  std::vector<VertexId> inputs;
};

/// What is told about a vertex, and whether its records may be used. Not part of its identity.
struct VertexNote {
  std::string title;  ///< `[2/3] WORKDIR /app`; empty: not shown
  SourceRange where;
  bool ignore_cache = false;
  std::vector<std::string> proxies;   ///< HTTP_PROXY and kin for RUN: in the environment, not in the key
  std::string stage;                  ///< name of the stage and number of the step in it, to find it in the last build
  int step = 0;
  std::set<std::string> arguments;    ///< names that ARG declared, for --explain
};

class Graph {
 public:
  /// Returns the id of an equal vertex if there is one; its first note stays, but ignore_cache is not lost.
  /// REQUIRES: inputs are ids of this graph.
  VertexId add(Vertex vertex, VertexNote note);

  std::size_t size() const noexcept { return vertices_.size(); }
  const Vertex& vertex(VertexId id) const { return vertices_.at(id); }
  const VertexNote& note(VertexId id) const { return notes_.at(id); }

  /// The identity of a vertex by definition: its operation and its inputs' digests. Independent of ids.
  const Digest& digest(VertexId id) const { return digests_.at(id); }

  /// The vertices that `targets` need, in ascending order.
  std::vector<VertexId> reachable(const std::vector<VertexId>& targets) const;

  /// For golden tests: an array of {"op": …, "inputs": [positions], "title": …}.
  Json to_json(const std::vector<VertexId>& targets) const;

 private:
  std::vector<Vertex> vertices_;
  std::vector<VertexNote> notes_;
  std::vector<Digest> digests_;
  std::map<std::string, VertexId> by_digest_;
};

}  // namespace ctr
