#include "image/layer_tree.h"

#include <deque>
#include <utility>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::size_t kNodeLimit = 20'000'000;
constexpr int kLinkLimit = 40;  // the kernel's
constexpr std::size_t kPathLimit = 4095;

[[noreturn]] void refuse(std::string_view path, const std::string& why) {
  throw Error(ErrorKind::Invalid, "layer entry \"" + std::string(path.substr(0, 200)) + "\" " + why);
}

std::deque<std::string> components_of(std::string_view path) {
  std::deque<std::string> result;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) result.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return result;
}

std::shared_ptr<Entry> make_inode(const Entry& entry) {
  auto inode = std::make_shared<Entry>(entry);
  inode->path.clear();
  return inode;
}

}  // namespace

Entry implied_directory(std::string path) {
  Entry entry{std::move(path), EntryType::Directory};
  entry.mode = 0755;
  return entry;
}

LayerTree::LayerTree() {
  root_.inode = make_inode(implied_directory({}));
  root_.is_implied = true;
}

void LayerTree::count_node() {
  if (++nodes_ > kNodeLimit) throw Error(ErrorKind::Invalid, "layer has more than 20 million entries");
}

// The child directory or link of that name, made if it is missing. A whiteout in the way means that lower content is
// deleted and the directory begins anew: an opaque one.
LayerTree::Node* LayerTree::descend(Node& parent, std::string_view name, const std::string& path, Missing missing,
                                    Placement& placement) {
  const auto found = parent.children.find(name);
  if (found != parent.children.end() && found->second->inode) return found->second.get();
  if (missing == Missing::Refuse) return nullptr;
  if (path.size() > kPathLimit) refuse(path, "has more than 4095 bytes");
  auto node = std::make_unique<Node>();
  node->inode = make_inode(implied_directory({}));
  node->is_implied = true;
  node->is_opaque = found != parent.children.end();
  count_node();
  placement.missing_parents.push_back(path);
  return (parent.children[std::string(name)] = std::move(node)).get();
}

LayerTree::Place LayerTree::find_place(std::string_view path, Missing missing, Placement& placement) {
  std::deque<std::string> rest = components_of(path);
  std::vector<std::pair<Node*, std::string>> stack{{&root_, ""}};  // the directories that lead here, and their paths
  int links = 0;
  while (rest.size() > 1) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == "." || name.empty()) continue;
    if (name == "..") {
      if (stack.size() > 1) stack.pop_back();
      continue;
    }
    const std::string here = stack.back().second.empty() ? name : stack.back().second + "/" + name;
    Node* node = descend(*stack.back().first, name, here, missing, placement);
    if (node == nullptr) return {nullptr, {}, {}};
    if (node->is_directory()) {
      stack.emplace_back(node, here);
    } else if (node->inode->type == EntryType::Symlink) {
      if (++links > kLinkLimit) refuse(path, "leads through too many symbolic links");
      const std::string& target = node->inode->link;
      if (target.starts_with('/')) stack.resize(1);
      std::deque<std::string> further = components_of(target);
      rest.insert(rest.begin(), std::make_move_iterator(further.begin()), std::make_move_iterator(further.end()));
    } else {
      refuse(path, "is below \"" + here + "\", which is no directory");
    }
  }
  const std::string name = rest.empty() ? std::string() : rest.front();
  const std::string& directory = stack.back().second;
  return {stack.back().first, directory.empty() ? name : directory + "/" + name, name};
}

