#include "registry/blob_upload.h"

#include <chrono>

#include "base/error.h"
#include "base/trace.h"

namespace ctr {
namespace {

constexpr std::size_t kMostMountTries = 3;

// Counts what is sent, and says so at most ten times a second.
class CountingBody : public HttpBodySource {
 public:
  CountingBody(HttpBodySource& body, const std::string& id, TransferProgress& progress)
      : body_(body), id_(id), progress_(progress) {}
  std::uint64_t size() const override { return body_.size(); }
  std::size_t read(std::span<std::byte> into) override {
    const std::size_t got = body_.read(into);
    sent_ += got;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_report_ >= std::chrono::milliseconds(100)) {
      last_report_ = now;
      progress_.layer({id_, LayerState::Pushing, sent_, size(), {}});
    }
    return got;
  }
  void rewind() override {
    body_.rewind();
    sent_ = 0;
  }

 private:
  HttpBodySource& body_;
  const std::string& id_;
  TransferProgress& progress_;
  std::uint64_t sent_ = 0;
  std::chrono::steady_clock::time_point last_report_{};
};

// A session that was lost or a digest that came out wrong (a broken line) is worth a new session.
bool is_worth_a_new_session(const RegistryError& error) {
  return is_retryable(error.status()) || error.status() == 404 || error.status() == 416 ||
         (error.status() == 400 && std::string_view(error.what()).find("digest") != std::string_view::npos);
}

}  // namespace

UploadReport BlobUpload::run(const Descriptor& blob, const std::string& progress_id,
                             const std::vector<std::string>& mount_candidates,
                             const std::function<std::unique_ptr<HttpBodySource>()>& open_body) {
  const TraceSpan span("push blob", blob.digest.short_hex());
  if (client.has_blob(blob.digest)) return {UploadOutcome::AlreadyThere};
  std::optional<UploadSession> session;
  for (std::size_t i = 0; i < mount_candidates.size() && i < kMostMountTries; ++i) {
    if (session) client.cancel_upload(*session);
    session = client.mount_blob(blob.digest, mount_candidates[i]);
    if (!session) return {UploadOutcome::Mounted, mount_candidates[i]};
  }
  RetryBudget budget(retry);
  while (true) {
    std::string problem;
    try {
      if (!session) session = client.start_upload();
      const std::unique_ptr<HttpBodySource> body = open_body();
      CountingBody counted(*body, progress_id, progress);
      progress.layer({progress_id, LayerState::Pushing, 0, blob.size, {}});
      client.finish_upload(*session, blob.digest, &counted);
      return {UploadOutcome::Sent};
    } catch (const TransportError& error) {
      if (!is_retryable(error.failure())) throw;
      problem = error.what();
    } catch (const RegistryError& error) {
      if (!is_worth_a_new_session(error)) throw;
      problem = error.what();
    }
    const auto delay = budget.next();
    if (!delay) throw Error(ErrorKind::Unavailable, "blob " + blob.digest.str() + ": " + problem);
    const auto seconds = static_cast<std::uint64_t>((delay->count() + 999) / 1000);
    progress.layer({progress_id, LayerState::Retrying, seconds, 0, problem});
    budget.wait(*delay);
    session.reset();
    // The answer may have been lost after the blob arrived.
    if (client.has_blob(blob.digest)) return {UploadOutcome::Sent};
  }
}

}  // namespace ctr
