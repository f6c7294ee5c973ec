#include "cli/template.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "cli/listing.h"

namespace ctr {
namespace {

const Json& document() {
  static const Json kDocument = Json::parse(R"({
    "Id": "abc", "Name": "/web", "State": {"Status": "running", "Pid": 42, "OOMKilled": false},
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"k": "v", "a": "b"}},
    "Mounts": [{"Source": "/s1", "Destination": "/d1"}, {"Source": "/s2", "Destination": "/d2"}],
    "RepoDigests": [], "Empty": ""})");
  return kDocument;
}

std::string render(std::string_view text) { return Template::parse(text).render(document()); }

std::string error_of(std::string_view text) {
  try {
    render(text);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Template, FieldsAndText) {
  EXPECT_EQ(render("{{.State.Status}} pid={{.State.Pid}}"), "running pid=42");
  EXPECT_EQ(render("{{.State.OOMKilled}}"), "false");
  EXPECT_EQ(render("{{.Config.Env}} {{.Config.Labels}}"), "[A=1 B=2] map[a:b k:v]");
}

TEST(Template, PipelinesAndFunctions) {
  EXPECT_EQ(render("{{json .Config.Env}}"), R"(["A=1","B=2"])");
  EXPECT_EQ(render("{{.Name | upper | printf \"%s!\"}}"), "/WEB!");
  EXPECT_EQ(render("{{join .Config.Env \",\"}}"), "A=1,B=2");
  EXPECT_EQ(render("{{index (split .Name \"/\") 1}}"), "web");
  EXPECT_EQ(render("{{index .Config.Labels \"k\"}}|{{index .Config.Labels \"none\"}}"), "v|");
  EXPECT_EQ(render("{{len .Mounts}} {{truncate .Id 2}} {{pad .Id 1 2}}."), "2 ab  abc  .");
  EXPECT_EQ(render("{{printf \"%-5s|%3d|%q\" .Id 7 \"x\"}}"), "abc  |  7|\"x\"");
  EXPECT_EQ(render("{{(index .Mounts 1).Source}}"), "/s2");
}

TEST(Template, Conditions) {
  EXPECT_EQ(render("{{if eq .State.Status \"exited\" \"running\"}}up{{else}}down{{end}}"), "up");
  EXPECT_EQ(render("{{if .Empty}}1{{else if gt .State.Pid 41}}2{{else}}3{{end}}"), "2");
  EXPECT_EQ(render("{{if and .Id (not .Empty)}}yes{{end}}"), "yes");
  EXPECT_EQ(render("{{with .State}}{{.Status}}{{end}}{{with .Empty}}x{{else}}none{{end}}"), "runningnone");
  EXPECT_EQ(render("{{if .State.Health}}{{.State.Health.Status}}{{else}}no check{{end}}"), "no check");
}

TEST(Template, RangesOverListsAndMaps) {
  EXPECT_EQ(render("{{range .Mounts}}{{.Source}}:{{.Destination}} {{end}}"), "/s1:/d1 /s2:/d2 ");
  EXPECT_EQ(render("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}"), "a=b;k=v;");
  EXPECT_EQ(render("{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}"), "A=1,B=2");
  EXPECT_EQ(render("{{range .RepoDigests}}x{{else}}none{{end}}"), "none");
  EXPECT_EQ(render("{{range .Config.Env}}{{println .}}{{end}}"), "A=1\nB=2\n");
  EXPECT_EQ(render("{{range .Config.Env}}{{$.Id}}{{break}}{{end}}"), "abc");
}

TEST(Template, TrimMarksAndVariables) {
  EXPECT_EQ(render("a  {{- .Id -}}  b"), "aabcb");
  EXPECT_EQ(render("{{$x := .Id}}{{if true}}{{$x = \"n\"}}{{end}}{{$x}}"), "n");
  EXPECT_EQ(render("{{/* a comment */}}{{`raw }}`}}"), "raw }}");
}

TEST(Template, MistakesAreNamed) {
  EXPECT_EQ(error_of("{{.Nope}}"), "template: can't evaluate field Nope: there is no such field");
  EXPECT_EQ(error_of("{{.Id"), "template parsing error: unclosed action");
  EXPECT_EQ(error_of("{{nope .Id}}"), "template: function \"nope\" not defined");
  EXPECT_EQ(error_of("{{if .Id}}"), "template parsing error: unexpected end of template: {{end}} is missing");
  EXPECT_EQ(error_of("{{index .Mounts 7}}"), "template: error calling index: index out of range: 7");
  EXPECT_EQ(error_of("{{end}}"), "template parsing error: unexpected {{end}}");
}

TEST(Listing, ColumnsAlignByCharactersAndLeaveTheLastAlone) {
  EXPECT_EQ(align_columns("A\tB\n\xE2\x80\xA6long\tx\n"), "A         B\n\xE2\x80\xA6long     x\n");
  EXPECT_EQ(align_columns("A\tB\n\xE2\x80\xA6longer still\tx\n"), "A               B\n\xE2\x80\xA6longer still   x\n");
}

TEST(Listing, EllipsisCutsByCharacters) {
  EXPECT_EQ(ellipsis("docker-entrypoint.sh", 20), "docker-entrypoint.sh");
  EXPECT_EQ(ellipsis("\"docker-entrypoint.sh\"", 20), "\"docker-entrypoint.\xE2\x80\xA6");
}

TEST(Template, FieldsOfForeignDocumentsAreFoundInAnyCaseWhereThatIsAskedFor) {
  const Json data = Json::parse(R"({"manifest": {"mediaType": "x", "digest": "sha256:1"}})");
  EXPECT_EQ(Template::parse("{{.Manifest.Digest}} {{.Manifest.MediaType}}").render(data, {}, FieldNames::AnyCase), "sha256:1 x");
  EXPECT_THROW(Template::parse("{{.Manifest.Digest}}").render(data), Error);
}

}  // namespace
}  // namespace ctr
