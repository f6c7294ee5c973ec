#include "cli/transfer_view.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "cli/output.h"

namespace ctr {

namespace {

constexpr std::chrono::milliseconds kRedrawEvery(100);
constexpr std::chrono::seconds kPlainEvery(10);

bool moves(LayerState state) {
  return state == LayerState::Downloading || state == LayerState::Extracting || state == LayerState::Pushing;
}

bool is_end(LayerState state) {
  return state == LayerState::PullComplete || state == LayerState::AlreadyExists || state == LayerState::Pushed ||
         state == LayerState::LayerAlreadyExists || state == LayerState::MountedFrom;
}

/// Without a terminal only beginnings, ends and trouble are worth a line.
bool is_worth_a_line(LayerState state) {
  return is_end(state) || state == LayerState::PullingFsLayer || state == LayerState::Preparing ||
         state == LayerState::Retrying || state == LayerState::Waiting;
}

std::string bar(std::uint64_t current, std::uint64_t total) {
  constexpr std::size_t kWidth = 30;
  if (total == 0) return {};
  const auto share = static_cast<double>(std::min(current, total)) / static_cast<double>(total);
  const auto done = static_cast<std::size_t>(share * static_cast<double>(kWidth));
  std::string text = "[" + std::string(done, '=');
  if (done < kWidth) text += ">" + std::string(kWidth - done - 1, ' ');
  return text + "]  ";
}

}  // namespace

std::string layer_words(const LayerProgress& progress) {
  switch (progress.state) {
    case LayerState::PullingFsLayer:
      return "Pulling fs layer";
    case LayerState::Waiting:
      return "Waiting";
    case LayerState::Downloading:
      return "Downloading";
    case LayerState::VerifyingChecksum:
      return "Verifying Checksum";
    case LayerState::DownloadComplete:
      return "Download complete";
    case LayerState::Extracting:
      return "Extracting";
    case LayerState::PullComplete:
      return "Pull complete";
    case LayerState::AlreadyExists:
      return "Already exists";
    case LayerState::Preparing:
      return "Preparing";
    case LayerState::Pushing:
      return "Pushing";
    case LayerState::Pushed:
      return "Pushed";
    case LayerState::LayerAlreadyExists:
      return "Layer already exists";
    case LayerState::MountedFrom:
      return "Mounted from " + progress.detail;
    case LayerState::Retrying:
      return "Retrying in " + std::to_string(progress.current) + (progress.current == 1 ? " second" : " seconds") +
             (progress.detail.empty() ? "" : ": " + progress.detail);
  }
  return {};
}

TransferView::TransferView(int fd, Loudness loudness)
    : fd_(fd), is_quiet_(loudness == Loudness::Quiet), is_live_(is_terminal(fd)) {}

TransferView::~TransferView() {
  if (is_live_ && !lines_.empty()) redraw(Clock::now());
}

void TransferView::write(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd_, rest.data(), rest.size());
    if (count <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

void TransferView::message(const std::string& sentence) {
  if (is_quiet_) return;
  const std::lock_guard guard(mutex_);
  if (is_live_ && !lines_.empty()) {
    // What was drawn stays above the sentence; later layers start a new block.
    redraw(Clock::now());
    lines_.clear();
    drawn_ = 0;
  }
  write(sentence + "\n");
}

void TransferView::layer(const LayerProgress& progress) {
  if (is_quiet_) return;
  const std::lock_guard guard(mutex_);
  const Clock::time_point now = Clock::now();
  auto line = std::find_if(lines_.begin(), lines_.end(), [&](const Line& other) { return other.progress.id == progress.id; });
  const bool is_new = line == lines_.end();
  if (is_new) line = lines_.insert(lines_.end(), Line{progress, {}});
  const LayerState before = line->progress.state;
  if (!is_new && is_end(before)) return;
  line->progress = progress;
  if (!is_live_) {
    if (is_new || before != progress.state || moves(progress.state)) print_plain(*line, now, is_new ? LayerState::Retrying : before);
  } else if (is_new || is_end(progress.state) || now - last_draw_ >= kRedrawEvery) {
    redraw(now);
  }
}

void TransferView::print_plain(Line& line, Clock::time_point now, LayerState before) {
  const LayerProgress& progress = line.progress;
  const bool is_change = before != progress.state && is_worth_a_line(progress.state);
  const bool is_due = moves(progress.state) && line.printed != Clock::time_point() && now - line.printed >= kPlainEvery;
  if (!is_change && !is_due) return;
  std::string text = progress.id + ": " + layer_words(progress);
  if (is_due && progress.total > 0) {
    text += " " + human_size(static_cast<double>(std::min(progress.current, progress.total))) + "/" +
            human_size(static_cast<double>(progress.total));
  }
  line.printed = now;
  write(text + "\n");
}

void TransferView::redraw(Clock::time_point now) {
  last_draw_ = now;
  const auto width = static_cast<std::size_t>(terminal_width(fd_));
  std::string text;
  if (drawn_ > 0) text += "\x1b[" + std::to_string(drawn_) + "A";
  for (const Line& line : lines_) {
    const LayerProgress& progress = line.progress;
    std::string row = progress.id + ": " + layer_words(progress);
    if (moves(progress.state)) {
      row += " " + bar(progress.current, progress.total) +
             human_size(static_cast<double>(progress.total > 0 ? std::min(progress.current, progress.total) : progress.current));
      if (progress.total > 0) row += "/" + human_size(static_cast<double>(progress.total));
    }
    text += "\r" + row.substr(0, width > 1 ? width - 1 : width) + "\x1b[K\n";
  }
  drawn_ = lines_.size();
  write(text);
}

}  // namespace ctr
