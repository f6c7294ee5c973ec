#include "registry/hosts_toml.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ctr {
namespace {

struct Value {
  enum class Kind { String, Boolean, Array } kind = Kind::String;
  std::string text = {};
  bool boolean = false;
  std::vector<Value> items = {};
};

class Parser {
 public:
  Parser(std::string_view text, const fs::path& file) : rest_(text), file_(file) {}

  HostsToml run() {
    server_.url.clear();
    for (skip_blank_lines(); !rest_.empty(); skip_blank_lines()) {
      if (rest_.front() == '[') {
        table_ = table_name();
        open_table();
      } else {
        const std::string key = name();
        expect('=');
        assign(key, value(0));
      }
      end_of_line();
    }
    if (!server_.url.empty()) result_.server = server_;
    return result_;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorKind::Invalid, file_.native() + ":" + std::to_string(line_) + ": " + why);
  }

  void take() {
    if (rest_.front() == '\n') ++line_;
    rest_.remove_prefix(1);
  }
  void skip_spaces() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\r')) take();
  }
  void skip_comment() {
    if (rest_.empty() || rest_.front() != '#') return;
    while (!rest_.empty() && rest_.front() != '\n') take();
  }
  void skip_blank_lines() {
    while (true) {
      skip_spaces();
      skip_comment();
      if (rest_.empty() || rest_.front() != '\n') return;
      take();
    }
  }
  void end_of_line() {
    skip_spaces();
    skip_comment();
    if (!rest_.empty() && rest_.front() != '\n') fail("expected the end of the line");
  }
  void expect(char character) {
    skip_spaces();
    if (rest_.empty() || rest_.front() != character) fail(std::string("expected ") + character);
    take();
  }

  std::string quoted() {
    const char quote = rest_.front();
    take();
    std::string result;
    while (!rest_.empty() && rest_.front() != quote && rest_.front() != '\n') {
      char character = rest_.front();
      take();
      if (character == '\\' && quote == '"') {
        if (rest_.empty()) break;
        character = rest_.front();
        if (character != '"' && character != '\\') fail("this escape is not known here");
        take();
      }
      result += character;
    }
    if (rest_.empty() || rest_.front() != quote) fail("a quote is missing");
    take();
    return result;
  }

  std::string name() {
    skip_spaces();
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\'')) return quoted();
    std::string result;
    while (!rest_.empty() && (std::isalnum(static_cast<unsigned char>(rest_.front())) != 0 || rest_.front() == '_' ||
                              rest_.front() == '-')) {
      result += rest_.front();
      take();
    }
    if (result.empty()) fail("expected a name");
    return result;
  }

  std::vector<std::string> table_name() {
    expect('[');
    if (!rest_.empty() && rest_.front() == '[') fail("arrays of tables have no place here");
    std::vector<std::string> parts{name()};
    skip_spaces();
    while (!rest_.empty() && rest_.front() == '.') {
      take();
      parts.push_back(name());
      skip_spaces();
    }
    expect(']');
    return parts;
  }

  Value value(int depth) {
    skip_spaces();
    if (rest_.empty()) fail("expected a value");
    if (rest_.front() == '"' || rest_.front() == '\'') return {.text = quoted()};
    if (rest_.front() == '[') return array(depth);
    const std::string word = name();
    if (word != "true" && word != "false") fail("expected a string, true, false or an array");
    return {.kind = Value::Kind::Boolean, .boolean = word == "true"};
  }

  Value array(int depth) {
    if (depth > 3) fail("arrays are nested too deep");
    take();
    Value result{.kind = Value::Kind::Array};
    for (skip_blank_lines(); !rest_.empty() && rest_.front() != ']'; skip_blank_lines()) {
      result.items.push_back(value(depth + 1));
      skip_blank_lines();
      if (!rest_.empty() && rest_.front() == ',') {
        take();
      } else if (!rest_.empty() && rest_.front() != ']') {
        fail("expected , or ]");
      }
    }
    if (rest_.empty()) fail("expected ]");
    take();
    return result;
  }

  void open_table() {
    if (table_.front() != "host" || table_.size() < 2) fail("only tables [host.\"URL\"] are known");
    if (table_.size() > 3 || (table_.size() == 3 && table_[2] != "header")) fail("this table is not known");
    const bool known =
        std::any_of(result_.hosts.begin(), result_.hosts.end(), [&](const TomlHost& h) { return h.url == table_[1]; });
    if (known) return;
    result_.hosts.emplace_back();
    result_.hosts.back().url = table_[1];
  }

  TomlHost& current() {
    if (table_.empty()) return server_;
    return *std::find_if(result_.hosts.begin(), result_.hosts.end(),
                         [&](const TomlHost& host) { return host.url == table_[1]; });
  }

  void assign(const std::string& key, const Value& value) {
    TomlHost& host = current();
    if (table_.size() == 3) {
      for (const std::string& text : strings(value)) host.headers.emplace_back(key, text);
    } else if (key == "server" && table_.empty()) {
      host.url = string(value);
    } else if (key == "capabilities") {
      const std::vector<std::string> names = strings(value);
      host.can_pull = std::find(names.begin(), names.end(), "pull") != names.end();
      host.can_push = std::find(names.begin(), names.end(), "push") != names.end();
    } else if (key == "ca") {
      for (const std::string& text : strings(value)) host.authorities.push_back(path(text));
    } else if (key == "client") {
      set_client(host, value);
    } else if (key == "skip_verify") {
      host.skip_verify = boolean(value);
    } else if (key == "override_path") {
      host.override_path = boolean(value);
    } else if (key == "dial_timeout") {
      const auto duration = parse_duration(string(value));
      if (!duration) fail("dial_timeout is not a duration");
      host.dial_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(*duration);
    } else {
      fail("the key " + json_quote(key) + " is not known");
    }
  }

  // "file.pem", or [["client.cert", "client.key"]], or ["client.pem"].
  void set_client(TomlHost& host, const Value& value) {
    if (value.kind == Value::Kind::String) {
      host.client_certificate = host.client_key = path(value.text);
      return;
    }
    if (value.kind != Value::Kind::Array || value.items.empty()) fail("client is not a file or a pair of files");
    const Value& first = value.items.front();
    if (first.kind == Value::Kind::String) {
      host.client_certificate = path(first.text);
      host.client_key = path(value.items.back().text);
      return;
    }
    const std::vector<std::string> pair = strings(first);
    if (pair.size() != 2) fail("client is not a pair of files");
    host.client_certificate = path(pair[0]);
    host.client_key = path(pair[1]);
  }

  std::string path(const std::string& text) const {
    const fs::path given(text);
    return given.is_absolute() ? text : (file_.parent_path() / given).native();
  }
  std::string string(const Value& value) const {
    if (value.kind != Value::Kind::String) fail("expected a string");
    return value.text;
  }
  bool boolean(const Value& value) const {
    if (value.kind != Value::Kind::Boolean) fail("expected true or false");
    return value.boolean;
  }
  std::vector<std::string> strings(const Value& value) const {
    if (value.kind == Value::Kind::String) return {value.text};
    if (value.kind != Value::Kind::Array) fail("expected a string or an array of strings");
    std::vector<std::string> result;
    for (const Value& item : value.items) result.push_back(string(item));
    return result;
  }

  std::string_view rest_;
  const fs::path& file_;
  int line_ = 1;
  std::vector<std::string> table_;
  TomlHost server_;
  HostsToml result_;
};

}  // namespace

HostsToml parse_hosts_toml(std::string_view text, const fs::path& file) {
  return Parser(text, file).run();
}

}  // namespace ctr
