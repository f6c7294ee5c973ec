#include "builder/word_expansion.h"

#include <gtest/gtest.h>
#include <map>

#include "base/error.h"

namespace ctr {
namespace {

using Variables = std::map<std::string, std::string>;
using Names = std::set<std::string>;

VariableLookup lookup_in(const Variables& variables) {
  return [variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

std::string expand(std::string_view word, const Variables& variables = {}, const ExpandOptions& options = {}) {
  return expand_word(word, lookup_in(variables), options).text;
}

std::string error_of(std::string_view word, const Variables& variables = {}) {
  try {
    expand(word, variables);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

const Variables kSome = {{"FOO", "xxyy"}, {"EMPTY", ""}, {"PATH_", "/usr/local/bin"}, {"한", "국"}};

TEST(WordExpansion, ReplacesPlainAndBracedVariables) {
  EXPECT_EQ(expand("a$FOO/b", kSome), "axxyy/b");
  EXPECT_EQ(expand("a${FOO}b", kSome), "axxyyb");
  EXPECT_EQ(expand("$UNSET-$EMPTY-", kSome), "--");
  EXPECT_EQ(expand("$한", kSome), "국");
}

TEST(WordExpansion, LeavesALoneDollarAndDropsPositionalParameters) {
  EXPECT_EQ(expand("a$ b$"), "a$ b$");
  EXPECT_EQ(expand("$12x"), "x");
  EXPECT_EQ(expand("$@$*$#$?$!$$"), "");
}

TEST(WordExpansion, KeepsWhatIsEscaped) {
  EXPECT_EQ(expand("\\$FOO", kSome), "$FOO");
  EXPECT_EQ(expand("\\\\$FOO", kSome), "\\xxyy");
  EXPECT_EQ(expand("a\\"), "a");
  EXPECT_EQ(expand("a\\ b"), "a b");
}

TEST(WordExpansion, UsesTheOtherEscapeCharacter) {
  ExpandOptions options;
  options.escape = '`';
  EXPECT_EQ(expand("C:\\dir\\`$FOO", kSome, options), "C:\\dir\\$FOO");
}

TEST(WordExpansion, TreatsQuotesAsAShellDoes) {
  EXPECT_EQ(expand("'$FOO'", kSome), "$FOO");
  EXPECT_EQ(expand("\"$FOO\"", kSome), "xxyy");
  EXPECT_EQ(expand("\"a\\\"b\\$c\\\\d\\e\""), "a\"b$c\\d\\e");
  EXPECT_EQ(expand("'a\\'"), "a\\");
  EXPECT_EQ(expand("a'b c'd\"e f\"g"), "ab cde fg");
}

TEST(WordExpansion, KeepsQuotesAndEscapesWhenAsked) {
  ExpandOptions raw;
  raw.quotes = QuoteHandling::Keep;
  raw.escapes = EscapeHandling::Keep;
  EXPECT_EQ(expand("\"$FOO\" '$FOO' \\$FOO", kSome, raw), "\"xxyy\" '$FOO' \\$FOO");
}

TEST(WordExpansion, TakesQuotesForCharactersInHeredocs) {
  ExpandOptions heredoc;
  heredoc.quotes = QuoteHandling::Ignore;
  EXPECT_EQ(expand("it's \"$FOO\" '$FOO' \\$FOO \\\\ \\\n", kSome, heredoc), "it's \"xxyy\" 'xxyy' $FOO \\ \n");
}

TEST(WordExpansion, AppliesDefaultsAndAlternates) {
  const Variables variables = {{"FOO", "xxx"}, {"BAR", ""}};
  EXPECT_EQ(expand("${FOO-aaa} ${BAR-bbb} ${BAZ-ccc}", variables), "xxx  ccc");
  EXPECT_EQ(expand("${FOO:-aaa} ${BAR:-bbb} ${BAZ:-ccc}", variables), "xxx bbb ccc");
  EXPECT_EQ(expand("${FOO+aaa} ${BAR+bbb} ${BAZ+ccc}", variables), "aaa bbb ");
  EXPECT_EQ(expand("${FOO:+aaa} ${BAR:+bbb} ${BAZ:+ccc}", variables), "aaa  ");
  EXPECT_EQ(expand("${BAZ:-${FOO:-x}}", variables), "xxx");
  EXPECT_EQ(expand("${BAZ:-'a}b'}", variables), "a}b");
}

TEST(WordExpansion, FailsForRequiredVariablesWithTheirMessage) {
  EXPECT_EQ(expand("${FOO:?no}", kSome), "xxyy");
  EXPECT_EQ(expand("${EMPTY?no}", kSome), "");
  EXPECT_NE(error_of("${EMPTY:?give it a value}", kSome).find("EMPTY: give it a value"), std::string::npos);
  EXPECT_NE(error_of("${NOPE?}").find("NOPE: is not allowed to be unset"), std::string::npos);
  EXPECT_NE(error_of("${EMPTY:?}", kSome).find("EMPTY: is not allowed to be empty"), std::string::npos);
}

TEST(WordExpansion, StripsPrefixesAndSuffixes) {
  EXPECT_EQ(expand("${FOO#*x*y}", kSome), "y");
  EXPECT_EQ(expand("${FOO##*x}", kSome), "yy");
  EXPECT_EQ(expand("${FOO#*}", kSome), "xxyy");
  EXPECT_EQ(expand("${FOO##*}", kSome), "");
  EXPECT_EQ(expand("${FOO#}", kSome), "xxyy");
  EXPECT_EQ(expand("${FOO%y}", kSome), "xxy");
  EXPECT_EQ(expand("${FOO%%y*}", kSome), "xx");
  EXPECT_EQ(expand("${FOO%q}", kSome), "xxyy");
  EXPECT_EQ(expand("${PATH_##*/}", kSome), "bin");
  EXPECT_EQ(expand("${PATH_%/*}", kSome), "/usr/local");
  EXPECT_EQ(expand("${V#?\\?}", {{"V", "???y"}}), "?y");
  EXPECT_EQ(expand("${V%%\\**\\*}", {{"V", "a***yy*"}}), "a");
  EXPECT_EQ(expand("${V#()[]{\\}^$.\\*\\?|\\\\}", {{"V", "()[]{}^$.*?|\\x"}}), "x");
  EXPECT_EQ(expand("${V#?}", {{"V", "한국"}}), "국");
}

TEST(WordExpansion, ReplacesTheFirstOrAllMatches) {
  const Variables wild = {{"V", "/foo*/*/*.txt"}, {"N", "\\*/"}};
  EXPECT_EQ(expand("${V/$N/.} - ${V//$N/.}", wild), "/foo.*/*.txt - /foo..*.txt");
  EXPECT_EQ(expand("${V/http:\\/\\//https:\\/\\/}", {{"V", "http://a"}}), "https:\\/\\/a");
  EXPECT_EQ(expand("${V/$N/$R}", {{"V", "http://a"}, {"N", "http://"}, {"R", "https://"}}), "https://a");
  EXPECT_EQ(expand("${V//-/_}", {{"V", "a-b-c"}}), "a_b_c");
  EXPECT_EQ(expand("${V//-/}", {{"V", "a-b-c"}}), "abc");
  EXPECT_EQ(expand("${V/$E/ww}", {{"V", "xy"}, {"E", ""}}), "wwxy");
  EXPECT_EQ(expand("${V///}", {{"V", "xy"}}), "xy");
  EXPECT_EQ(expand("${V//a*b/-}", {{"V", "xaabbxab"}}), "x-");
}

TEST(WordExpansion, RefusesWhatItDoesNotKnow) {
  EXPECT_NE(error_of("${").find("missing '}'"), std::string::npos);
  EXPECT_NE(error_of("${A").find("missing '}'"), std::string::npos);
  EXPECT_NE(error_of("${}").find("bad substitution"), std::string::npos);
  EXPECT_NE(error_of("${A:1:2}", {{"A", "abc"}}).find("unsupported modifier (:1)"), std::string::npos);
  EXPECT_NE(error_of("${A=b}").find("unsupported modifier (=)"), std::string::npos);
  EXPECT_NE(error_of("${A//b}", kSome).find("missing '/' in ${}"), std::string::npos);
  EXPECT_NE(error_of("'a").find("single-quote"), std::string::npos);
  EXPECT_NE(error_of("\"a").find("double-quote"), std::string::npos);
  EXPECT_NE(error_of("${A#\\x}", kSome).find("invalid escape"), std::string::npos);
}

TEST(WordExpansion, ReportsUsedAndMissingNames) {
  const ExpandedWord word = expand_word("$FOO ${NOPE:-x} $GONE '$QUOTED'", lookup_in(kSome));
  EXPECT_EQ(word.set_names, Names{"FOO"});
  EXPECT_EQ(word.unset_names, (Names{"GONE", "NOPE"}));
}

TEST(WordExpansion, KeepsUnsetVariablesAsWrittenWhenAsked) {
  ExpandOptions options;
  options.unset = UnsetVariables::Keep;
  EXPECT_EQ(expand("$A ${B} ${C:-d} $FOO ${E//a/b}", kSome, options), "$A ${B} ${C:-d} xxyy ${E//a/b}");
}

TEST(WordExpansion, SplitsAtUnquotedBlanks) {
  const Variables variables = {{"PORTS", "80 443"}};
  EXPECT_EQ(expand_words("$PORTS 'a b' \"$PORTS\" c\\ d", lookup_in(variables)).words,
            (std::vector<std::string>{"80", "443", "a b", "80 443", "c d"}));
  EXPECT_TRUE(expand_words("$NOPE", nullptr).words.empty());
}

TEST(WordExpansion, BoundsNestingAndTime) {
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "${A:-";
  EXPECT_NE(error_of(nested).find("nested too deeply"), std::string::npos);
  EXPECT_NE(error_of("${V//a*b/c}", {{"V", std::string(200'000, 'a')}}).find("takes too long"), std::string::npos);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "$V";
  EXPECT_NE(error_of(many, {{"V", std::string(100'000, 'a')}}).find("too long"), std::string::npos);
}

}  // namespace
}  // namespace ctr
