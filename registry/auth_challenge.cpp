#include "registry/auth_challenge.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text.h"

namespace ctr {
namespace {

constexpr std::size_t kLongestField = 16 * 1024;
constexpr std::size_t kMostChallenges = 16;
constexpr std::size_t kMostParameters = 32;

// Walks over one header field. Each function consumes what it recognises, or nothing.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
  }
  void skip_separators() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == ',')) {
      rest_.remove_prefix(1);
    }
  }
  bool accept(char character) {
    if (rest_.empty() || rest_.front() != character) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string token() {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token_character);
    std::string result(rest_.begin(), end);
    rest_.remove_prefix(result.size());
    return result;
  }
  // A quoted string after its first quote; what is not closed ends with the field.
  std::string quoted() {
    std::string result;
    while (!rest_.empty()) {
      char character = rest_.front();
      rest_.remove_prefix(1);
      if (character == '"') break;
      if (character == '\\' && !rest_.empty()) {
        character = rest_.front();
        rest_.remove_prefix(1);
      }
      result += character;
    }
    return result;
  }
  std::string unquoted() {
    const std::size_t end = std::min(rest_.find_first_of(", \t"), rest_.size());
    std::string result(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return result;
  }
  void skip_one() { rest_.remove_prefix(1); }

  // name = value, if the text goes on like that.
  std::optional<std::pair<std::string, std::string>> parameter() {
    const std::string_view before = rest_;
    std::string name = token();
    skip_blanks();
    if (name.empty() || !accept('=')) {
      rest_ = before;
      return std::nullopt;
    }
    skip_blanks();
    std::string value = accept('"') ? quoted() : unquoted();
    return std::make_pair(lower(name), std::move(value));
  }

 private:
  static bool is_token_character(char character) {
    constexpr std::string_view kSpecial = "!#$%&'*+-.^_`|~";
    return std::isalnum(static_cast<unsigned char>(character)) != 0 ||
           kSpecial.find(character) != std::string_view::npos;
  }

  std::string_view rest_;
};

void read_parameters(Scanner& scanner, AuthChallenge& challenge) {
  while (challenge.parameters.size() < kMostParameters) {
    scanner.skip_separators();
    auto parameter = scanner.parameter();
    if (!parameter) return;
    challenge.parameters.insert(std::move(*parameter));
  }
}

}  // namespace

std::string AuthChallenge::parameter(std::string_view name) const {
  const auto found = parameters.find(std::string(name));
  return found == parameters.end() ? std::string() : found->second;
}

std::vector<AuthChallenge> parse_auth_challenges(std::string_view field) {
  std::vector<AuthChallenge> challenges;
  Scanner scanner(field.substr(0, kLongestField));
  while (challenges.size() < kMostChallenges) {
    scanner.skip_separators();
    if (scanner.at_end()) break;
    AuthChallenge challenge;
    challenge.scheme = lower(scanner.token());
    if (challenge.scheme.empty()) {
      scanner.skip_one();
      continue;
    }
    read_parameters(scanner, challenge);
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace ctr
