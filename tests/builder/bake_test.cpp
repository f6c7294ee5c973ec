#include "builder/bake.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "builder/build.h"
#include "builder/compose_variables.h"
#include "builder/yaml.h"

namespace ctr {
namespace {

using Strings = std::vector<std::string>;

BakeOptions with_environment(const std::map<std::string, std::string>& environment) {
  BakeOptions options;
  options.environment = [environment](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(std::string(name));
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  return options;
}

BakePlan plan(const std::string& hcl, BakeOptions options = {}) {
  return plan_bake({{"docker-bake.hcl", hcl}}, options);
}

BakeOptions wanting(Strings targets, Strings sets = {}) {
  BakeOptions options;
  options.targets = std::move(targets);
  options.sets = std::move(sets);
  return options;
}

const BakeTarget& target_of(const BakePlan& plan, const std::string& name) {
  for (const BakeTarget& target : plan.targets) {
    if (target.name == name) return target;
  }
  throw Error(ErrorKind::NotFound, "the plan has no " + name);
}

std::string error_of(const std::string& hcl, BakeOptions options = {}) {
  try {
    plan(hcl, std::move(options));
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

const char* kFile = R"(
variable "TAG" { default = "latest" }
variable "DEBUG" { default = false }
variable "COUNT" { default = 2 }
registry = "example.com/${TAG}"

group "default" { targets = ["app", "tools"] }
group "tools" { targets = ["lint"] }

target "_common" {
  args = { GO = "1.21", SHARED = "yes" }
  platforms = ["linux/amd64", "linux/arm64"]
  cache-from = ["type=registry,ref=${registry}/cache"]
}
target "app" {
  inherits = ["_common"]
  context = "./app"
  args = { GO = "1.22", NONE = null }
  tags = ["app:${TAG}", DEBUG ? "app:debug" : ""]
  labels = { "com.example.count" = COUNT + 1 }
  secret = ["id=aws,src=/home/me/.aws", { id = "tok", env = "TOKEN" }]
  ssh = ["default", "gh=/a,/b"]
  output = ["type=registry"]
}
target "lint" { dockerfile = "lint.Dockerfile" }
)";

TEST(Bake, ResolvesGroupsVariablesAndInheritance) {
  const BakePlan all = plan(kFile, with_environment({{"TAG", "v2"}, {"COUNT", "41"}}));
  ASSERT_EQ(all.targets.size(), 2u);
  const BakeTarget& app = target_of(all, "app");
  EXPECT_EQ(app.tags, Strings{"app:v2"});
  EXPECT_EQ(app.args, (std::map<std::string, std::string>{{"GO", "1.22"}, {"SHARED", "yes"}}));
  EXPECT_EQ(app.labels.at("com.example.count"), "42");
  EXPECT_EQ(app.platforms, (Strings{"linux/amd64", "linux/arm64"}));
  EXPECT_EQ(app.cache_from.at(0).at("ref"), "example.com/v2/cache");
  EXPECT_EQ(app.context, "./app");
  EXPECT_EQ(target_of(all, "lint").dockerfile, "lint.Dockerfile");
}

TEST(Bake, PrintsWhatBuildxPrints) {
  EXPECT_EQ(print_bake(plan(kFile, with_environment({{"DEBUG", "1"}}))), R"({
  "group": {
    "default": {
      "targets": [
        "app",
        "tools"
      ]
    },
    "tools": {
      "targets": [
        "lint"
      ]
    }
  },
  "target": {
    "app": {
      "context": "./app",
      "dockerfile": "Dockerfile",
      "args": {
        "GO": "1.22",
        "SHARED": "yes"
      },
      "labels": {
        "com.example.count": "3"
      },
      "tags": [
        "app:latest",
        "app:debug"
      ],
      "cache-from": [
        {
          "ref": "example.com/latest/cache",
          "type": "registry"
        }
      ],
      "secret": [
        {
          "id": "aws",
          "src": "/home/me/.aws"
        },
        {
          "id": "tok",
          "env": "TOKEN"
        }
      ],
      "ssh": [
        {
          "id": "default"
        },
        {
          "id": "gh",
          "paths": [
            "/a",
            "/b"
          ]
        }
      ],
      "platforms": [
        "linux/amd64",
        "linux/arm64"
      ],
      "output": [
        {
          "type": "registry"
        }
      ]
    },
    "lint": {
      "context": ".",
      "dockerfile": "lint.Dockerfile"
    }
  }
}
)");
}

TEST(Bake, BecomesABuildRequest) {
  const BuildRequest request = bake_build_request(target_of(plan(kFile), "app"));
  EXPECT_EQ(request.context, "./app");
  EXPECT_EQ(request.tags, Strings{"app:latest"});
  EXPECT_EQ(request.secrets.size(), 2u);
  EXPECT_EQ(request.secrets[1].type, SecretSpec::Type::Environment);
  EXPECT_EQ(request.ssh[1].paths, (Strings{"/a", "/b"}));
  EXPECT_TRUE(request.outputs.at(0).push);
  EXPECT_EQ(request.platforms.size(), 2u);
}

TEST(Bake, TakesOverrides) {
  const Strings sets = {"app.tags=a:1",           "app.tags=a:2",
                        "*.platform=linux/arm64", "app.args.GO=9",
                        "lint.no-cache=true",     "app.args.X=",
                        "app.cache-from+=r/c",    "*.push=true",
                        "l*.context=./l",         "app.contexts.base=docker-image://x"};
  const BakePlan all = plan(kFile, wanting({}, sets));
  const BakeTarget& app = target_of(all, "app");
  EXPECT_EQ(app.tags, (Strings{"a:1", "a:2"}));
  EXPECT_EQ(app.platforms, Strings{"linux/arm64"});
  EXPECT_EQ(app.args.at("GO"), "9");
  EXPECT_EQ(app.args.at("X"), "");
  EXPECT_EQ(app.cache_from.size(), 2u);
  EXPECT_EQ(target_of(all, "lint").no_cache, true);
  EXPECT_EQ(target_of(all, "lint").context, "./l");
  EXPECT_EQ(target_of(all, "lint").output->at(0).at("push"), "true");
  EXPECT_EQ(error_of(kFile, wanting({}, {"app.tgas=x"})), "unknown key: tgas (did you mean tags?)");
  EXPECT_EQ(error_of(kFile, wanting({}, {"ap.tags=x"})), "could not find any target matching 'ap' (did you mean app?)");
  EXPECT_NE(error_of(kFile, wanting({}, {"tags=x"})).find("expected target.name"), std::string::npos);
  EXPECT_NE(error_of(kFile, wanting({}, {"app.tags"})).find("expected target.name=value"), std::string::npos);
  EXPECT_NE(error_of(kFile, wanting({}, {"app.pull=perhaps"})).find("boolean key pull"), std::string::npos);
}

TEST(Bake, PutsNeededTargetsFirstAndMarksThem) {
  const char* file = R"(
target "app" { contexts = { base = "target:base", img = "docker-image://alpine" } }
target "base" { context = "b" }
)";
  const BakePlan all = plan(file, wanting({"app"}));
  ASSERT_EQ(all.targets.size(), 2u);
  EXPECT_EQ(all.targets[0].name, "base");
  EXPECT_TRUE(all.targets[0].is_linked);
  EXPECT_EQ(all.targets[0].output->at(0).at("type"), "cacheonly");
  EXPECT_TRUE(std::holds_alternative<TargetSource>(bake_build_request(all.targets[1]).named_contexts.at("base")));
  const BakePlan both = plan(file, wanting({"app", "base"}));
  EXPECT_FALSE(both.targets[0].is_linked);
  EXPECT_FALSE(both.targets[0].output);
}

TEST(Bake, RefusesCyclesAndUnknownNames) {
  EXPECT_NE(error_of("target \"a\" { contexts = { x = \"target:a\" } }", wanting({"a"})).find("cannot link to itself"),
            std::string::npos);
  EXPECT_NE(
      error_of("target \"a\" { contexts = { x = \"target:b\" } }\ntarget \"b\" { contexts = { y = \"target:a\" } }",
               wanting({"a"}))
          .find("infinite loop from b to a"),
      std::string::npos);
  EXPECT_NE(error_of("target \"a\" { inherits = [\"a\"] }", wanting({"a"})).find("inherits from itself"),
            std::string::npos);
  EXPECT_NE(
      error_of("a = b\nb = a\ntarget \"t\" { context = a }", wanting({"t"})).find("variable cycle not allowed for a"),
      std::string::npos);
  EXPECT_EQ(error_of("target \"apple\" {}", wanting({"aple"})), "failed to find target aple (did you mean apple?)");
  EXPECT_NE(error_of("target \"a\" {}", wanting({"x*"})).find("could not find any target matching"), std::string::npos);
  EXPECT_NE(error_of("target \"a\" {}").find("failed to find target default"), std::string::npos);
  EXPECT_NE(error_of("group \"g\" { targets = [\"g\"] }", wanting({"g"})).find("no error"), std::string::npos);
}

TEST(Bake, PointsAtMistakes) {
  EXPECT_NE(error_of("target \"a\" {\n  tgas = []\n}", wanting({"a"}))
                .find("unsupported argument \"tgas\" (did you mean tags?)"),
            std::string::npos);
  EXPECT_NE(error_of("target \"a\" { tags = \"x\" }", wanting({"a"})).find("target a: tags: must be a list of strings"),
            std::string::npos);
  EXPECT_NE(error_of("targte \"a\" {}").find("unsupported block type \"targte\" (did you mean target?)"),
            std::string::npos);
  EXPECT_NE(error_of("target \"a b\" {}").find("invalid name"), std::string::npos);
  EXPECT_NE(error_of("target \"a\" { context = TGA }\nvariable \"TAG\" {}", wanting({"a"}))
                .find("undefined variable \"TGA\" (did you mean TAG?)"),
            std::string::npos);
  EXPECT_NE(
      error_of("target \"a\" {\n  name = \"x\"\n  matrix = { v = upper(\"a\") }\n}", wanting({"a"})).find("matrix"),
      std::string::npos);
}

TEST(Bake, ChecksAndConvertsVariables) {
  const char* file = R"(
variable "PORT" {
  type = number
  default = 80
  description = "where"
  validation {
    condition = PORT > 0
    error_message = "PORT must be positive"
  }
}
variable "LIST" { type = list(string) }
variable "EMPTY" {}
target "t" {
  tags = LIST
  args = { P = PORT, E = EMPTY }
}
)";
  BakeOptions options = with_environment({{"LIST", "a,b"}});
  options.targets = {"t"};
  options.variables = {{"PORT", "81"}};
  const BakePlan all = plan(file, options);
  EXPECT_EQ(target_of(all, "t").tags, (Strings{"a", "b"}));
  EXPECT_EQ(target_of(all, "t").args.at("P"), "81");
  options.variables["PORT"] = "-1";
  EXPECT_NE(error_of(file, options).find("PORT must be positive"), std::string::npos);
  options.variables["PORT"] = "x";
  EXPECT_NE(error_of(file, options).find("failed to parse PORT as number"), std::string::npos);
  options.variables["PORT"] = "82";
  EXPECT_EQ(list_bake({{"a.hcl", file}}, options, BakeList::Variables),
            "VARIABLE   VALUE       DESCRIPTION\nEMPTY\nLIST       [\"a\",\"b\"]\nPORT       82          where\n");
  EXPECT_EQ(list_bake({{"a.hcl", file}}, options, BakeList::Targets), "TARGET   DESCRIPTION\nt\n");
}

TEST(Bake, MergesFilesInOrder) {
  const std::vector<BakeFile> files = {
      {"docker-bake.json", R"({"variable": {"V": {"default": "1"}}, "group": {"default": {"targets": ["a"]}},
                               "target": {"a": {"tags": ["x:${V}"], "args": {"ONE": "1"}, "labels": {"l": "${V}"}}}})"},
      {"docker-bake.override.hcl", "target \"a\" {\n  tags = [\"y:${V}\"]\n  args = { TWO = 2 }\n}\n"}};
  const BakePlan all = plan_bake(files, {});
  EXPECT_EQ(target_of(all, "a").tags, Strings{"y:1"});
  EXPECT_EQ(target_of(all, "a").args.size(), 2u);
}

