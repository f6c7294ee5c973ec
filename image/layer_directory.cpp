#include "image/layer_directory.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/rooted_path.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr int kLayerVersion = 1;

// The listed entries, files with their content from the tree.
class ListedTreeSource final : public EntrySource {
 public:
  ListedTreeSource(const fs::path& tree, std::string list) : tree_(open_directory(tree)), list_(std::move(list)) {}

  std::optional<Entry> next() override {
    file_.reset();
    rest_ = 0;
    for (;;) {
      std::optional<ListedEntry> listed = list_.next();
      if (!listed) return std::nullopt;
      if (listed->is_implied) continue;
      if (listed->entry.type == EntryType::File) {
        file_ = open_beneath(tree_.get(), listed->entry.path, O_RDONLY | O_NOFOLLOW);
        rest_ = listed->entry.size;
      }
      return std::move(listed->entry);
    }
  }

  std::size_t read(std::span<std::byte> buffer) override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), rest_));
    if (wanted == 0) return 0;
    const std::size_t count = FdSource(file_.get()).read(buffer.first(wanted));
    rest_ -= count;
    return count;
  }

 private:
  Fd tree_;
  EntryListReader list_;
  Fd file_;
  std::uint64_t rest_ = 0;
};

// JSON holds Unicode alone, and names are bytes: those with other than plain letters are written as %XX.

bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '%'; }
bool is_plain_path(const std::string& path) { return std::ranges::all_of(path, is_plain); }

std::string escaped(const std::string& path) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (const char c : path) {
    if (is_plain(c)) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return result;
}

std::string unescaped(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    const auto byte = parse_uint(text.substr(i + 1, 2), 16);
    if (!byte || i + 2 >= text.size()) throw Error(ErrorKind::Corrupt, "\"" + text + "\" is no escaped path");
    result += static_cast<char>(*byte);
    i += 2;
  }
  return result;
}

}  // namespace

std::unique_ptr<EntrySource> read_layer_directory(const fs::path& tree, std::string entry_list) {
  return std::make_unique<ListedTreeSource>(tree, std::move(entry_list));
}

Json to_json(const LayerInfo& info) {
  std::vector<std::string> plain;
  std::vector<std::string> others;
  for (const std::string& path : info.implied) {
    if (is_plain_path(path)) {
      plain.push_back(path);
    } else {
      others.push_back(escaped(path));
    }
  }
  return Json::object({{"v", kLayerVersion},
                       {"diffId", info.identity.diff_id.str()},
                       {"tarSize", info.identity.tar_size},
                       {"canonicalVersion", info.identity.canonical_version},
                       {"form", info.form == LayerForm::Erofs ? "erofs" : "directory"},
                       {"entries", info.entries},
                       {"contentSize", info.content_size},
                       {"implied", plain},
                       {"impliedEscaped", others}});
}

LayerInfo layer_info_from_json(const Json& json) {
  if (const auto version = json.require_int("v"); version > kLayerVersion)
    throw Error(ErrorKind::Invalid, "layer written by a newer ctr (record version " + std::to_string(version) + ")");
  LayerInfo info{{Digest::parse(json.require_string("diffId")), static_cast<std::uint64_t>(json.require_int("tarSize")),
                  static_cast<int>(json.int_or("canonicalVersion"))}};
  info.form = json.string_or("form") == "erofs" ? LayerForm::Erofs : LayerForm::Directory;
  info.entries = static_cast<std::uint64_t>(json.int_or("entries"));
  info.content_size = static_cast<std::uint64_t>(json.int_or("contentSize"));
  info.implied = json.strings("implied");
  const std::vector<std::string> others = json.strings("impliedEscaped");
  for (const std::string& text : others) info.implied.push_back(unescaped(text));
  std::ranges::sort(info.implied, [](const auto& left, const auto& right) { return compare_paths(left, right) < 0; });
  return info;
}

NewLayerDirectory::NewLayerDirectory(const fs::path& root, const UnsyncedMarkers& markers)
    : root_(root), markers_(markers) {
  // A prune may take the directory for an abandoned one before it is locked: then another one is made.
  for (;;) {
    path_ = root / "layers" / (".new-" + random_hex(12));
    check(::mkdir(path_.c_str(), 0755), "create", path_);
    std::optional<Fd> directory = find_at(AT_FDCWD, path_, O_RDONLY | O_DIRECTORY);
    if (!directory || ::flock(directory->get(), LOCK_EX | LOCK_NB) != 0 || !path_exists(path_)) continue;
    lock_ = std::move(*directory);
    return;
  }
}

NewLayerDirectory::~NewLayerDirectory() {
  if (path_.empty()) return;
  try {
    // At once, not by way of the trash: the disk may be full.
    remove_tree(path_);
  } catch (const std::exception&) {
    // It stays, unlocked: the next prune finds it.
  }
}

void NewLayerDirectory::publish(const LayerInfo& info, std::string entry_list) {
  write_file_atomic(path_ / "entries", entry_list, Durability::Cached);
  publish(info);
}

void NewLayerDirectory::publish(const LayerInfo& info) {
  write_file_atomic(path_ / "layer.json", to_json(info).dump(), Durability::Cached);
  const std::string name = "layers/" + info.identity.diff_id.hex();
  if (path_exists(root_ / name)) return;
  markers_.mark(name);
  const fs::path target = root_ / name;
  if (::rename(path_.c_str(), target.c_str()) == 0) {
    path_.clear();
  } else if (errno != EEXIST && errno != ENOTEMPTY) {
    throw_errno(errno, "publish layer", target.native());
  }
}

}  // namespace ctr
