#include "registry/layer_pull.h"

#include <chrono>

#include "base/error.h"
#include "base/trace.h"
#include "image/layer_ingest.h"

namespace ctr {
namespace {

class SilentProgress : public TransferProgress {
 public:
  void layer(const LayerProgress&) override {}
  void message(const std::string&) override {}
};

// Hands a blob's bytes to the ingest and says how many there are, at most ten times a second.
class IngestReceiver : public BlobReceiver {
 public:
  IngestReceiver(LayerIngest& ingest, const Descriptor& blob, TransferProgress& progress)
      : ingest_(ingest), blob_(blob), progress_(progress) {}

  void begin(std::uint64_t offset) override {
    if (offset != ingest_.offset()) ingest_.restart();
    report();
  }
  void write(Bytes data) override {
    if (data.size() > blob_.size - ingest_.offset()) {
      ingest_.restart();
      throw Error(ErrorKind::Corrupt, "blob " + blob_.digest.str() + " is larger than the " +
                                          std::to_string(blob_.size) + " bytes that its descriptor says");
    }
    ingest_.write(data);
    if (std::chrono::steady_clock::now() - last_report_ >= std::chrono::milliseconds(100)) report();
  }

 private:
  void report() {
    last_report_ = std::chrono::steady_clock::now();
    progress_.layer({blob_.digest.short_hex(), LayerState::Downloading, ingest_.offset(), blob_.size, {}});
  }

  LayerIngest& ingest_;
  const Descriptor& blob_;
  TransferProgress& progress_;
  std::chrono::steady_clock::time_point last_report_{};
};

bool may_retry(const RegistryError& error) {
  return is_retryable(error.status());
}

// Brings what is missing. Returns when all bytes are there; their digest is not yet known to be right.
void download(LayerPull& pull, LayerIngest& ingest, const Descriptor& blob) {
  RetryBudget budget(pull.retry);
  while (ingest.offset() < blob.size) {
    const std::uint64_t before = ingest.offset();
    std::string problem = "the registry sent fewer bytes than the descriptor says";
    try {
      IngestReceiver receiver(ingest, blob, pull.progress);
      pull.client.get_blob(blob.digest, before, receiver);
    } catch (const TransportError& error) {
      if (!is_retryable(error.failure())) throw;
      problem = error.what();
    } catch (const RegistryError& error) {
      if (error.status() == 416 && before > 0) {
        ingest.restart();
      } else if (!may_retry(error)) {
        throw;
      }
      problem = error.what();
    }
    if (ingest.offset() == blob.size) return;
    if (ingest.offset() > before) budget.bytes_moved();
    const auto delay = budget.next();
    if (!delay) throw Error(ErrorKind::Unavailable, "blob " + blob.digest.str() + ": " + problem);
    const auto seconds = static_cast<std::uint64_t>((delay->count() + 999) / 1000);
    pull.progress.layer({blob.digest.short_hex(), LayerState::Retrying, seconds, 0, problem});
    budget.wait(*delay);
  }
}

}  // namespace

TransferProgress& silent_progress() {
  static SilentProgress progress;
  return progress;
}

void LayerPull::download_and_commit(const Descriptor& blob, const Digest& diff_id) {
  const std::string id = blob.digest.short_hex();
  progress.layer({id, LayerState::Waiting, 0, blob.size, {}});
  LayerIngest ingest(store, blob, diff_id);
  if (ingest.needs_bytes()) {
    download(*this, ingest, blob);
    progress.layer({id, LayerState::VerifyingChecksum, blob.size, blob.size, {}});
    progress.layer({id, LayerState::DownloadComplete, blob.size, blob.size, {}});
  }
  progress.layer({id, LayerState::Extracting, blob.size, blob.size, {}});
  ingest.commit();
  progress.layer({id, LayerState::PullComplete, blob.size, blob.size, {}});
}

void LayerPull::run(const Descriptor& blob, const Digest& diff_id) {
  const TraceSpan span("pull layer", blob.digest.short_hex());
  try {
    download_and_commit(blob, diff_id);
  } catch (const Error& error) {
    // A partial file of an earlier try may hold wrong bytes, and so may a cache on the way: once more from the start.
    if (error.kind() != ErrorKind::Corrupt) throw;
    progress.layer({blob.digest.short_hex(), LayerState::Retrying, 0, 0, error.what()});
    download_and_commit(blob, diff_id);
  }
}

}  // namespace ctr