const char* kCompose = R"(
x-shared: &shared
  context: .
  args: &args
    VERSION: ${VERSION:-1.0}
services:
  web.app:
    image: example/web:${TAG}
    environment: { FROM_SERVICE: "yes" }
    build:
      <<: *shared
      dockerfile: web.Dockerfile
      target: prod
      args:
        <<: *args
        FROM_SERVICE:
        PLAIN: 5
        MISSING:
      labels: [ "a=b" ]
      cache_from: [ "example/web:cache" ]
      additional_contexts:
        db: service:db
      secrets: [ token, { source: key } ]
      ssh: [ default ]
      extra_hosts: [ "h:1.2.3.4" ]
      ulimits: { nproc: 5, nofile: { soft: 1, hard: 2 } }
      x-bake:
        tags: [ "extra:1" ]
        platforms: linux/amd64 linux/arm64
        output: type=docker
  db:
    build: ./db
  other:
    image: nginx
secrets:
  token: { environment: TOKEN }
  key: { file: ./key.pem }
)";

TEST(Bake, ReadsComposeFiles) {
  BakeOptions options = with_environment({{"TAG", "v1"}});
  const BakePlan all = plan_bake({{"compose.yaml", kCompose}}, options);
  ASSERT_EQ(all.targets.size(), 2u);
  EXPECT_EQ(all.targets[0].name, "db");
  const BakeTarget& web = target_of(all, "web_app");
  EXPECT_EQ(web.tags, (Strings{"extra:1"}));
  EXPECT_EQ(web.args,
            (std::map<std::string, std::string>{{"FROM_SERVICE", "yes"}, {"PLAIN", "5"}, {"VERSION", "1.0"}}));
  EXPECT_EQ(web.target, "prod");
  EXPECT_EQ(web.contexts.at("db"), "target:db");
  EXPECT_EQ(web.platforms, (Strings{"linux/amd64", "linux/arm64"}));
  EXPECT_EQ(web.secret.at(0).at("env"), "TOKEN");
  EXPECT_EQ(web.secret.at(1).at("src"), "./key.pem");
  EXPECT_EQ(web.extra_hosts.at("h"), "1.2.3.4");
  EXPECT_EQ(web.ulimits, (Strings{"nproc=5:5", "nofile=1:2"}));
  EXPECT_EQ(web.cache_from.at(0).at("ref"), "example/web:cache");
  EXPECT_EQ(target_of(all, "db").context, "./db");
  EXPECT_EQ(all.groups.at("default").targets, (Strings{"db", "web_app"}));
}

