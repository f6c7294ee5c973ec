#include <array>
#include <cstring>
#include <sys/stat.h>

#include "base/error.h"
#include "base/time.h"
#include "shim/protocol.h"

namespace ctr {

namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// A longer last line is not looked at as a whole: no line that the shim writes comes near.
constexpr std::uint64_t kMaxFragment = 1024 * 1024;

/// The length of the UTF-8 character at the front of `text`, or 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) > 0x9f) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

bool is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

void append_escaped(std::string& out, unsigned char c) {
  switch (c) {
    case '"':
    case '\\':
      out += '\\';
      out += static_cast<char>(c);
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    default:
      out += "\\u00";
      out += kHexDigits[c >> 4];
      out += kHexDigits[c & 15];
  }
}

/// Appends the text as a JSON string's inside, with Docker's escapes. False if some of it was not UTF-8.
bool append_text(std::string& out, std::string_view text) {
  bool is_utf8 = true;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t plain = at;
    while (plain < text.size() && is_plain(static_cast<unsigned char>(text[plain]))) ++plain;
    out.append(text, at, plain - at);
    at = plain;
    if (at == text.size()) break;
    const std::size_t length = utf8_length(text.substr(at));
    const std::string_view character = text.substr(at, length);
    if (length == 0) {
      is_utf8 = false;
      out += "\\ufffd";
      at += 1;
      continue;
    }
    if (length == 1) {
      append_escaped(out, static_cast<unsigned char>(text[at]));
    } else if (character == "\xe2\x80\xa8" || character == "\xe2\x80\xa9") {
      out += character.back() == '\xa8' ? "\\u2028" : "\\u2029";
    } else {
      out += character;
    }
    at += length;
  }
  return is_utf8;
}

void append_base64(std::string& out, std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kBase64[group >> (18 - 6 * k) & 63];
    }
  }
}

bool decode_base64(std::string_view text, std::string& out) {
  out.clear();
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return false;
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(group >> bits & 255);
    }
  }
  return true;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 63));
    out += static_cast<char>(0x80 | (code >> 6 & 63));
    out += static_cast<char>(0x80 | (code & 63));
  }
}

/// Walks over one line of JSON. Only what log lines are made of: one object whose members are strings, or objects that
/// are skipped.
class LineScanner {
 public:
  explicit LineScanner(std::string_view text) : rest_(text) {}

  bool take(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }

  /// Appends the decoded string to `out`; false when it breaks off or is wrong. `out` then holds what was there.
  bool read_string(std::string& out) {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const std::size_t special = rest_.find_first_of("\"\\");
      out.append(rest_.substr(0, special));
      if (special == std::string_view::npos) {
        rest_ = {};
        return false;
      }
      const bool is_end = rest_[special] == '"';
      rest_.remove_prefix(special + (is_end ? 1 : 0));
      if (is_end) return true;
      if (!read_escape(out)) return false;
    }
    return false;
  }

  /// Skips one value of any kind.
  bool skip_value() {
    skip_blanks();
    if (rest_.empty()) return false;
    if (rest_.front() == '"') {
      std::string ignored;
      return read_string(ignored);
    }
    int depth = 0;
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"') {
        std::string ignored;
        if (!read_string(ignored)) return false;
        continue;
      }
      if (depth == 0 && (c == ',' || c == '}')) return true;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      rest_.remove_prefix(1);
    }
    return false;
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\r')) {
      rest_.remove_prefix(1);
    }
  }

  std::optional<std::uint32_t> read_hex() {
    if (rest_.size() < 6 || rest_[0] != '\\' || rest_[1] != 'u') return std::nullopt;
    std::uint32_t code = 0;
    for (std::size_t i = 2; i < 6; ++i) {
      const char c = rest_[i];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return std::nullopt;
      code = code << 4 | static_cast<std::uint32_t>(digit);
    }
    rest_.remove_prefix(6);
    return code;
  }

  bool read_escape(std::string& out) {
    if (rest_.size() < 2) return false;
    if (rest_[1] == 'u') {
      auto code = read_hex();
      if (!code) return false;
      if (*code >= 0xd800 && *code < 0xdc00) {
        const auto low = read_hex();
        if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
        code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
      }
      append_utf8(out, *code);
      return true;
    }
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    const std::size_t which = kNames.find(rest_[1]);
    if (which == std::string_view::npos) return false;
    out += kValues[which];
    rest_.remove_prefix(2);
    return true;
  }

  std::string_view rest_;
};

