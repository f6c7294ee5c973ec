// Container records by id and name: containers/<id>/record.json under $CTR_ROOT, and names as symlinks
// container-names/<name> -> <id>, so that claiming a name is one symlink(2) and EEXIST names the holder. Readers never
// lock; whoever changes a container holds its lock. Knows nothing about processes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lock.h"
#include "base/paths.h"
#include "engine/container_record.h"

namespace ctr {

enum class RecordDurability { Synced, Cached };

class ContainerStore {
 public:
  explicit ContainerStore(const Paths& paths);

  /// $CTR_ROOT/containers/<id> and $CTR_RUN/containers/<id>.
  std::filesystem::path directory(const std::string& id) const;
  std::filesystem::path run_directory(const std::string& id) const;

  /// The id that `name_or_id` (name, full id, unique prefix) names. Throws NotFound "No such container: x", or Invalid
  /// if a prefix is that of several.
  std::string resolve(const std::string& name_or_id) const;
  std::optional<std::string> find_id(const std::string& name_or_id) const;

  ContainerRecord load(const std::string& id) const;
  std::optional<ContainerRecord> find(const std::string& name_or_id) const;
  /// resolve() and load(); NotFound as there.
  ContainerRecord get(const std::string& name_or_id) const;
  /// All readable records, newest first. A record that is being made or removed is left out.
  std::vector<ContainerRecord> list() const;
  std::vector<std::string> list_ids() const;

  /// Claims `name`. Throws Exists in Docker's words if another container has it.
  void claim_name(const std::string& name, const std::string& id) const;
  /// Claims a generated name and returns it.
  std::string claim_generated_name(const std::string& id) const;
  void release_name(const std::string& name, const std::string& id) const;

  void save(const ContainerRecord& record, RecordDurability durability) const;
  /// Removes the name and renames the directory away, then deletes it. Knows nothing of snapshots and mounts.
  void remove(const ContainerRecord& record) const;

  /// Removes what a create left that was killed before it had written a record: its directories and its name. Returns
  /// the ids, whose snapshots are the caller's to remove.
  std::vector<std::string> remove_abandoned() const;

  /// Serialises start, stop, rm, rename, update of one container. Throws NotFound if it is gone.
  FileLock lock(const std::string& id) const;

 private:
  bool claim(const std::string& name, const std::string& id) const;
  bool release_abandoned_name(const std::string& name) const;

  Paths paths_;
};

/// 64 hex digits, never one whose first 12 are all decimal (they could be taken for a number as a host name).
std::string generate_container_id();
/// [a-zA-Z0-9][a-zA-Z0-9_.-]+; throws Invalid in Docker's words.
void check_container_name(const std::string& name);

}  // namespace ctr
