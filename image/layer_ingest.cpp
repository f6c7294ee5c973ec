#include "image/layer_ingest.h"

#include <atomic>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/trace.h"
#include "image/byte_pipe.h"
#include "image/canonical_tar.h"
#include "image/compression.h"
#include "image/layer_blob.h"
#include "image/store.h"
#include "image/tar_reader.h"

namespace ctr {

namespace {

constexpr std::size_t kPipeCapacity = 4 * kMiB;
constexpr std::size_t kBufferSize = 256 * 1024;

// Finds out whether a tar is our canonical one: writes it anew from its own entries and compares the digests. Only for
// uncompressed blobs, which then need not be kept beside the tree.
class CanonicalCheck {
 public:
  CanonicalCheck() : tar_(hasher_) {}

  void begin(const Entry& entry) {
    attempt([&] { tar_.begin(entry); });
  }
  void write(Bytes bytes) {
    attempt([&] { tar_.write(bytes); });
  }
  void write_zeros(std::uint64_t count) {
    attempt([&] { tar_.write_zeros(count); });
  }
  bool is_canonical(const Digest& digest) {
    attempt([&] { tar_.finish(); });
    return is_possible_ && hasher_.digest() == digest;
  }

 private:
  template <typename Step>
  void attempt(Step step) {
    if (!is_possible_) return;
    try {
      step();
    } catch (const Error&) {
      is_possible_ = false;  // another order, or what a canonical tar never has
    }
  }

  Hasher hasher_;
  CanonicalTarWriter tar_;
  bool is_possible_ = true;
};

class CheckedContent final : public FileContent {
 public:
  CheckedContent(FileContent& from, CanonicalCheck& check) : from_(from), check_(check) {}
  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t count = from_.read(buffer);
    check_.write(Bytes(buffer).first(count));
    return count;
  }
  std::uint64_t skip_hole() override {
    const std::uint64_t hole = from_.skip_hole();
    check_.write_zeros(hole);
    return hole;
  }

 private:
  FileContent& from_;
  CanonicalCheck& check_;
};

// Remembers the first bytes, which say how the stream is compressed.
class FirstBytes final : public ByteSource {
 public:
  explicit FirstBytes(ByteSource& from) : from_(from) {}
  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t count = from_.read(buffer);
    for (std::size_t i = 0; i < count && first_.size() < 8; ++i) first_.push_back(buffer[i]);
    return count;
  }
  Bytes first() const { return first_; }

 private:
  ByteSource& from_;
  std::vector<std::byte> first_;
};

// Inflates and hashes on a thread of its own, a few buffers ahead of whoever reads the tar.
class InflateStage final : public ByteSource {
 public:
  explicit InflateStage(ByteSource& compressed)
      : first_(compressed), plain_(decompress(first_)), pipe_(kPipeCapacity), thread_([this] { run(); }) {}
  ~InflateStage() override { stop(); }
  InflateStage(const InflateStage&) = delete;
  InflateStage& operator=(const InflateStage&) = delete;

  bool is_plain() const { return detect_compression(first_.first()) == Compression::None; }

  std::size_t read(std::span<std::byte> buffer) override {
    try {
      return pipe_.read(buffer);
    } catch (const Error&) {
      stop();
      if (failure_) std::rethrow_exception(failure_);
      throw;
    }
  }

  // Reads to the end, padding behind the tar included, which the digest covers.
  const Hasher& finish() {
    std::vector<std::byte> rest(kBufferSize);
    while (read(rest) > 0) {
    }
    stop();
    return hasher_;
  }

 private:
  void run() noexcept {
    try {
      for (;;) {
        std::vector<std::byte> chunk(kBufferSize);
        const std::size_t count = plain_->read(chunk);
        if (count == 0) break;
        chunk.resize(count);
        hasher_.write(chunk);
        pipe_.write_chunk(std::move(chunk));
        if (is_stopping_) return;
      }
      pipe_.close();
    } catch (...) {
      failure_ = std::current_exception();
      pipe_.abort();
    }
  }

  void stop() noexcept {
    is_stopping_ = true;
    pipe_.stop_reading();
    if (thread_.joinable()) thread_.join();
  }

  FirstBytes first_;
  std::unique_ptr<ByteSource> plain_;
  Hasher hasher_;
  BytePipe pipe_;
  std::exception_ptr failure_;
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

// Unpacks a blob into `writer` and returns what the layer is called.
LayerIdentity unpack(ByteSource& compressed, LayerWriter& writer) {
  InflateStage input(compressed);
  CanonicalCheck check;
  TarReader tar(input);
  while (const std::optional<Entry> entry = tar.next()) {
    if (input.is_plain()) {
      check.begin(*entry);
      CheckedContent content(tar, check);
      writer.add(*entry, content);
    } else {
      writer.add(*entry, tar);
    }
  }
  const Hasher& hasher = input.finish();
  const Digest digest = hasher.digest();
  return {digest, hasher.size(), input.is_plain() && check.is_canonical(digest) ? kCanonicalTarVersion : 0};
}

void check_diff_id(const LayerIdentity& identity, const Digest& expected, const Digest& blob) {
  if (identity.diff_id != expected)
    throw Error(ErrorKind::Corrupt, "layer " + blob.str() + " unpacks to " + identity.diff_id.str() +
                                        ", but its image says " + expected.str());
}

}  // namespace

