#include "cli/template_syntax.h"

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::Invalid, "template parsing error: " + why); }

struct Token {
  enum class Kind { End, Word, Field, Variable, Text, Number, Open, Close, Pipe, Declare, Assign, Comma } kind = Kind::End;
  std::string text;
  bool follows_blank = true;
};

bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/// The words inside one pair of {{ }}.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  std::vector<Token> all() {
    std::vector<Token> tokens;
    for (;;) {
      Token token = next();
      const bool is_end = token.kind == Token::Kind::End;
      tokens.push_back(std::move(token));
      if (is_end) return tokens;
    }
  }

 private:
  Token next() {
    bool blank = false;
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\n' || rest_.front() == '\r')) {
      rest_.remove_prefix(1);
      blank = true;
    }
    Token token = scan();
    token.follows_blank = blank;
    return token;
  }

  Token scan() {
    if (rest_.empty()) return {};
    const char c = rest_.front();
    if (c == '"') return quoted();
    if (c == '`') return raw();
    if (c == '\'') return character();
    if (c == '.') return field();
    if (c == '$') return {Token::Kind::Variable, "$" + name_after(1), true};
    if (c == '(') return single(Token::Kind::Open);
    if (c == ')') return single(Token::Kind::Close);
    if (c == '|') return single(Token::Kind::Pipe);
    if (c == ',') return single(Token::Kind::Comma);
    if (c == '=') return single(Token::Kind::Assign);
    if (rest_.starts_with(":=")) {
      rest_.remove_prefix(2);
      return {Token::Kind::Declare, ":=", true};
    }
    if ((c >= '0' && c <= '9') || c == '-' || c == '+') return number();
    if (is_name(c)) return {Token::Kind::Word, name_after(0), true};
    fail(std::string("unexpected \"") + c + "\" in command");
  }

  Token single(Token::Kind kind) {
    const std::string text(1, rest_.front());
    rest_.remove_prefix(1);
    return {kind, text, true};
  }

  std::string name_after(std::size_t skip) {
    std::size_t end = skip;
    while (end < rest_.size() && is_name(rest_[end])) ++end;
    std::string name(rest_.substr(skip, end - skip));
    rest_.remove_prefix(end);
    return name;
  }

  Token field() { return {Token::Kind::Field, name_after(1), true}; }

  Token number() {
    std::size_t end = 1;
    while (end < rest_.size() && (is_name(rest_[end]) || rest_[end] == '.')) ++end;
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    if (!parse_double(text)) fail("bad number syntax: \"" + text + "\"");
    return {Token::Kind::Number, text, true};
  }

  Token quoted() {
    std::string text;
    std::size_t at = 1;
    for (;; ++at) {
      if (at >= rest_.size()) fail("unterminated quoted string");
      if (rest_[at] == '"') break;
      if (rest_[at] != '\\') {
        text.push_back(rest_[at]);
        continue;
      }
      if (++at >= rest_.size()) fail("unterminated quoted string");
      const char escaped = rest_[at];
      text.push_back(escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped);
    }
    rest_.remove_prefix(at + 1);
    return {Token::Kind::Text, text, true};
  }

  Token raw() {
    const std::size_t end = rest_.find('`', 1);
    if (end == std::string_view::npos) fail("unterminated raw quoted string");
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return {Token::Kind::Text, text, true};
  }

  Token character() {
    const std::size_t end = rest_.find('\'', 1);
    if (end == std::string_view::npos || end < 2) fail("unterminated character constant");
    const std::string number = std::to_string(static_cast<unsigned char>(rest_[1]));
    rest_.remove_prefix(end + 1);
    return {Token::Kind::Number, number, true};
  }

  std::string_view rest_;
};

