#include <algorithm>

#include "base/text.h"
#include "builder/build.h"

namespace ctr {

namespace {

constexpr int kContextLines = 4;
constexpr std::size_t kMaxLineWidth = 500;

std::string last_lines(std::string_view text, std::size_t count) {
  std::vector<std::string> lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  const std::size_t first = lines.size() > count ? lines.size() - count : 0;
  std::string result;
  for (std::size_t i = first; i < lines.size(); ++i) result += lines[i] + "\n";
  return result;
}

std::string padded_number(int number) {
  std::string text = std::to_string(number);
  return text.size() < 4 ? std::string(4 - text.size(), ' ') + text : text;
}

std::string excerpt(const SourceExcerpt& where) {
  if (where.first_line == 0) return {};
  const std::vector<std::string> lines = split(where.text, '\n');
  const int count = static_cast<int>(lines.size());
  const int first = std::max(1, where.first_line - kContextLines / 2);
  const int last = std::min(count, where.last_line + kContextLines / 2);
  std::string result = where.file + ":" + std::to_string(where.first_line) + "\n--------------------\n";
  for (int number = first; number <= last; ++number) {
    const bool is_marked = number >= where.first_line && number <= where.last_line;
    std::string line = lines[static_cast<std::size_t>(number - 1)].substr(0, kMaxLineWidth);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    result += padded_number(number) + " | " + (is_marked ? ">>> " : "    ") + line + "\n";
  }
  return result + "--------------------\n";
}

}  // namespace

BuildFailure::BuildFailure(ErrorKind kind, const std::string& message, Details details)
    : Error(kind, message), details_(std::make_shared<const Details>(std::move(details))) {}

std::string render_failure(const BuildFailure& failure) {
  const BuildFailure::Details& details = failure.details();
  std::string result;
  if (!details.step.empty() && !details.output.empty()) {
    result += "------\n > " + details.step + ":\n" + last_lines(details.output, kShownOutputLines);
    if (!details.output_file.empty()) result += "(the whole output is in " + details.output_file + ")\n";
    result += "------\n";
  }
  result += excerpt(details.where);
  return result + "ERROR: failed to solve: " + failure.what() + "\n";
}

}  // namespace ctr