struct LayerIngest::State {
  State(Store& given_store, const Descriptor& given_blob, const Digest& given_diff_id)
      : store(given_store), blob(given_blob), diff_id(given_diff_id) {}

  ~State() { stop(); }

  void start() {
    pipe = std::make_unique<BytePipe>(kPipeCapacity);
    failure = nullptr;
    writer = store.layers().create();
    thread = std::thread([this] { run(*pipe); });
  }

  void run(BytePipe& input) noexcept {
    const TraceSpan span("unpack", blob.digest.str());
    try {
      identity = unpack(input, *writer);
    } catch (...) {
      failure = std::current_exception();
    }
    input.stop_reading();
  }

  void feed(ByteSource& source) {
    std::vector<std::byte> buffer(kBufferSize);
    while (const std::size_t count = source.read(buffer)) pipe->write(Bytes(buffer).first(count));
  }

  void stop() noexcept {
    if (!thread.joinable()) return;
    pipe->abort();
    thread.join();
  }

  void join() {
    pipe->close();
    thread.join();
  }

  Store& store;
  Descriptor blob;
  Digest diff_id;
  bool is_done = false;
  std::optional<BlobWriter> blob_writer;  // nothing: the blob is here
  std::unique_ptr<LayerWriter> writer;    // nothing: the layer is here
  std::unique_ptr<BytePipe> pipe;
  std::thread thread;
  std::exception_ptr failure;
  std::optional<LayerIdentity> identity;
};

LayerIngest::LayerIngest(Store& store, const Descriptor& blob, const Digest& diff_id)
    : state_(std::make_unique<State>(store, blob, diff_id)) {
  State& state = *state_;
  state.is_done = has_layer(store, blob, diff_id);
  if (state.is_done) return;
  state.blob_writer = store.blobs().ingest(blob.digest);
  if (store.layers().has(diff_id)) {
    state.is_done = !state.blob_writer;
    return;
  }
  state.start();
  if (state.blob_writer) {
    if (state.blob_writer->offset() > 0) state.feed(*state.blob_writer->resumed_bytes());
  } else {
    const Fd file = store.blobs().open(blob.digest);
    FdSource source(file.get());
    state.feed(source);
  }
}

LayerIngest::~LayerIngest() = default;

bool LayerIngest::needs_bytes() const noexcept {
  return state_->blob_writer.has_value();
}

std::uint64_t LayerIngest::offset() const noexcept {
  return state_->blob_writer ? state_->blob_writer->offset() : 0;
}

void LayerIngest::write(Bytes bytes) {
  if (!state_->blob_writer) throw Error(ErrorKind::Invalid, "layer " + state_->blob.digest.str() + " needs no bytes");
  state_->blob_writer->write(bytes);
  if (state_->writer) state_->pipe->write(bytes);
}

void LayerIngest::restart() {
  state_->blob_writer->restart();
  if (!state_->writer) return;
  state_->stop();
  state_->start();
}

LayerInfo LayerIngest::commit() {
  State& state = *state_;
  if (state.is_done) return state.store.layers().info(state.diff_id);
  state.is_done = true;
  if (state.writer) state.join();
  // The blob's digest first: when its bytes are wrong, what the unpacker says about them is no news.
  const bool is_unpacked = state.writer && !state.failure;
  const bool is_canonical = is_unpacked && state.identity->canonical_version != 0 &&
                            state.identity->diff_id == state.diff_id && state.blob.digest == state.diff_id;
  if (is_canonical && state.blob_writer) {
    std::move(*state.blob_writer).discard();
  } else if (state.blob_writer) {
    std::move(*state.blob_writer).commit(state.blob.media_type, state.blob.size);
  }
  if (!state.writer) return state.store.layers().info(state.diff_id);
  if (state.failure) std::rethrow_exception(state.failure);
  check_diff_id(*state.identity, state.diff_id, state.blob.digest);
  return state.writer->commit(*state.identity);
}

LayerInfo unpack_blob(Store& store, const Descriptor& blob, const Digest& diff_id) {
  if (const std::optional<LayerInfo> info = store.layers().find(diff_id)) return *info;
  const TraceSpan span("unpack", blob.digest.str());
  const Fd file = store.blobs().open(blob.digest);
  FdSource source(file.get());
  const std::unique_ptr<LayerWriter> writer = store.layers().create();
  const LayerIdentity identity = unpack(source, *writer);
  check_diff_id(identity, diff_id, blob.digest);
  return writer->commit(identity);
}

bool has_layer(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  return store.layers().has(diff_id) && can_open_layer_blob(store, blob, diff_id);
}

}  // namespace ctr
