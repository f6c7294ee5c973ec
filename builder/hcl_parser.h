// The recursive descent from HCL tokens to the tree, shared by whole files, interpolations inside templates, and the
// strings of the JSON form.
#pragma once

#include <cstddef>
#include <string_view>

#include "builder/hcl.h"
#include "builder/hcl_scanner.h"

namespace ctr {

class HclParser {
 public:
  /// Reads the part of the file from `begin` to `end`. `depth` counts nesting that is already open.
  HclParser(const SourceText& source, std::size_t begin, std::size_t end, int depth);

  HclBody parse_file();
  /// One expression and nothing after it.
  HclExpression parse_interpolation();

 private:
  enum class Newlines { Matter, Skip };

  void advance();
  void skip_newlines();
  bool at(std::string_view symbol) const { return token_.kind == HclToken::Kind::Symbol && token_.text == symbol; }
  void expect(std::string_view symbol, std::string_view why);
  [[noreturn]] void fail(const std::string& sentence) const;
  std::string token_text() const;

  HclBody parse_body(std::string_view close);
  void parse_item(HclBody& body);
  std::string parse_label();
  void parse_block(HclBody& body, const HclToken& type);

  HclExpression parse_expression();
  HclExpression parse_binary(int level);
  HclExpression parse_unary();
  HclExpression parse_postfix();
  HclExpression parse_primary();
  HclExpression parse_name();
  HclExpression parse_number();
  HclExpression parse_list();
  HclExpression parse_object();
  HclExpression parse_object_key();
  HclExpression parse_call(const HclToken& name);
  HclExpression parse_comprehension(std::string_view close);
  static HclExpression make(HclExpression::Kind kind, std::size_t offset);

  const SourceText& source_;
  HclScanner scanner_;
  HclToken token_;
  Newlines newlines_ = Newlines::Matter;
  int depth_;
};

enum class HclTemplateForm { Quoted, Heredoc, Json };

/// A template from the text of a token that begins at `offset` of the file (Json: of no file).
HclExpression parse_hcl_template(const SourceText& source, std::string_view text, std::size_t offset,
                                 HclTemplateForm form, int depth);
/// A heredoc with `<<-`: the indentation that all lines have in common is taken away.
HclExpression parse_hcl_flush_heredoc(const SourceText& source, std::string_view text, std::size_t offset, int depth);

inline constexpr int kMaxHclDepth = 100;

}  // namespace ctr