TEST(Bake, LetsHclGoOverCompose) {
  const BakePlan all = plan_bake(
      {{"compose.yaml", kCompose}, {"docker-bake.hcl", "target \"db\" { tags = [\"db:1\"] }"}}, wanting({"db"}));
  EXPECT_EQ(target_of(all, "db").tags, Strings{"db:1"});
  EXPECT_EQ(target_of(all, "db").context, "./db");
}

TEST(ComposeVariables, ExpandsAsComposeDoes) {
  const ComposeLookup lookup = [](std::string_view name) -> std::optional<std::string> {
    if (name == "A") return "a";
    if (name == "E") return "";
    return std::nullopt;
  };
  EXPECT_EQ(expand_compose_text("$A ${A} $$A ${N:-${A}x} ${E-y} ${E:-y} ${A:+z} \"'$N", lookup), "a a $A ax  y z \"'");
  for (const char* bad : {"$", "${", "${A", "${}", "$1", "${A!}", "${N:?why}", "${E:?}"}) {
    EXPECT_THROW(expand_compose_text(bad, lookup), Error) << bad;
  }
}

TEST(Yaml, ReadsTheCoreSchema) {
  const Json json = parse_yaml(
      "a: 1\nb: [x, 'y', \"z\\n\"]\nc: {d: 1.5, e: true, f: ~, g: 0x10, h: yes, i: !!str 5}\nj: |\n  two\n  lines\n",
      "f");
  EXPECT_EQ(
      json.dump(),
      R"({"a":1,"b":["x","y","z\n"],"c":{"d":1.5,"e":true,"f":null,"g":16,"h":"yes","i":"5"},"j":"two\nlines\n"})");
  EXPECT_EQ(parse_yaml("a: &x {k: 1}\nb: {<<: *x, m: 2}\nc: {<<: *x, k: 3}\n", "f").at("c").at("k").as_int(), 3);
}

