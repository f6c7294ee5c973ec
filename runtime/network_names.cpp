#include "runtime/network_names.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::size_t kLongestName = 253;

void collect(const fs::path& directory, std::vector<IpAddress>& addresses) {
  for (const std::string& entry : list_directory(directory)) {
    if (const std::optional<IpAddress> address = IpAddress::find(entry)) addresses.push_back(*address);
  }
}

}  // namespace

bool is_resolvable_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string resolvable_name(std::string_view name) { return lower(name); }

void add_network_name(const fs::path& network, const std::string& name, const IpAddress& address,
                      const std::string& container_id) {
  const fs::path directory = network / "names" / resolvable_name(name);
  const fs::path link = directory / address.str();
  // Who removes the last address of a name removes its directory; it may go between our two steps.
  for (int tries = 0; tries < 100; ++tries) {
    make_directories(directory);
    if (::symlink(container_id.c_str(), link.c_str()) == 0) return;
    if (errno == EEXIST && find_link(link) == container_id) return;
    if (errno == EEXIST) ::unlink(link.c_str());  // of a dead container that had the address before
    else if (errno != ENOENT) throw_errno(errno, "create", link.native());
  }
  throw Error(ErrorKind::Busy, "name " + name + " cannot be written to " + directory.string());
}

void remove_network_name(const fs::path& network, const std::string& name, const IpAddress& address,
                         const std::string& container_id) {
  const fs::path directory = network / "names" / resolvable_name(name);
  const fs::path link = directory / address.str();
  const std::optional<std::string> holder = find_link(link);
  if (holder && holder != container_id) return;
  if (holder) ::unlink(link.c_str());  // the shim may have done it
  ::rmdir(directory.c_str());  // fails while others have the name
}

void add_network_pointer(const fs::path& network, const IpAddress& address, const std::string& name) {
  make_directories(network / "pointers");
  const fs::path link = network / "pointers" / address.str();
  ::unlink(link.c_str());
  if (::symlink(name.c_str(), link.c_str()) != 0 && errno != EEXIST) throw_errno(errno, "create", link.native());
}

std::vector<IpAddress> find_network_name(const fs::path& resolve, std::string_view name) {
  std::vector<IpAddress> addresses;
  if (!is_resolvable_name(name)) return addresses;
  for (const std::string& network : list_directory(resolve)) {
    if (network.starts_with('.')) continue;  // no network's name does
    const fs::path names = resolve / network / "names";
    collect(names / name, addresses);
    const std::string suffix = "." + lower(network);
    if (addresses.empty() && name.size() > suffix.size() && name.ends_with(suffix)) {
      collect(names / name.substr(0, name.size() - suffix.size()), addresses);
    }
  }
  return addresses;
}

std::string find_network_pointer(const fs::path& resolve, const IpAddress& address) {
  for (const std::string& network : list_directory(resolve)) {
    if (network.starts_with('.')) continue;
    if (const auto name = find_link(resolve / network / "pointers" / address.str())) return *name;
  }
  return {};
}

}  // namespace ctr
