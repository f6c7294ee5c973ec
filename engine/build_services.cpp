#include "engine/build_services.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>

#include "base/error.h"
#include "base/text.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/store.h"
#include "registry/http.h"
#include "registry/pull.h"
#include "registry/push.h"
#include "registry/registry_client.h"
#include "registry/session.h"
#include "registry/url.h"

namespace ctr {
namespace {

constexpr int kMaxRedirects = 10;

/// Layers' progress as the builder's byte counts.
class ForwardedProgress final : public TransferProgress {
 public:
  explicit ForwardedProgress(const ByteProgress& forward) : forward_(forward) {}

  void layer(const LayerProgress& progress) override {
    if (!forward_ || progress.total == 0) return;
    const std::lock_guard lock(mutex_);
    forward_(progress.id, progress.current, progress.total);
  }
  void message(const std::string&) override {}

 private:
  const ByteProgress& forward_;
  std::mutex mutex_;
};

Descriptor pull_metadata(Context& context, RegistrySession& session, const Reference& reference, const Platform& platform,
                         const ByteProgress& forward) {
  ForwardedProgress progress(forward);
  PullOptions options;
  options.platform = platform;
  options.progress = &progress;
  return pull_manifests(context.store(), session, reference, options).target;
}

std::optional<Descriptor> fetch_manifest(Context& context, RegistrySession& session, const Reference& reference) {
  RegistryClient client = session.client(reference.host(), reference.repository());
  try {
    const FetchedManifest manifest =
        client.get_manifest(reference.digest() ? reference.digest()->str() : reference.tag());
    context.store().blobs().put(manifest.descriptor.media_type, manifest.bytes);
    return manifest.descriptor;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) return std::nullopt;
    throw;
  }
}

/// Bytes of a blob on their way into the store.
class BlobIntoStore final : public BlobReceiver {
 public:
  BlobIntoStore(BlobWriter& writer, const Descriptor& blob, const ByteProgress& forward)
      : writer_(writer), blob_(blob), forward_(forward) {}

  void begin(std::uint64_t offset) override {
    if (offset != writer_.offset()) writer_.restart();
  }
  void write(Bytes data) override {
    writer_.write(data);
    if (forward_) forward_(blob_.digest.short_hex(), writer_.offset(), blob_.size);
  }

 private:
  BlobWriter& writer_;
  const Descriptor& blob_;
  const ByteProgress& forward_;
};

void fetch_blob(Context& context, RegistrySession& session, const Reference& reference, const Descriptor& blob,
                const ByteProgress& forward) {
  std::optional<BlobWriter> writer = context.store().blobs().ingest(blob.digest);
  if (!writer) return;
  RegistryClient client = session.client(reference.host(), reference.repository());
  BlobIntoStore receiver(*writer, blob, forward);
  for (std::uint64_t before = writer->offset();; before = writer->offset()) {
    try {
      client.get_blob(blob.digest, writer->offset(), receiver);
      break;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Unavailable || writer->offset() == before) throw;
    }
  }
  std::move(*writer).commit(blob.media_type, blob.size);
}

/// The body of a download, with a bound.
class UrlBody final : public HttpBodySink {
 public:
  UrlBody(ByteSink& sink, const UrlQuery& query) : sink_(sink), query_(query) {}

  void begin(const HttpResponse& response) override { is_wanted_ = response.status >= 200 && response.status < 300; }
  void write(Bytes data) override {
    if (!is_wanted_) return;
    received_ += data.size();
    if (query_.limit_bytes != 0 && received_ > query_.limit_bytes) {
      throw Error(ErrorKind::Invalid, query_.url + " is larger than " +
                                          human_size(static_cast<double>(query_.limit_bytes)) + ", which is the limit");
    }
    sink_.write(data);
  }

 private:
  ByteSink& sink_;
  const UrlQuery& query_;
  std::uint64_t received_ = 0;
  bool is_wanted_ = false;
};

