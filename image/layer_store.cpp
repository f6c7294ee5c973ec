#include "image/layer_store.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "image/canonical_tar.h"
#include "image/entry_list.h"
#include "image/entry_sources.h"
#include "image/layer_directory.h"
#include "image/layer_erofs.h"
#include "image/trash.h"

namespace ctr {

namespace {

constexpr std::uint64_t kEntryListLimit = 4096 * kMiB;
constexpr std::uint64_t kInfoLimit = 256 * kMiB;
constexpr std::size_t kFormLimit = 16;
constexpr int kCapSysAdmin = 21;

fs::path layer_path(const fs::path& directory, const Digest& diff_id) {
  return directory / diff_id.hex();
}

}  // namespace

OverlayXattrs overlay_xattrs_of_this_process() {
  static const OverlayXattrs xattrs =
      has_capability(kCapSysAdmin) && is_in_first_user_namespace() ? OverlayXattrs::Trusted : OverlayXattrs::User;
  return xattrs;
}

struct CanonicalLayerWriter::State {
  // Content passes here on its way to the store, and into the tar's digest. A hole is hashed as zeros.
  class Tap final : public FileContent {
   public:
    Tap(FileContent& from, CanonicalTarWriter& tar) : from_(from), tar_(tar) {}
    std::size_t read(std::span<std::byte> buffer) override {
      const std::size_t count = from_.read(buffer);
      tar_.write(Bytes(buffer).first(count));
      return count;
    }
    std::uint64_t skip_hole() override {
      const std::uint64_t hole = from_.skip_hole();
      tar_.write_zeros(hole);
      return hole;
    }

   private:
    FileContent& from_;
    CanonicalTarWriter& tar_;
  };

  // The tar's bytes: always hashed, also given away when somebody wants them.
  class Output final : public ByteSink {
   public:
    explicit Output(ByteSink* copy) : copy_(copy) {}
    void write(Bytes bytes) override {
      hasher.write(bytes);
      if (copy_) copy_->write(bytes);
    }
    Hasher hasher;

   private:
    ByteSink* copy_;
  };

  State(std::unique_ptr<LayerWriter> given, ByteSink* copy) : writer(std::move(given)), output(copy), tar(output) {}