/// Reads members until the end or until the line breaks off; says whether it was whole.
bool scan_log_line(std::string_view json, LogLine& line, bool& has_text) {
  line.text.clear();
  line.time.clear();
  line.stream = LogStream::Stdout;
  has_text = false;
  LineScanner scanner(json);
  if (!scanner.take('{')) return false;
  std::string key;
  std::string value;
  do {
    key.clear();
    value.clear();
    if (!scanner.read_string(key) || !scanner.take(':')) return false;
    if (key == "log") {
      has_text = true;
      if (!scanner.read_string(line.text)) return false;
    } else if (key == "stream") {
      if (!scanner.read_string(value)) return false;
      line.stream = value == "stderr" ? LogStream::Stderr : LogStream::Stdout;
    } else if (key == "time") {
      if (!scanner.read_string(line.time)) return false;
    } else if (key == "raw") {
      if (!scanner.read_string(value) || !decode_base64(value, line.text)) return false;
    } else if (!scanner.skip_value()) {
      return false;
    }
  } while (scanner.take(','));
  return scanner.take('}') && scanner.at_end();
}

}  // namespace

void append_log_line(std::string& out, std::string_view text, LogStream stream, std::string_view time) {
  out += "{\"log\":\"";
  const bool is_utf8 = append_text(out, text);
  out += stream == LogStream::Stderr ? "\",\"stream\":\"stderr\",\"time\":\"" : "\",\"stream\":\"stdout\",\"time\":\"";
  out += time;
  if (!is_utf8) {
    out += "\",\"raw\":\"";
    append_base64(out, text);
  }
  out += "\"}\n";
}

bool parse_log_line(std::string_view json, LogLine& line) {
  bool has_text = false;
  return scan_log_line(json, line, has_text) && has_text;
}

std::optional<LogLine> salvage_log_line(std::string_view fragment) {
  LogLine line;
  bool has_text = false;
  scan_log_line(fragment, line, has_text);
  if (line.text.empty()) return std::nullopt;
  if (!parse_time(line.time)) line.time.clear();
  return line;
}

std::uint64_t repair_log_file(int log) {
  struct stat status;
  check(::fstat(log, &status), "look at", "the log");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) return 0;
  // The start of the last line: searched backwards, in growing steps.
  std::string tail;
  std::size_t line_start = std::string::npos;
  for (std::uint64_t step = 4096; line_start == std::string::npos; step *= 4) {
    const std::uint64_t length = std::min(step, size);
    tail.resize(length);
    const ssize_t got = check(::pread(log, tail.data(), length, static_cast<off_t>(size - length)), "read", "the log");
    tail.resize(static_cast<std::size_t>(got));
    if (tail.empty() || tail.back() == '\n') return size;
    const std::size_t newline = tail.rfind('\n');
    if (newline != std::string::npos) line_start = newline + 1;
    if (newline == std::string::npos && (length == size || length > kMaxFragment)) line_start = 0;
  }
  const std::string_view fragment = std::string_view(tail).substr(line_start);
  const std::uint64_t good = size - fragment.size();
  std::optional<LogLine> line = salvage_log_line(fragment);
  check(::ftruncate(log, static_cast<off_t>(good)), "shorten", "the log");
  if (!line) return good;
  if (line->time.empty()) {
    line->time = format_time(
        Time(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec)));
  }
  std::string whole;
  append_log_line(whole, line->text, line->stream, line->time);
  check(::pwrite(log, whole.data(), whole.size(), static_cast<off_t>(good)), "write to", "the log");
  return good + whole.size();
}

}  // namespace ctr
