// Tars as other tools write them, and as attackers do: any header field may be given any bytes.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace ctr {

class TarBuilder {
 public:
  struct Member {
    std::string name;
    char type = '0';
    std::string content = {};
    std::string link = {};
    unsigned mode = 0644;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::int64_t mtime = 1000;
    unsigned major = 0;
    unsigned minor = 0;
    std::map<std::string, std::string> pax = {};
  };

  TarBuilder& add(const Member& member);
  TarBuilder& file(const std::string& name, const std::string& content) { return add({name, '0', content}); }
  TarBuilder& directory(const std::string& name, unsigned mode = 0755) { return add({name, '5', {}, {}, mode}); }
  TarBuilder& symlink(const std::string& name, const std::string& target) { return add({name, '2', {}, target, 0777}); }
  TarBuilder& hard_link(const std::string& name, const std::string& target) { return add({name, '1', {}, target}); }
  TarBuilder& raw(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  /// With the two zero blocks at the end.
  std::string finish() const { return bytes_ + std::string(1024, '\0'); }
  /// Without them.
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace ctr