TEST(Yaml, RefusesBadInput) {
  for (const char* bad : {"a: [", "a: 1\na: 2\n", "*x", "{[1]: 2}", "a: 1\n---\nb: 2\n", "\ta: b", "a: b: c"}) {
    EXPECT_THROW(parse_yaml(bad, "f"), Error) << bad;
  }
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string n = std::to_string(i), p = std::to_string(i - 1);
    laughs += "a" + n + ": &a" + n + " [*a" + p + ",*a" + p + ",*a" + p + ",*a" + p + ",*a" + p + ",*a" + p + ",*a" +
              p + ",*a" + p + "]\n";
  }
  EXPECT_THROW(parse_yaml(laughs, "f"), Error);
  EXPECT_THROW(parse_yaml(std::string(10'000, '['), "f"), Error);
}

TEST(Bake, SurvivesHostileVariables) {
  std::string hcl;
  for (int i = 0; i < 40; ++i) {
    hcl += "v" + std::to_string(i + 1) + " = \"${v" + std::to_string(i) + "}${v" + std::to_string(i) + "}\"\n";
    hcl += "l" + std::to_string(i + 1) + " = [l" + std::to_string(i) + ", l" + std::to_string(i) + "]\n";
  }
  hcl = "v0 = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\nl0 = 1\n" + hcl;
  EXPECT_NE(error_of(hcl + "target \"t\" { context = v40 }", wanting({"t"})), "no error");
  EXPECT_NE(error_of(hcl + "target \"t\" { tags = l40 }", wanting({"t"})), "no error");
  std::string chain = "c0 = 1\n";
  for (int i = 0; i < 4000; ++i) chain += "c" + std::to_string(i + 1) + " = c" + std::to_string(i) + "\n";
  EXPECT_NE(error_of(chain + "target \"t\" { context = c4000 }", wanting({"t"})).find("too deeply"), std::string::npos);
  std::string diamond = "target \"t0\" { tags = [\"a\"] }\n";
  for (int i = 0; i < 60; ++i) {
    const std::string below = "t" + std::to_string(i);
    diamond += "target \"t" + std::to_string(i + 1) + "\" {\n  inherits = [\"" + below + "\", \"" + below +
               "\"]\n  ulimits = [\"a" + below + "=1\"]\n}\n";
  }
  EXPECT_EQ(target_of(plan(diamond, wanting({"t60"})), "t60").ulimits.size(), 60u);
}

}  // namespace
}  // namespace ctr