class PipelineParser {
 public:
  explicit PipelineParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }

  TemplatePipeline pipeline(Token::Kind end) {
    if (++depth_ > 50) fail("nested too deeply");
    TemplatePipeline result;
    if (peek().kind == Token::Kind::Variable) declarations(result);
    for (;;) {
      TemplateCommand command = this->command(end);
      if (command.operands.empty()) fail("missing value for command");
      result.commands.push_back(std::move(command));
      const Token token = take();
      if (token.kind == end) break;
      if (token.kind != Token::Kind::Pipe) fail("unexpected \"" + token.text + "\" in operand");
    }
    --depth_;
    return result;
  }

 private:
  void declarations(TemplatePipeline& result) {
    const auto next = peek(1).kind;
    if (next == Token::Kind::Declare || next == Token::Kind::Assign) {
      result.declares.push_back(take().text);
      result.is_assignment = take().kind == Token::Kind::Assign;
    } else if (next == Token::Kind::Comma && peek(2).kind == Token::Kind::Variable && peek(3).kind == Token::Kind::Declare) {
      result.declares.push_back(take().text);
      take();
      result.declares.push_back(take().text);
      take();
    }
  }

  TemplateCommand command(Token::Kind end) {
    TemplateCommand result;
    for (;;) {
      const Token::Kind kind = peek().kind;
      if (kind == end || kind == Token::Kind::Pipe) return result;
      if (kind == Token::Kind::End) fail("unexpected end of action");
      result.operands.push_back(operand());
    }
  }

  TemplateOperand operand() {
    TemplateOperand result;
    const Token token = take();
    switch (token.kind) {
      case Token::Kind::Text:
        result.constant = token.text;
        return result;
      case Token::Kind::Number:
        result.constant = parse_int(token.text) ? Json(static_cast<long>(*parse_int(token.text))) : Json(*parse_double(token.text));
        return result;
      case Token::Kind::Field:
        result.kind = TemplateOperand::Kind::Field;
        if (!token.text.empty()) result.fields.push_back(token.text);
        break;
      case Token::Kind::Variable:
        result.kind = TemplateOperand::Kind::Variable;
        result.name = token.text;
        break;
      case Token::Kind::Open:
        result.kind = TemplateOperand::Kind::Pipeline;
        result.pipeline = std::make_shared<TemplatePipeline>(pipeline(Token::Kind::Close));
        break;
      case Token::Kind::Word:
        return word(token.text);
      default:
        fail("unexpected \"" + token.text + "\" in operand");
    }
    while (peek().kind == Token::Kind::Field && !peek().follows_blank) result.fields.push_back(take().text);
    return result;
  }

  static TemplateOperand word(const std::string& text) {
    TemplateOperand result;
    if (text == "true" || text == "false") {
      result.constant = text == "true";
    } else if (text != "nil") {
      result.kind = TemplateOperand::Kind::Function;
      result.name = text;
    }
    return result;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

using Nodes = std::vector<std::unique_ptr<TemplateNode>>;

/// Cuts the text at {{ }} and builds the tree.
class TreeParser {
 public:
  explicit TreeParser(std::string_view text) : rest_(text) {}

  Nodes all() {
    Nodes nodes;
    const std::string end = list(nodes);
    if (!end.empty()) fail("unexpected {{" + end + "}}");
    return nodes;
  }

 private:
  /// Adds nodes until the text ends or an action closes the list; returns that action ("", "end", "else", "else if …").
  std::string list(Nodes& nodes) {
    if (++depth_ > 50) fail("nested too deeply");
    for (;;) {
      const std::size_t open = rest_.find("{{");
      std::string text(rest_.substr(0, open));
      if (trim_next_) text.erase(0, text.find_first_not_of(" \t\r\n"));
      trim_next_ = false;
      if (open == std::string_view::npos) {
        add_text(nodes, std::move(text));
        rest_ = {};
        break;
      }
      rest_.remove_prefix(open + 2);
      if (rest_.starts_with("- ")) text.erase(text.find_last_not_of(" \t\r\n") + 1);
      add_text(nodes, std::move(text));
      const std::string body = action_body();
      if (body.starts_with("/*")) continue;
      const std::string word = split_words(body).empty() ? "" : split_words(body).front();
      if (word == "end" || word == "else") {
        --depth_;
        return body;
      }
      nodes.push_back(action(word, body));
    }
    --depth_;
    return {};
  }

  static void add_text(Nodes& nodes, std::string text) {
    if (text.empty()) return;
    auto node = std::make_unique<TemplateNode>();
    node->kind = TemplateNode::Kind::Text;
    node->text = std::move(text);
    nodes.push_back(std::move(node));
  }

  /// What stands up to the closing braces, without trim marks; quoted braces do not close.
  std::string action_body() {
    char quote = 0;
    std::size_t at = 0;
    for (; at < rest_.size(); ++at) {
      if (quote != 0) {
        if (rest_[at] == '\\' && quote == '"') ++at;
        else if (rest_[at] == quote) quote = 0;
      } else if (rest_[at] == '"' || rest_[at] == '`') {
        quote = rest_[at];
      } else if (rest_.substr(at).starts_with("}}")) {
        break;
      }
    }
    if (at >= rest_.size()) fail(quote != 0 ? "unterminated quoted string" : "unclosed action");
    std::string_view body = rest_.substr(0, at);
    rest_.remove_prefix(at + 2);
    if (body.starts_with("- ")) body.remove_prefix(2);
    if (body.ends_with(" -")) {
      body.remove_suffix(2);
      trim_next_ = true;
    }
    return std::string(trim(body));
  }

  std::unique_ptr<TemplateNode> action(const std::string& word, const std::string& body) {
    auto node = std::make_unique<TemplateNode>();
    if (word == "break" || word == "continue") {
      node->kind = word == "break" ? TemplateNode::Kind::Break : TemplateNode::Kind::Continue;
      return node;
    }
    if (word == "if" || word == "with" || word == "range") {
      node->kind = word == "if" ? TemplateNode::Kind::If : word == "with" ? TemplateNode::Kind::With : TemplateNode::Kind::Range;
      node->pipeline = pipeline(std::string_view(body).substr(word.size()));
      std::string end = list(node->body);
      if (end.starts_with("else")) {
        const std::string chained(trim(std::string_view(end).substr(4)));
        if (chained.empty()) {
          end = list(node->otherwise);
        } else {
          node->otherwise.push_back(action(split_words(chained).front(), chained));
          return node;
        }
      }
      if (end != "end") fail("unexpected end of template: {{end}} is missing");
      return node;
    }
    if (word == "template" || word == "define" || word == "block") fail("{{" + word + "}} is not supported");
    node->kind = TemplateNode::Kind::Action;
    node->pipeline = pipeline(body);
    return node;
  }

  static TemplatePipeline pipeline(std::string_view body) {
    if (trim(body).empty()) fail("missing value for command");
    return PipelineParser(Lexer(body).all()).pipeline(Token::Kind::End);
  }

  std::string_view rest_;
  bool trim_next_ = false;
  int depth_ = 0;
};

}  // namespace

std::unique_ptr<TemplateNode> parse_template(std::string_view text) {
  auto root = std::make_unique<TemplateNode>();
  root->body = TreeParser(text).all();
  return root;
}

}  // namespace ctr
