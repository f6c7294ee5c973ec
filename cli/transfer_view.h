// Pull and push as people watch them, in Docker's words: on a terminal a line a layer, redrawn at most ten times a second;
// elsewhere a line when a layer starts and ends.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "registry/progress.h"

namespace ctr {

/// Thread-safe. Writes to `fd`; a quiet one writes nothing.
class TransferView final : public TransferProgress {
 public:
  enum class Loudness { Normal, Quiet };
  TransferView(int fd, Loudness loudness);
  ~TransferView() override;

  void layer(const LayerProgress& progress) override;
  void message(const std::string& sentence) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Line {
    LayerProgress progress;
    Clock::time_point printed;
  };

  void redraw(Clock::time_point now);
  void print_plain(Line& line, Clock::time_point now, LayerState before);
  void write(const std::string& text);

  const int fd_;
  const bool is_quiet_;
  const bool is_live_;
  std::mutex mutex_;
  std::vector<Line> lines_;
  std::size_t drawn_ = 0;
  Clock::time_point last_draw_;
};

/// "Downloading", "Pull complete"… with bytes where they move.
std::string layer_words(const LayerProgress& progress);

}  // namespace ctr
