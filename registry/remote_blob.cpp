#include "registry/remote_blob.h"

#include "base/error.h"

namespace ctr {
namespace {

constexpr std::size_t kPipeCapacity = 4 * 1024 * 1024;

class PipeReceiver : public BlobReceiver {
 public:
  PipeReceiver(BytePipe& pipe, std::uint64_t& received, std::uint64_t size)
      : pipe_(pipe), received_(received), size_(size) {}

  // A server that ignores the range sends again what was passed on already.
  void begin(std::uint64_t offset) override { skip_ = received_ - offset; }
  void write(Bytes data) override {
    const std::size_t skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, data.size()));
    skip_ -= skipped;
    data = data.subspan(skipped);
    if (data.size() > size_ - received_) throw Error(ErrorKind::Corrupt, "a blob is larger than its descriptor says");
    pipe_.write(data);
    received_ += data.size();
  }

 private:
  BytePipe& pipe_;
  std::uint64_t& received_;
  std::uint64_t size_;
  std::uint64_t skip_ = 0;
};

}  // namespace

void RemoteBlob::download() {
  RetryBudget budget(retry_);
  while (received_ < blob_.size) {
    const std::uint64_t before = received_;
    std::string problem = "the registry sent fewer bytes than the descriptor says";
    try {
      PipeReceiver receiver(*pipe_, received_, blob_.size);
      client_.get_blob(blob_.digest, before, receiver);
    } catch (const TransportError& error) {
      if (!is_retryable(error.failure())) throw;
      problem = error.what();
    } catch (const RegistryError& error) {
      if (!is_retryable(error.status())) throw;
      problem = error.what();
    }
    if (received_ == blob_.size) return;
    if (received_ > before) budget.bytes_moved();
    const auto delay = budget.next();
    if (!delay) throw Error(ErrorKind::Unavailable, "blob " + blob_.digest.str() + ": " + problem);
    budget.wait(*delay);
  }
}

void RemoteBlob::start() {
  pipe_ = std::make_unique<BytePipe>(kPipeCapacity);
  hasher_ = Hasher();
  received_ = 0;
  failure_ = nullptr;
  thread_ = std::thread([this] {
    try {
      download();
      pipe_->close();
    } catch (...) {
      failure_ = std::current_exception();
      pipe_->abort();
    }
  });
}

void RemoteBlob::stop() {
  if (pipe_) pipe_->stop_reading();
  if (thread_.joinable()) thread_.join();
  pipe_.reset();
}

std::size_t RemoteBlob::read(std::span<std::byte> into) {
  if (!pipe_) start();
  std::size_t got = 0;
  try {
    got = pipe_->read(into);
  } catch (const Error&) {
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    throw;
  }
  hasher_.write(Bytes(into).first(got));
  const bool is_end = hasher_.size() == blob_.size;
  if (is_end && hasher_.digest() != blob_.digest) {
    throw Error(ErrorKind::Corrupt, "blob " + blob_.digest.str() + " arrived with other bytes");
  }
  return got;
}

}  // namespace ctr
