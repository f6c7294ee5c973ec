#include "builder/graph.h"

#include "base/bytes.h"
#include "base/error.h"

namespace ctr {

VertexId Graph::add(Vertex vertex, VertexNote note) {
  Json identity = Json::object();
  identity["op"] = op_to_json(vertex.op);
  Json inputs = Json::array();
  for (const VertexId input : vertex.inputs) {
    if (input >= vertices_.size()) throw Error(ErrorKind::Invalid, "a build graph's vertex names an unknown input");
    inputs.push_back(digests_[input].str());
  }
  identity["inputs"] = std::move(inputs);
  const Digest digest = Digest::of(as_bytes(identity.dump()));

  const auto id = static_cast<VertexId>(vertices_.size());
  const auto [found, is_new] = by_digest_.emplace(digest.str(), id);
  if (!is_new) {
    notes_[found->second].ignore_cache |= note.ignore_cache;
    return found->second;
  }
  vertices_.push_back(std::move(vertex));
  notes_.push_back(std::move(note));
  digests_.push_back(digest);
  return id;
}

std::vector<VertexId> Graph::reachable(const std::vector<VertexId>& targets) const {
  std::vector<bool> needed(vertices_.size(), false);
  for (const VertexId target : targets) needed.at(target) = true;
  std::vector<VertexId> result;
  for (std::size_t id = vertices_.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (const VertexId input : vertices_[id].inputs) needed[input] = true;
  }
  for (VertexId id = 0; id < vertices_.size(); ++id)
    if (needed[id]) result.push_back(id);
  return result;
}

Json Graph::to_json(const std::vector<VertexId>& targets) const {
  const std::vector<VertexId> ids = reachable(targets);
  std::map<VertexId, std::int64_t> position;
  Json result = Json::array();
  for (const VertexId id : ids) {
    position.emplace(id, static_cast<std::int64_t>(position.size()));
    Json each = Json::object();
    if (!notes_[id].title.empty()) each["title"] = notes_[id].title;
    each["op"] = op_to_json(vertices_[id].op);
    Json inputs = Json::array();
    for (const VertexId input : vertices_[id].inputs) inputs.push_back(position.at(input));
    if (!inputs.empty()) each["inputs"] = std::move(inputs);
    result.push_back(std::move(each));
  }
  return result;
}

}  // namespace ctr