/// Content-Disposition: attachment; filename="x.tar"
std::string disposition_name(const HttpHeaders& headers) {
  const std::optional<std::string> field = headers.find("Content-Disposition");
  if (!field) return {};
  for (const std::string& part : split(*field, ';')) {
    const auto parameter = cut(trim(part), '=');
    if (!parameter || lower(trim(parameter->first)) != "filename") continue;
    std::string_view name = trim(parameter->second);
    if (name.size() >= 2 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
    const std::string base = fs::path(name).filename().native();
    if (base != "." && base != "..") return base;
  }
  return {};
}

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<std::chrono::system_clock::time_point> http_date(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  std::tm parts{};
  if (::strptime(text->c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

[[noreturn]] void fail_fetch(const std::string& url, int status) {
  const std::string sentence = "failed to load " + url + ": HTTP status " + std::to_string(status);
  if (status == 404 || status == 410) throw Error(ErrorKind::NotFound, sentence);
  if (status == 401 || status == 403) throw Error(ErrorKind::Denied, sentence);
  throw Error(ErrorKind::Unavailable, sentence);
}

FetchedUrl fetch_url(RegistrySession& session, const UrlQuery& query, ByteSink& sink) {
  Url url = Url::parse(query.url);
  const std::string origin = url.origin();
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    HttpRequest request;
    request.url = url.str();
    // Headers of the caller (credentials) stay with the host that they were meant for.
    if (url.origin() == origin) {
      for (const auto& [name, value] : query.headers) request.headers.set(name, value);
    } else {
      request.addresses = AddressPolicy::RefuseLocal;
    }
    UrlBody body(sink, query);
    const HttpResponse response = session.transport().perform(request, body);
    const std::optional<std::string> location = response.headers.find("Location");
    if (response.status >= 300 && response.status < 400 && response.status != 304 && location) {
      url = url.resolve(*location);
      continue;
    }
    if (response.status != 304 && (response.status < 200 || response.status >= 300)) fail_fetch(query.url, response.status);
    FetchedUrl fetched;
    fetched.final_url = url.str();
    fetched.file_name = disposition_name(response.headers);
    fetched.media_type = response.headers.find("Content-Type").value_or("");
    fetched.etag = response.headers.find("ETag").value_or("");
    fetched.last_modified = http_date(response.headers.find("Last-Modified"));
    return fetched;
  }
  throw Error(ErrorKind::Unavailable, "failed to load " + query.url + ": too many redirects");
}

void offer_shell(const std::string& banner, const std::function<int()>& shell) {
  const std::string text = banner + "\n";
  write_all(STDERR_FILENO, as_bytes(text));
  shell();
}

}  // namespace

BuildServices build_services(Context& context, RegistrySession& session) {
  BuildServices services;
  services.pull_metadata = [&](const Reference& reference, const Platform& platform, const ByteProgress& progress) {
    return pull_metadata(context, session, reference, platform, progress);
  };
  services.pull_layers = [&](const Reference& reference, const Descriptor& manifest, const ByteProgress& forward) {
    ForwardedProgress progress(forward);
    PullOptions options;
    options.progress = &progress;
    pull_layers(context.store(), session, reference, manifest, options);
  };
  services.push = [&](const Reference& reference, const Descriptor& target, const ByteProgress& forward) {
    ForwardedProgress progress(forward);
    PushOptions options;
    options.progress = &progress;
    push_image(context.store(), session, target, reference, options);
  };
  services.fetch_manifest = [&](const Reference& reference) { return fetch_manifest(context, session, reference); };
  services.fetch_blob = [&](const Reference& reference, const Descriptor& blob, const ByteProgress& progress) {
    fetch_blob(context, session, reference, blob, progress);
  };
  services.fetch_url = [&](const UrlQuery& query, ByteSink& body) { return fetch_url(session, query, body); };
  services.open_network = [&](const std::string& mode) { return open_build_network(context, mode); };
  if (::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1) services.offer_shell = offer_shell;
  return services;
}

}  // namespace ctr
