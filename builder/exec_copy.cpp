#include "builder/exec_copy.h"

#include <fcntl.h>

#include <cctype>

#include "base/error.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "builder/archive_source.h"
#include "builder/file_mode.h"
#include "builder/layer_plan.h"
#include "runtime/user_lookup.h"

namespace ctr {

namespace {

std::optional<std::uint32_t> number_of(std::string_view text) {
  const auto number = parse_uint(text);
  if (!number || *number > 0xffffffffULL) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

/// A field of the first line of passwd or group that starts with "name:".
std::optional<std::vector<std::string>> find_line(const std::string& database, const std::string& name) {
  for (const std::string& line : split(database, '\n')) {
    std::vector<std::string> fields = split(line, ':');
    if (fields.front() == name) return fields;
  }
  return std::nullopt;
}

/// `user[:group]`. A name alone brings its own group, a number alone is the group's number too.
LayerOwner resolve_owner(const std::string& text, int base) {
  LayerOwner owner;
  if (text.empty()) return owner;
  const std::size_t colon = text.find(':');
  const std::string user = text.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : text.substr(colon + 1);
  const UserDatabase database = base < 0 ? UserDatabase{} : read_user_database(base);
  if (const auto id = number_of(user)) {
    owner = {*id, *id};
  } else if (!user.empty()) {
    const auto fields = find_line(database.passwd, user);
    const auto uid = fields && fields->size() > 3 ? number_of((*fields)[2]) : std::nullopt;
    if (!uid) throw Error(ErrorKind::NotFound, "can't find uid for user " + user + ": no such user: " + user);
    owner = {*uid, number_of((*fields)[3]).value_or(0)};
  }
  if (const auto id = number_of(group)) {
    owner.gid = *id;
  } else if (!group.empty()) {
    const auto fields = find_line(database.group, group);
    const auto gid = fields && fields->size() > 2 ? number_of((*fields)[2]) : std::nullopt;
    if (!gid) throw Error(ErrorKind::NotFound, "can't find gid for group " + group + ": no such group: " + group);
    owner.gid = *gid;
  }
  return owner;
}

/// Puts selections at their places in the plan.
class CopyPlanner {
 public:
  CopyPlanner(const CopyOp& op, LayerPlan& plan, std::optional<LayerOwner> owner, Time step_time)
      : op_(op), plan_(plan), owner_(owner), step_time_(step_time) {
    if (!op.chmod.empty()) mode_ = FileMode::parse(op.chmod);
  }

  /// Makes the destination's directories, which appear even if nothing is selected.
  void prepare() {
    const std::string path = op_.destination.ends_with('/') ? op_.destination : parent_of(op_.destination);
    plan_.make_directories(plan_.resolve(path));
    destination_ = plan_.resolve(op_.destination);
  }

  void add(const Selection& selection) {
    if (selection.content) {
      add_text(selection);
    } else if (selection.is_directory) {
      add_directory(selection);
    } else {
      add_file(selection);
    }
  }

  /// Where an archive is unpacked.
  const std::string& destination() const noexcept { return destination_; }

 private:
  static std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
  }

  std::string place_of_file(const std::string& base_name) {
    const bool wants_directory = op_.destination.ends_with('/');
    if (wants_directory || plan_.kind_of(destination_) == LayerPlan::Kind::Directory) {
      plan_.make_directories(destination_);
      return join_path(destination_, base_name);
    }
    return destination_;
  }

  void check_file_place(const std::string& path) const {
    if (path.empty() || plan_.kind_of(path) == LayerPlan::Kind::Directory)
      throw Error(ErrorKind::Invalid, "cannot replace to directory /" + path + " with file");
  }

  void add_text(const Selection& selection) {
    Entry entry;
    entry.type = EntryType::File;
    entry.path = place_of_file(selection.base_name);
    entry.mode = 0644;
    entry.size = selection.content->size();
    entry.mtime = file_time(step_time_);
    check_file_place(entry.path);
    adjust(entry);
    plan_.add(std::move(entry), {nullptr, {}, &*selection.content});
  }

  void add_file(const Selection& selection) {
    for (const SelectedFile& file : selection.files) {
      const std::string path = place_of_file(selection.base_name);
      check_file_place(path);
      add_entry(selection, file, path);
    }
  }

  void add_directory(const Selection& selection) {
    const LayerPlan::Kind kind = plan_.kind_of(destination_);
    if (kind == LayerPlan::Kind::Other)
      throw Error(ErrorKind::Invalid, "cannot copy to non-directory: /" + destination_);
    plan_.make_directories(destination_);
    for (const SelectedFile& file : selection.files) {
      if (file.target.empty()) continue;
      const std::string path = join_path(destination_, file.target);
      const bool is_directory = S_ISDIR(file.file.info.st_mode);
      const LayerPlan::Kind there = plan_.kind_of(path);
      if (is_directory && there == LayerPlan::Kind::Other)
        throw Error(ErrorKind::Invalid, "cannot copy to non-directory: /" + path);
      if (!is_directory && there == LayerPlan::Kind::Directory)
        throw Error(ErrorKind::Invalid, "cannot replace to directory /" + path + " with file");
      add_entry(selection, file, path);
    }
  }

  void add_entry(const Selection& selection, const SelectedFile& file, const std::string& path) {
    Entry entry = entry_of(*selection.tree, file.file);
    entry.path = path;
    adjust(entry);
    const struct ::stat& info = file.file.info;
    if (S_ISREG(info.st_mode) && info.st_nlink > 1) {
      const auto [first, is_first] = hard_links_.try_emplace({selection.tree, info.st_dev, info.st_ino}, path);
      // A hard link's file has to come first in the layer's order.
      if (!is_first && first->second != path && compare_paths(first->second, path) < 0) {
        entry.type = EntryType::HardLink;
        entry.link = first->second;
        entry.size = 0;
        plan_.add(std::move(entry), {});
        return;
      }
    }
    plan_.add(std::move(entry), {selection.tree, file.file.path, nullptr});
  }

  void adjust(Entry& entry) const {
    if (owner_) {
      entry.uid = owner_->uid;
      entry.gid = owner_->gid;
    }
    if (mode_ && entry.type != EntryType::Symlink)
      entry.mode = mode_->apply(entry.mode, entry.type == EntryType::Directory ? FileModeTarget::Directory
                                                                               : FileModeTarget::File);
    if (op_.epoch) entry.mtime = {*op_.epoch, 0};
  }

  const CopyOp& op_;
  LayerPlan& plan_;
  std::optional<LayerOwner> owner_;
  Time step_time_;
  std::optional<FileMode> mode_;
  std::string destination_;
  std::map<std::tuple<const SourceTree*, dev_t, ino_t>, std::string> hard_links_;
};

/// What of the selections is an archive; the rest is copied as it is.
std::vector<const Selection*> archives_of(const std::vector<Selection>& selections) {
  std::vector<const Selection*> result;
  for (const Selection& selection : selections)
    if (selection.unpack && selection.tree != nullptr && !selection.files.empty() &&
        is_archive(*selection.tree, selection.files.front().file.path))
      result.push_back(&selection);
  return result;
}

}  // namespace

LayerInfo execute_copy(const LayerStore& store, const CopyOp& op, const std::vector<Selection>& selections, int base,
                       Time step_time, SourceHashes* hashes) {
  const int planned_base = op.link ? -1 : base;
  const std::optional<LayerOwner> owner =
      op.chown.empty() ? std::nullopt : std::optional(resolve_owner(op.chown, base));
  LayerPlan plan(planned_base, owner.value_or(LayerOwner{}), step_time);
  CopyPlanner planner(op, plan, owner, step_time);
  planner.prepare();
  const std::vector<const Selection*> archives = archives_of(selections);
  for (const Selection& selection : selections)
    if (std::find(archives.begin(), archives.end(), &selection) == archives.end()) planner.add(selection);
  if (archives.empty()) return plan.write(store, hashes);

  plan.make_directories(planner.destination());
  const std::unique_ptr<LayerWriter> writer = store.create();
  plan.write(*writer);
  ArchiveTarget target{planner.destination(), planned_base, op.epoch};
  for (const Selection* archive : archives)
    unpack_archive(*archive->tree, archive->files.front().file.path, target, *writer);
  return writer->commit_canonical();
}

LayerInfo execute_make_directory(const LayerStore& store, const MakeDirectoryOp& op, int base, Time step_time) {
  LayerPlan plan(base, resolve_owner(op.owner, base), step_time);
  const std::string path = plan.resolve(op.path);
  switch (plan.kind_of(path)) {
    case LayerPlan::Kind::Directory: break;
    case LayerPlan::Kind::Absent: plan.make_directories(path); break;
    case LayerPlan::Kind::Other: throw Error(ErrorKind::Invalid, "mkdir /" + path + ": not a directory");
  }
  return plan.write(store);
}

}  // namespace ctr