  std::unique_ptr<LayerWriter> writer;
  Output output;
  CanonicalTarWriter tar;
};

CanonicalLayerWriter::CanonicalLayerWriter(std::unique_ptr<LayerWriter> writer, ByteSink* tar)
    : state_(std::make_unique<State>(std::move(writer), tar)) {}
CanonicalLayerWriter::~CanonicalLayerWriter() = default;

void CanonicalLayerWriter::add(const Entry& given, FileContent& content) {
  const Entry entry = canonical_entry(given);
  state_->tar.begin(entry);
  State::Tap tap(content, state_->tar);
  state_->writer->add(entry, tap);
}

LayerInfo CanonicalLayerWriter::commit() {
  state_->tar.finish();
  const Hasher& hasher = state_->output.hasher;
  return state_->writer->commit({hasher.digest(), hasher.size(), kCanonicalTarVersion});
}

LayerFormat parse_layer_format(std::string_view text) {
  if (text == "auto") return LayerFormat::Auto;
  if (text == "directory") return LayerFormat::Directory;
  if (text == "erofs") return LayerFormat::Erofs;
  throw Error(ErrorKind::Invalid, "\"" + std::string(text) + "\" is none of auto, directory, erofs");
}

LayerStore::LayerStore(fs::path root, fs::path run, UnsyncedMarkers markers, LayerFormat format)
    : root_(std::move(root)),
      directory_(root_ / "layers"),
      markers_(std::move(markers)),
      format_(format),
      mounts_(root_, std::move(run)) {
  make_directories(directory_);
  const char* forced = format == LayerFormat::Auto ? std::getenv("CTR_LAYER_FORMAT") : nullptr;
  if (forced != nullptr && *forced != '\0')
    format_ = in_context("CTR_LAYER_FORMAT", [&] { return parse_layer_format(forced); });
}

LayerForm LayerStore::form() const {
  if (format_ != LayerFormat::Erofs) return LayerForm::Directory;
  const std::string& why = why_no_erofs(root_);
  if (why.empty()) return LayerForm::Erofs;
  throw Error(ErrorKind::Unavailable, "the layer format erofs is demanded, but this machine can't mount images: " + why);
}

bool LayerStore::has(const Digest& diff_id) const {
  return path_exists(layer_path(directory_, diff_id));
}

std::optional<LayerInfo> LayerStore::find(const Digest& diff_id) const {
  const fs::path path = layer_path(directory_, diff_id) / "layer.json";
  const std::optional<std::string> text = find_file(path, kInfoLimit);
  if (!text) return std::nullopt;
  return in_context(path.native(), [&] { return layer_info_from_json(Json::parse(*text)); });
}

LayerInfo LayerStore::info(const Digest& diff_id) const {
  std::optional<LayerInfo> result = find(diff_id);
  if (!result) throw Error(ErrorKind::NotFound, "layer " + diff_id.str() + " is not in the store");
  return std::move(*result);
}

std::vector<Digest> LayerStore::list() const {
  std::vector<Digest> result;
  for (const std::string& name : list_directory(directory_)) {
    if (const auto digest = Digest::from_hex(name)) result.push_back(*digest);
  }
  return result;
}

std::unique_ptr<LayerWriter> LayerStore::create() const {
  return create(form());
}

std::unique_ptr<LayerWriter> LayerStore::create(LayerForm form) const {
  if (form == LayerForm::Erofs) return make_erofs_writer(root_, markers_, overlay_xattrs_of_this_process());
  return make_directory_writer(root_, markers_, overlay_xattrs_of_this_process());
}

LayerInfo LayerStore::adopt_upper(const fs::path& upper) const {
  NewLayerDirectory layer(root_, markers_);
  LayerInfo info{LayerIdentity{Digest::of(std::string_view()), 0, kCanonicalTarVersion}};
  info.implied.emplace_back();
  EntryListWriter list;
  list.add(Entry{"", EntryType::Directory, 0755}, true);
  Hasher hasher;
  CanonicalTarWriter tar(hasher);
  DirectorySource source(open_directory(upper).get(), TreeKind::AdoptedUpper, overlay_xattrs_of_this_process());
  while (const std::optional<Entry> entry = source.next()) {
    list.add(*entry, false);
    info.content_size += entry->size;
    tar.add(*entry, source);
  }
  tar.finish();
  info.identity.diff_id = hasher.digest();
  info.identity.tar_size = hasher.size();
  info.entries = list.count();
  check(::rename(upper.c_str(), layer.tree().c_str()), "adopt", upper);
  layer.publish(info, std::move(list).finish());
  return info;
}

std::unique_ptr<EntrySource> LayerStore::read(const Digest& diff_id) const {
  const fs::path layer = layer_path(directory_, diff_id);
  if (path_exists(mounts_.image_path(diff_id))) return read_layer_erofs(open_tree(diff_id), info(diff_id));
  std::optional<std::string> list = find_file(layer / "entries", kEntryListLimit);
  if (!list) throw Error(ErrorKind::NotFound, "layer " + diff_id.str() + " is not in the store");
  return read_layer_directory(layer / "fs", std::move(*list));
}

std::unique_ptr<EntrySource> LayerStore::read_anew(const Digest& diff_id) const {
  const fs::path image = mounts_.image_path(diff_id);
  if (!path_exists(image)) return read(diff_id);
  const Fd mount = mount_erofs_detached(image);
  return read_layer_erofs(open_at(mount.get(), ".", O_RDONLY | O_DIRECTORY), info(diff_id));
}

void LayerStore::write_canonical_tar(const Digest& diff_id, ByteSink& sink) const {
  const LayerInfo layer = info(diff_id);
  if (layer.identity.canonical_version == 0)
    throw Error(ErrorKind::NotFound,
                "layer " + diff_id.str() + " came from another tool, and its tar is not in the store");
  HashingSink output(sink);
  CanonicalTarWriter tar(output, layer.identity.canonical_version);
  const std::unique_ptr<EntrySource> entries = read(diff_id);
  while (const std::optional<Entry> entry = entries->next()) tar.add(*entry, *entries);
  tar.finish();
  if (output.hasher().digest() != diff_id)
    throw Error(ErrorKind::Corrupt, "layer " + diff_id.str() + " is damaged: its content now has the digest " +
                                        output.hasher().digest().str());
}

std::vector<CompressedForm> LayerStore::compressed_forms(const Digest& diff_id) const {
  std::vector<CompressedForm> result;
  const fs::path path = layer_path(directory_, diff_id) / "compressed.json";
  const std::optional<std::string> text = find_file(path, kMiB);
  if (!text) return result;
  in_context(path.native(), [&] {
    const Json json = Json::parse(*text);
    for (const Json& form : json.elements("forms"))
      result.push_back({descriptor_from_json(form.at("blob"), "blob"), form.string_or("encoder")});
  });
  return result;
}

void LayerStore::remember_compressed(const Digest& diff_id, const CompressedForm& form) const {
  if (!has(diff_id)) return;
  std::vector<CompressedForm> forms = compressed_forms(diff_id);
  if (!forms.empty() && forms.back().blob == form.blob && forms.back().encoder == form.encoder) return;
  std::erase_if(forms, [&](const CompressedForm& known) {
    return known.blob.digest == form.blob.digest || (!form.encoder.empty() && known.encoder == form.encoder);
  });
  if (forms.size() >= kFormLimit) forms.erase(forms.begin());
  forms.push_back(form);
  Json list = Json::array();
  for (const CompressedForm& known : forms)
    list.push_back(Json::object({{"blob", to_json(known.blob)}, {"encoder", known.encoder}}));
  write_file_atomic(layer_path(directory_, diff_id) / "compressed.json",
                    Json::object({{"v", 1}, {"forms", std::move(list)}}).dump(), Durability::Cached);
}

void LayerStore::remove(const Digest& diff_id, const fs::path& trash) const {
  move_to_trash(layer_path(directory_, diff_id), trash);
}

void LayerStore::remove_abandoned(const fs::path& trash) const {
  for (const std::string& name : list_directory(directory_)) {
    if (!name.starts_with(".new-")) continue;
    const std::optional<Fd> layer = find_at(AT_FDCWD, directory_ / name, O_RDONLY | O_DIRECTORY);
    if (layer && ::flock(layer->get(), LOCK_EX | LOCK_NB) == 0) move_to_trash(directory_ / name, trash);
  }
}

}  // namespace ctr
