// Writes a tree of entries below a directory of this machine, as type=local does: nothing is ever written through a
// symbolic link, devices are left out, and owners are the caller's unless they are to be kept (cache mounts).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/file.h"
#include "image/entry.h"

namespace ctr {

enum class OutputOwners { Caller, Kept };

class FileOutput {
 public:
  /// Makes the directory. With kept owners all bits of modes are kept too, and the root directory's own attributes.
  explicit FileOutput(const fs::path& directory, OutputOwners owners = OutputOwners::Caller);

  void add(const Entry& entry, FileContent& content);

  /// Gives directories the times that they were added with.
  void finish();

  /// Removes what is in the directory and was not added (mode=delete).
  void remove_others();

 private:
  Fd open_parent(const std::string& path);
  void remove_others_in(int directory, const std::string& path);

  void set_owner(int directory, const std::string& name, const Entry& entry) const;

  Fd root_;
  OutputOwners owners_;
  std::map<std::string, FileTime> directories_;
  std::set<std::string> added_;
};

}  // namespace ctr
