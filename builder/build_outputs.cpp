#include "builder/build_outputs.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/text.h"
#include "builder/file_output.h"
#include "builder/rootfs_view.h"
#include "builder/source_tree.h"
#include "image/archive.h"
#include "image/canonical_tar.h"
#include "image/entry_sources.h"
#include "image/image.h"
#include "image/layer_ingest.h"
#include "image/manifest.h"
#include "image/tar_reader.h"

namespace ctr {

namespace {

std::string attribute(const OutputSpec& output, const char* name) {
  const auto found = output.attributes.find(name);
  return found == output.attributes.end() ? std::string() : found->second;
}

bool is_set(const OutputSpec& output, const char* name, bool otherwise) {
  const std::string value = attribute(output, name);
  return value.empty() ? otherwise : parse_bool(value).value_or(otherwise);
}

/// "linux_amd64", "linux_arm_v7": the directory of one platform.
std::string platform_directory(const Platform& platform) { return replace_all(platform.str(), "/", "_"); }

/// A destination file, or standard output.
class Destination {
 public:
  explicit Destination(const std::string& path) {
    if (path != "-" && !path.empty()) file_ = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  }
  ByteSink& sink() { return sink_.emplace(file_ ? file_.get() : STDOUT_FILENO); }

 private:
  Fd file_;
  std::optional<FdSink> sink_;
};

/// The entries of a finished root file system, in order.
template <typename Take>
void each_entry(const Store& store, const FinishedPlatform& platform, Take&& take) {
  const Fd view = open_rootfs_view(store, platform.layers);
  DirectorySource source(view.get(), TreeKind::Plain, overlay_xattrs_of_this_process());
  while (auto entry = source.next()) take(*entry, source);
}

void write_local(Store& store, const OutputSpec& output, const std::vector<FinishedPlatform>& platforms,
                 const std::set<std::string>& entitlements) {
  const bool is_split = is_set(output, "platform-split", platforms.size() > 1);
  const bool is_delete = attribute(output, "mode") == "delete";
  if (is_delete && !entitlements.contains("buildx.local.delete"))
    throw Error(ErrorKind::Denied, "output mode=delete removes files of " + output.destination +
                                       ": allow it with --allow buildx.local.delete");
  for (const FinishedPlatform& platform : platforms) {
    const fs::path directory = is_split ? fs::path(output.destination) / platform_directory(platform.platform)
                                        : fs::path(output.destination);
    FileOutput files(directory);
    each_entry(store, platform, [&](const Entry& entry, FileContent& content) { files.add(entry, content); });
    if (is_delete) files.remove_others();
    files.finish();
  }
}

void write_tar(Store& store, const OutputSpec& output, const std::vector<FinishedPlatform>& platforms) {
  const bool is_split = is_set(output, "platform-split", platforms.size() > 1);
  Destination destination(output.destination);
  CanonicalTarWriter writer(destination.sink());
  std::map<std::string, const FinishedPlatform*> sorted;
  for (const FinishedPlatform& platform : platforms)
    sorted[is_split ? platform_directory(platform.platform) : std::string()] = &platform;
  for (const auto& [prefix, platform] : sorted) {
    each_entry(store, *platform, [&](Entry& entry, FileContent& content) {
      if (entry.path.empty() && prefix.empty()) return;
      entry.path = join_path(prefix, entry.path);
      if (entry.type == EntryType::HardLink) entry.link = join_path(prefix, entry.link);
      writer.add(entry, content);
    });
  }
  writer.finish();
}

/// An archive as a directory: the OCI layout itself.
void unpack_layout(const fs::path& archive, const std::string& destination) {
  const Fd file = open_file(archive, O_RDONLY);
  FdSource source(file.get());
  TarReader reader(source, WhiteoutNames::ArePlain);
  FileOutput files(destination);
  while (const auto entry = reader.next()) files.add(*entry, reader);
  files.finish();
}

}  // namespace

bool keeps_image(const OutputSpec& output) {
  switch (output.type) {
    case OutputSpec::Type::Image: return is_set(output, "store", true);
    case OutputSpec::Type::Registry: return true;
    case OutputSpec::Type::Docker: return output.destination.empty();
    default: return false;
  }
}

bool needs_image(const OutputSpec& output) {
  return output.type != OutputSpec::Type::Local && output.type != OutputSpec::Type::Tar &&
         output.type != OutputSpec::Type::CacheOnly;
}

std::vector<OutputSpec> outputs_of(const BuildRequest& request) {
  if (!request.outputs.empty()) return request.outputs;
  OutputSpec image;
  image.type = OutputSpec::Type::Image;
  return {image};
}

std::optional<CompressionChoice> compression_of(const OutputSpec& output) {
  const std::string name = attribute(output, "compression");
  if (name.empty()) return std::nullopt;
  CompressionChoice choice;
  if (name == "uncompressed") {
    choice.kind = Compression::None;
  } else if (name == "zstd") {
    choice.kind = Compression::Zstd;
  } else if (name == "gzip") {
    choice.kind = Compression::Gzip;
  } else {
    throw Error(ErrorKind::Unavailable, "compression=" + name + " is not supported: use gzip, zstd or uncompressed");
  }
  const std::string level = attribute(output, "compression-level");
  if (!level.empty()) {
    const auto number = parse_int(level);
    if (!number || *number < 0 || *number > 22)
      throw Error(ErrorKind::Invalid, "invalid compression-level " + level + ": expected a number from 0 to 22");
    choice.level = static_cast<int>(*number);
  }
  return choice;
}

namespace {

Descriptor compress_layer(Store& store, Pin& pin, const Layer& layer, CompressionChoice choice,
                          std::string_view manifest_type) {
  const LayerBlob blob = open_layer_blob(store, layer.blob, layer.diff_id, choice, manifest_type);
  pin.add(blob.blob.digest);
  if (auto writer = store.blobs().ingest(blob.blob.digest)) {
    writer->restart();
    FdSource source(blob.file.get());
    copy_all(source, *writer, blob.blob.size);
    std::move(*writer).commit(blob.blob.media_type, blob.blob.size);
  }
  return blob.blob;
}

Descriptor compress_manifest(Store& store, Pin& pin, const Descriptor& target, CompressionChoice choice) {
  const Image image = load_image(store.blobs(), target, target.platform.value_or(host_platform()));
  Manifest manifest = image.document;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const Annotations annotations = manifest.layers[i].annotations;
    manifest.layers[i] = compress_layer(store, pin, image.layers[i], choice, target.media_type);
    manifest.layers[i].annotations = annotations;
  }
  const std::string text = serialise(manifest);
  Descriptor result = describe(target.media_type, text);
  pin.add(result.digest);
  store.blobs().put(target.media_type, text);
  result.platform = target.platform;
  result.annotations = target.annotations;
  return result;
}

}  // namespace

