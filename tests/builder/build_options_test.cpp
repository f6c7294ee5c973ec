#include "builder/build_options.h"

#include <cstdlib>
#include <gtest/gtest.h>

#include "base/error.h"
#include "builder/csv.h"

namespace ctr {
namespace {

using Strings = std::vector<std::string>;

TEST(Csv, FollowsGosRules) {
  EXPECT_EQ(parse_csv_record("a,b=c,"), (Strings{"a", "b=c", ""}));
  EXPECT_EQ(parse_csv_record("\"a,b\",\"say \"\"hi\"\"\""), (Strings{"a,b", "say \"hi\""}));
  EXPECT_EQ(parse_csv_record("a\n"), Strings{"a"});
  for (const char* bad : {"", "a\"b", "\"a", "\"a\"b", "a\nb"}) EXPECT_THROW(parse_csv_record(bad), Error) << bad;
}

TEST(SecretSpec, ChoosesFileOrVariable) {
  ::setenv("CTR_TEST_SECRET", "x", 1);
  EXPECT_EQ(parse_secret_spec("id=CTR_TEST_SECRET").type, SecretSpec::Type::Environment);
  EXPECT_EQ(parse_secret_spec("id=CTR_TEST_SECRET,type=file").type, SecretSpec::Type::File);
  ::unsetenv("CTR_TEST_SECRET");
  const SecretSpec file = parse_secret_spec("id=CTR_TEST_SECRET,src=/f");
  EXPECT_EQ(file.type, SecretSpec::Type::File);
  EXPECT_EQ(file.source, "/f");
  EXPECT_EQ(parse_secret_spec("id=a,env=B").source, "B");
  const SecretSpec typed = parse_secret_spec("type=env,id=a,src=B");
  EXPECT_EQ(typed.type, SecretSpec::Type::Environment);
  EXPECT_EQ(typed.source, "B");
  for (const char* bad : {"src=a", "id", "id=a,type=x", "id=a,scr=b"})
    EXPECT_THROW(parse_secret_spec(bad), Error) << bad;
}

TEST(SshSpec, SplitsKeys) {
  EXPECT_TRUE(parse_ssh_spec("default").paths.empty());
  EXPECT_EQ(parse_ssh_spec("github=/a,/b").paths, (Strings{"/a", "/b"}));
  EXPECT_THROW(parse_ssh_spec(""), Error);
  EXPECT_THROW(parse_ssh_spec("a=/x,,"), Error);
}

TEST(OutputSpec, KnowsShorthandsAndTypes) {
  EXPECT_EQ(parse_output_spec("-").type, OutputSpec::Type::Tar);
  EXPECT_EQ(parse_output_spec("out=1").destination, "out=1");
  const OutputSpec image =
      parse_output_spec("type=image,\"name=a:1,b:2\",push=true,compression=zstd,annotation-index.k=V");
  EXPECT_EQ(image.names, (Strings{"a:1", "b:2"}));
  EXPECT_TRUE(image.push);
  EXPECT_EQ(image.attributes.at("annotation-index.k"), "V");
  EXPECT_TRUE(parse_output_spec("type=registry").push);
  EXPECT_EQ(parse_output_spec("type=oci,dest=-").destination, "-");
  for (const char* bad : {"", "type=imgae", "dest=x,tar=true", "type=local", "type=local,dest=-", "type=tar,push=true",
                          "type=image,compression=lzma", "type=image,push=maybe", "type=oci,destt=x"}) {
    EXPECT_THROW(parse_output_spec(bad), Error) << bad;
  }
}

TEST(CacheSpec, KnowsTypesAndRefusesOthersByName) {
  EXPECT_EQ(parse_cache_from_spec("host/app:cache").attributes.at("ref"), "host/app:cache");
  const CacheSpec to = parse_cache_to_spec("type=registry,ref=a/b,mode=max,mounts=true,ignore-error=true");
  EXPECT_EQ(to.mode, CacheSpec::Mode::Max);
  EXPECT_TRUE(to.mounts);
  EXPECT_TRUE(to.ignore_error);
  EXPECT_EQ(parse_cache_to_spec("type=inline").type, CacheSpec::Type::Inline);
  EXPECT_EQ(parse_cache_to_spec("type=local,dest=d").attributes.at("dest"), "d");
  for (const char* bad : {"type=gha", "type=s3,bucket=x", "type=registry", "type=local,src=x", "type=inline,mode=max",
                          "type=registry,ref=a,mode=all", "", "type=registry,reff=a"}) {
    EXPECT_THROW(parse_cache_to_spec(bad), Error) << bad;
  }
  try {
    parse_cache_to_spec("type=gha");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("gha"), std::string::npos);
  }
}

TEST(SourceDateEpoch, IsANumberOrTheContext) {
  EXPECT_FALSE(parse_source_date_epoch(""));
  EXPECT_EQ(parse_source_date_epoch("1700000000")->time.count(), 1700000000);
  EXPECT_TRUE(parse_source_date_epoch("git")->from_context);
  EXPECT_TRUE(parse_source_date_epoch("context")->from_context);
  for (const char* bad : {"x", "-1", "1.5", "999999999999999"})
    EXPECT_THROW(parse_source_date_epoch(bad), Error) << bad;
}

}  // namespace
}  // namespace ctr