LayerTree::Placement LayerTree::place(const Entry& entry) {
  Placement placement;
  if (entry.path.empty()) {
    if (entry.type == EntryType::Opaque) {
      root_.is_opaque = true;
      placement.is_noop = true;
      return placement;
    }
    if (entry.type != EntryType::Directory) refuse("/", "is no directory");
    root_.inode = make_inode(entry);
    root_.is_implied = false;
    placement.replaced = Existing::Directory;
    return placement;
  }
  const Place place = find_place(entry.path, Missing::Make, placement);
  if (place.path.size() > kPathLimit) refuse(entry.path, "lands at a path of more than 4095 bytes");
  placement.path = place.path;
  switch (entry.type) {
    case EntryType::Whiteout:
    case EntryType::Opaque:
      put_mark(entry, place.parent, place.name, placement);
      break;
    case EntryType::HardLink:
      put_hard_link(entry, *place.parent, place.name, placement);
      break;
    default:
      put_entry(entry, *place.parent, place.name, placement);
  }
  return placement;
}

// What the same layer has at a deleted path stays: a mark speaks of lower layers only, in whichever order they come.
void LayerTree::put_mark(const Entry& entry, Node* parent, const std::string& name, Placement& placement) {
  const auto found = parent->children.find(name);
  if (entry.type == EntryType::Opaque) {
    Node* node = descend(*parent, name, placement.path, Missing::Make, placement);
    if (!node->is_directory()) refuse(entry.path, "is marked as a fresh directory but is none");
    node->is_opaque = true;
    placement.is_noop = placement.missing_parents.empty();
    placement.replaced = Existing::Directory;
    return;
  }
  if (found != parent->children.end()) {
    if (found->second->is_directory()) found->second->is_opaque = true;
    placement.is_noop = true;
    return;
  }
  count_node();
  parent->children.emplace(name, std::make_unique<Node>());
}

void LayerTree::put_hard_link(const Entry& entry, Node& parent, const std::string& name, Placement& placement) {
  Placement unused;
  const Place target = find_place(entry.link, Missing::Refuse, unused);
  const auto found = target.parent ? target.parent->children.find(target.name) : parent.children.end();
  if (!target.parent || found == target.parent->children.end() || !found->second->inode)
    refuse(entry.path, "is a link to \"" + entry.link + "\", which the layer doesn't have");
  if (found->second->is_directory()) refuse(entry.path, "is a link to the directory \"" + entry.link + "\"");
  placement.link_target = target.path;
  placement.is_noop = target.path == placement.path;
  if (placement.is_noop) return;
  if (target.path.starts_with(placement.path + "/")) refuse(entry.path, "replaces the directory of what it links to");
  const std::shared_ptr<Entry> inode = found->second->inode;
  put_entry(*inode, parent, name, placement);
  parent.children.at(name)->inode = inode;
  placement.inode = inode;
}

void LayerTree::put_entry(const Entry& entry, Node& parent, const std::string& name, Placement& placement) {
  std::unique_ptr<Node>& node = parent.children[name];
  if (!node) {
    count_node();
    node = std::make_unique<Node>();
  } else {
    placement.replaced = node->is_directory() ? Existing::Directory : Existing::Other;
    const bool was_whiteout = !node->inode;
    const bool stays = node->is_directory() && entry.type == EntryType::Directory;
    if (!stays) node = std::make_unique<Node>();
    if (was_whiteout && entry.type == EntryType::Directory) node->is_opaque = true;
  }
  node->inode = make_inode(entry);
  node->is_implied = false;
  placement.inode = node->inode;
}

namespace {

void visit_node(const std::string& path, const LayerTree::Node& node, bool is_parent_first,
                const std::function<void(const std::string&, const LayerTree::Node&)>& visitor) {
  if (is_parent_first) visitor(path, node);
  for (const auto& [name, child] : node.children)
    visit_node(path.empty() ? name : path + "/" + name, *child, is_parent_first, visitor);
  if (!is_parent_first) visitor(path, node);
}

}  // namespace

void LayerTree::visit(const std::function<void(const std::string&, const Node&)>& visitor) const {
  visit_node({}, root_, true, visitor);
}

void LayerTree::visit_children_first(const std::function<void(const std::string&, const Node&)>& visitor) const {
  visit_node({}, root_, false, visitor);
}

}  // namespace ctr