Descriptor compress_image(Store& store, Pin& pin, const Descriptor& target, CompressionChoice choice) {
  if (!target.is_index()) return compress_manifest(store, pin, target, choice);
  Index index = parse_index(store.blobs().read(target.digest, kManifestLimit), target.media_type);
  for (Descriptor& child : index.manifests)
    if (!is_attestation(child)) child = compress_manifest(store, pin, child, choice);
  const std::string text = serialise(index);
  Descriptor result = describe(target.media_type, text);
  pin.add(result.digest);
  store.blobs().put(target.media_type, text);
  return result;
}

void write_files(Store& store, const OutputSpec& output, const std::vector<FinishedPlatform>& platforms,
                 const std::set<std::string>& entitlements, StepReporter& reporter) {
  if (output.type == OutputSpec::Type::Local) {
    ReportedStep step(reporter, "exporting to client directory");
    write_local(store, output, platforms, entitlements);
    step.status({.text = "copying files", .is_done = true});
    step.done();
  } else {
    ReportedStep step(reporter, "exporting to client tarball");
    write_tar(store, output, platforms);
    step.status({.text = "sending tarball", .is_done = true});
    step.done();
  }
}

void write_archive(Store& store, const OutputSpec& output, const std::vector<std::string>& names,
                   const Descriptor& target, StepReporter& reporter) {
  const bool is_docker = output.type == OutputSpec::Type::Docker;
  ReportedStep step(reporter, is_docker ? "exporting to docker image format" : "exporting to oci image format");
  ImageToSave image{{}, target};
  for (const std::string& name : names) image.names.push_back(Reference::parse(name));
  if (is_set(output, "tar", true)) {
    Destination destination(output.destination);
    save_images(store, {image}, std::nullopt, destination.sink());
  } else {
    const TempDirectory directory(store.root() / "ingest", "layout");
    {
      Destination archive((directory.path() / "archive").native());
      save_images(store, {image}, std::nullopt, archive.sink());
    }
    unpack_layout(directory.path() / "archive", output.destination);
  }
  step.status({.text = "sending tarball", .is_done = true});
  step.done();
}

void push_image(const BuildServices& services, const std::vector<std::string>& names, const Descriptor& target,
                const OutputSpec& output, StepReporter& reporter) {
  if (names.empty()) throw Error(ErrorKind::Invalid, "tag is needed when pushing to registry");
  if (!services.push) throw Error(ErrorKind::Unavailable, "this build can't push: no registry is at hand");
  const bool by_digest = is_set(output, "push-by-digest", false);
  for (const std::string& name : names) {
    const Reference reference = Reference::parse(name);
    ReportedStep step(reporter, "pushing " + reference.str());
    services.push(by_digest ? reference.without_tag() : reference, target,
                  [&](std::string_view item, std::uint64_t current, std::uint64_t total) {
                    step.status({.text = "pushing layer " + std::string(item),
                                 .current = current,
                                 .total = total,
                                 .is_bytes = true,
                                 .is_done = total != 0 && current >= total});
                  });
    step.done();
  }
}

}  // namespace ctr
