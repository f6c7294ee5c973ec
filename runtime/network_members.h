// What each container holds of the networks, written before it is taken:
//   $CTR_RUN/networks/.members/<id>.lock     held while the container's network is made, served, or given back
//   $CTR_RUN/networks/.members/<id>/network.json, netns -> path of the namespace, resolve/ (network_names.h)
// A lock that can be taken means that nobody serves this network any more: whoever takes it may give everything back.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "runtime/bridge_network.h"
#include "runtime/network_rules.h"

namespace ctr {

/// $CTR_RUN/networks/.members/<id>.
fs::path member_directory(const Paths& paths, const std::string& container_id);
fs::path member_resolve_directory(const Paths& paths, const std::string& container_id);
/// Where the container's network joined `network` is noted.
fs::path member_network_link(const Paths& paths, const std::string& container_id, const std::string& network);

class MemberLock {
 public:
  /// Waits for those who make it, serve it or give it back; nothing when that takes longer than `patience`.
  static std::optional<MemberLock> acquire(const Paths& paths, const std::string& container_id,
                                           std::chrono::milliseconds patience);

  /// A descriptor that keeps the lock until it is closed too.
  Fd share() const;
  /// Removes the file; the lock ends with this object.
  void remove_file();

 private:
  MemberLock(Fd file, fs::path path) : file_(std::move(file)), path_(std::move(path)) {}
  Fd file_;
  fs::path path_;
};

/// Held while a running container's record is read, changed and written. Throws NotFound when it has no network.
FileLock lock_member_record(const Paths& paths, const std::string& container_id);

void save_member(const Paths& paths, const std::string& container_id, const ContainerNetwork& network);

/// What the kernel translates for a container: a published port whose family the primary endpoint has.
std::vector<PortRule> port_rules(const ContainerNetwork& network, const std::vector<PublishedPort>& ports);

/// Rules for everything that exists: every network that has a container, every published port.
RuleElements all_rule_elements(const Paths& paths);

/// The host's end of a container's interface on a network.
std::string host_interface_name(const std::string& container_id, const std::string& network);

}  // namespace ctr
