#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/process.h"
#include "builder/build.h"
#include "builder/cache_transfer.h"
#include "builder/run_mounts.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/store.h"
#include "tests/support/image_namespace.h"

namespace ctr {
namespace {

using Texts = std::vector<std::string>;

class EndsOfSteps : public BuildProgress {
 public:
  void step_started(StepNumber, std::string_view title) override { titles.emplace_back(title); }
  void step_output(StepNumber, StepStream, std::string_view bytes) override { output += bytes; }
  void step_status(StepNumber, const StepStatus&) override {}
  void step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds, std::string_view) override {
    ends[titles[static_cast<std::size_t>(step - 1)]] = end;
  }
  void step_explained(StepNumber, std::string_view) override {}
  void steps_known(int) override {}
  void warned(std::string_view message) override { warnings.emplace_back(message); }

  Texts titles, warnings;
  std::string output;
  std::map<std::string, StepEnd> ends;
};

/// Another machine is another store: caches and archives go from one to the other.
class Machine {
 public:
  explicit Machine(const fs::path& directory) : end(directory / "run"), store(directory / "store", directory / "run") {}
  NamespaceEnd end;
  Store store;
};

class BuildOutputTest : public testing::Test {
 protected:
  BuildOutputTest() : here(root.path() / "here") {
    request.context = (root.path() / "context").native();
    make_directories(request.context);
    request.network = "none";
  }

  void file(const std::string& path, const std::string& content) {
    const fs::path full = fs::path(request.context) / path;
    make_directories(full.parent_path());
    write_file_atomic(full, content, Durability::Cached);
  }
  void output(const std::string& text) { request.outputs = {parse_output_spec(text)}; }
  std::string place(const std::string& name) const { return (root.path() / name).native(); }

  BuildResult run(Machine& machine, const std::string& dockerfile) {
    file("Dockerfile", dockerfile);
    progress = {};
    return build(machine.store, request, services, progress);
  }
  BuildResult run(const std::string& dockerfile) { return run(here, dockerfile); }

  bool has_busybox() {
    if (::geteuid() != 0 || !fs::exists("/bin/busybox")) return false;
    make_directories(fs::path(request.context) / "rootfs/bin");
    fs::copy_file("/bin/busybox", fs::path(request.context) / "rootfs/bin/sh", fs::copy_options::overwrite_existing);
    fs::permissions(fs::path(request.context) / "rootfs/bin/sh", fs::perms(0755));
    return true;
  }

  TempDirectory root;
  Machine here;
  BuildRequest request;
  BuildServices services;
  EndsOfSteps progress;
};

TEST_F(BuildOutputTest, LocalWritesTheFilesAndNoImage) {
  file("a", "1");
  output("type=local,dest=" + place("out"));
  request.tags = {"unused"};
  make_directories(place("out/d"));
  write_file_atomic(place("out/d/old"), "x", Durability::Cached);
  ASSERT_EQ(::symlink("/etc", place("out/link").c_str()), 0);
  const BuildResult result = run("FROM scratch\nCOPY a /d/\nCOPY --chmod=600 a /link/b\n");
  EXPECT_FALSE(result.image);
  EXPECT_EQ(read_file(place("out/d/a")), "1");
  EXPECT_EQ(read_file(place("out/d/old")), "x");
  EXPECT_FALSE(fs::is_symlink(place("out/link")));
  EXPECT_EQ(read_file(place("out/link/b")), "1");
  EXPECT_TRUE(here.store.images().list().empty());
}

TEST_F(BuildOutputTest, LocalInDeleteModeNeedsAndTakesConsent) {
  file("a", "1");
  output("type=local,mode=delete,dest=" + place("out"));
  make_directories(place("out/gone"));
  EXPECT_THROW(run("FROM scratch\nCOPY a /a\n"), Error);
  request.entitlements = {"buildx.local.delete"};
  run("FROM scratch\nCOPY a /a\n");
  EXPECT_EQ(list_directory(place("out")), (Texts{"a"}));
}

TEST_F(BuildOutputTest, SeveralPlatformsGetADirectoryEach) {
  file("a", "1");
  request.platforms = {"linux/amd64", "linux/arm/v7"};
  output("type=local,dest=" + place("out"));
  run("FROM scratch\nARG TARGETARCH\nCOPY a /$TARGETARCH\n");
  EXPECT_EQ(list_directory(place("out")), (Texts{"linux_amd64", "linux_arm_v7"}));
  EXPECT_TRUE(fs::exists(place("out/linux_arm_v7/arm")));
}

TEST_F(BuildOutputTest, TarHoldsTheFiles) {
  file("a", "1");
  output("type=tar,dest=" + place("out.tar"));
  run("FROM scratch\nCOPY a /d/\n");
  const CommandOutput list = run_command({.argv = {"tar", "-tf", place("out.tar")}, .standard_out = -1});
  EXPECT_EQ(list.standard_out, "d/\nd/a\n");
}

TEST_F(BuildOutputTest, ArchivesAndLayoutsAreReadByOthers) {
  file("a", "1");
  request.tags = {"app:1"};
  output("type=oci,dest=" + place("out.tar"));
  const BuildResult result = run("FROM scratch\nCOPY a /d/\n");
  EXPECT_TRUE(here.store.images().list().empty());
  const CommandOutput list = run_command({.argv = {"tar", "-xOf", place("out.tar"), "index.json"}, .standard_out = -1});
  EXPECT_EQ(parse_index(list.standard_out).manifests.front().digest, result.image->digest);
  output("type=oci,tar=false,dest=" + place("layout"));
  run("FROM scratch\nCOPY a /d/\n");
  EXPECT_TRUE(fs::exists(place("layout/blobs/sha256/") + result.image->digest.hex()));
  // The layout is a base for another machine.
  Machine there(root.path() / "there");
  request.outputs.clear();
  request.named_contexts.emplace("base", OciLayoutSource{place("layout"), "", result.image->digest.str()});
  const BuildResult child = run(there, "FROM base\nWORKDIR /x\n");
  EXPECT_EQ(load_image(there.store.blobs(), *child.image, host_platform()).config.diff_ids.size(), 2u);
}

TEST_F(BuildOutputTest, CompressionIsTheManifestsAndTheImageIdStays) {
  file("a", std::string(10'000, 'x'));
  request.tags = {"app"};
  const BuildResult plain = run("FROM scratch\nCOPY a /d/\n");
  output("type=image,compression=zstd,compression-level=9");
  const BuildResult packed = run("FROM scratch\nCOPY a /d/\n");
  EXPECT_EQ(packed.image_id, plain.image_id);
  const Manifest manifest = parse_manifest(here.store.blobs().read(packed.image->digest, kManifestLimit));
  EXPECT_EQ(manifest.layers.front().media_type, media_type::kOciLayerZstd);
  EXPECT_LT(manifest.layers.front().size, 1000u);
  output("type=image,oci-mediatypes=false");
  EXPECT_EQ(run("FROM scratch\nCOPY a /d/\n").image->media_type, media_type::kDockerManifest);
}

TEST_F(BuildOutputTest, PushGoesToEveryNameAndNeedsOne) {
  file("a", "1");
  output("type=registry");
  Texts pushed;
  services.push = [&](const Reference& reference, const Descriptor&, const ByteProgress&) { pushed.push_back(reference.str()); };
  EXPECT_THROW(run("FROM scratch\nCOPY a /a\n"), Error);
  request.tags = {"r.example/a:1", "r.example/b:2"};
  run("FROM scratch\nCOPY a /a\n");
  EXPECT_EQ(pushed, (Texts{"r.example/a:1", "r.example/b:2"}));
}

TEST_F(BuildOutputTest, AnnotationsGoToTheirPlaces) {
  file("a", "1");
  request.platforms = {"linux/amd64", "linux/arm64"};
  request.annotations = {"one=1", "index:two=2", "manifest[linux/arm64]:three=3", "manifest-descriptor:four=4"};
  const BuildResult result = run("FROM scratch\nCOPY a /a\n");
  const Index index = parse_index(here.store.blobs().read(result.image->digest, kManifestLimit));
  EXPECT_EQ(index.annotations, (Annotations{{"two", "2"}}));
  EXPECT_EQ(index.manifests[0].annotations, (Annotations{{"four", "4"}}));
  const Manifest arm = parse_manifest(here.store.blobs().read(index.manifests[1].digest, kManifestLimit));
  EXPECT_EQ(arm.annotations, (Annotations{{"one", "1"}, {"three", "3"}}));
}

TEST_F(BuildOutputTest, ALocalCacheHitsOnAnotherMachineAtAnotherTime) {
  file("a", "1");
  request.cache_to = {parse_cache_to_spec("type=local,mode=max,dest=" + place("cache"))};
  const std::string text = "FROM scratch AS one\nCOPY a /x/\nFROM scratch\nCOPY --from=one /x /y\nWORKDIR /z\n";
  const BuildResult first = run(text);
  Machine there(root.path() / "there");
  request.cache_to.clear();
  request.cache_from = {parse_cache_from_spec("type=local,src=" + place("cache"))};
  file("a", "1");  // checked out again: other times
  const BuildResult second = run(there, text);
  EXPECT_EQ(second.image_id, first.image_id);
  EXPECT_EQ(progress.ends.at("[stage-1 1/2] COPY --from=one /x /y"), StepEnd::Cached);
  EXPECT_EQ(progress.ends.at("[one 1/1] COPY a /x/"), StepEnd::Cached);
  for (const Layer& layer : load_image(there.store.blobs(), *second.image, host_platform()).layers)
    EXPECT_TRUE(there.store.layers().has(layer.diff_id));
}

TEST_F(BuildOutputTest, AMinimalCacheHitsWithoutTheLayersOfOtherStages) {
  file("a", "1");
  request.cache_to = {parse_cache_to_spec("type=local,mode=min,dest=" + place("cache"))};
  const std::string text = "FROM scratch AS one\nCOPY a /x/\nFROM scratch\nCOPY --from=one /x /y\n";
  run(text);
  Machine there(root.path() / "there");
  request.cache_to.clear();
  request.cache_from = {parse_cache_from_spec("type=local,src=" + place("cache"))};
  const BuildResult second = run(there, text);
  EXPECT_EQ(progress.ends.at("[stage-1 1/1] COPY --from=one /x /y"), StepEnd::Cached);
  EXPECT_EQ(there.store.layers().list().size(), 1u);
  // A step that needs the other stage's files makes them again.
  run(there, text + "COPY --from=one /x/a /again\n");
  EXPECT_EQ(progress.ends.at("[stage-1 2/2] COPY --from=one /x/a /again"), StepEnd::Done);
}

TEST_F(BuildOutputTest, ACacheThatLiesOrIsMissingIsNotBelieved) {
  file("a", "1");
  request.cache_to = {parse_cache_to_spec("type=local,mode=max,dest=" + place("cache"))};
  const std::string text = "FROM scratch\nCOPY a /x/\n";
  run(text);
  request.cache_to.clear();
  request.cache_from = {parse_cache_from_spec("type=local,src=" + place("nowhere"))};
  Machine other(root.path() / "other");
  run(other, text);
  EXPECT_EQ(progress.warnings.size(), 1u);

  // Every layer blob is replaced by other bytes.
  for (const std::string& name : list_directory(place("cache/blobs/sha256"))) {
    const std::string content = read_file(place("cache/blobs/sha256/") + name);
    if (!content.starts_with("{")) write_file_atomic(place("cache/blobs/sha256/") + name, "lies" + content, Durability::Cached);
  }
  request.cache_from = {parse_cache_from_spec("type=local,src=" + place("cache"))};
  Machine there(root.path() / "there");
  EXPECT_THROW(run(there, text), Error);
}

TEST_F(BuildOutputTest, AnInlineCacheIsInTheImageAndTheIdIsStable) {
  file("a", "1");
  request.cache_to = {parse_cache_to_spec("type=inline")};
  request.tags = {"app"};
  const BuildResult first = run("FROM scratch\nCOPY a /x/\n");
  EXPECT_EQ(run("FROM scratch\nCOPY a /x/\n").image_id, first.image_id);
  const ImageConfig config = load_image(here.store.blobs(), *first.image, host_platform()).config;
  const CacheDocument document = cache_document_from_json(config.unknown.at(kCacheMember));
  ASSERT_EQ(document.records.size(), 1u);
  EXPECT_EQ(document.records[0].record.layer, config.diff_ids[0]);
}

TEST_F(BuildOutputTest, CacheMountsTravel) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  request.cache_to = {parse_cache_to_spec("type=local,mode=max,mounts=true,dest=" + place("cache"))};
  run("FROM scratch\nCOPY rootfs/ /\nRUN --mount=type=cache,id=npm,target=/c echo kept > /c/file && chmod 640 /c/file\n");
  Machine there(root.path() / "there");
  request.cache_to.clear();
  request.cache_from = {parse_cache_from_spec("type=local,mounts=true,src=" + place("cache"))};
  run(there, "FROM scratch\nCOPY rootfs/ /\nRUN --mount=type=cache,id=npm,target=/c read x < /c/file && echo got $x\n");
  EXPECT_NE(progress.output.find("got kept"), std::string::npos);
  struct ::stat info = {};
  const fs::path data = cache_mounts_directory(there.store.root()) / Digest::of(std::string("/npm")).hex() / "data/file";
  ASSERT_EQ(::stat(data.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST(CacheDocument, ComesBackAndNonsenseIsRefused) {
  CacheDocument document;
  TravellingRecord record{{Digest::of("k").hex()}, BuildRecord{.layer = Digest::of("l")}};
  record.record.created = Time(std::chrono::seconds(5));
  document.records.push_back(record);
  document.mounts.emplace("/npm", Digest::of("m"));
  const CacheDocument back = cache_document_from_json(to_json(document));
  EXPECT_EQ(back.records[0].keys, record.keys);
  EXPECT_EQ(back.mounts, document.mounts);
  EXPECT_THROW(cache_document_from_json(Json::parse(R"({"records":[{"layer":"x"}]})")), Error);
  EXPECT_THROW(cache_document_from_json(Json::parse(
                   R"({"records":[{"layer":"sha256:)" + std::string(64, 'a') +
                   R"(","created":"2024-01-01T00:00:00Z","keys":["../../etc/passwd"]}]})")),
               Error);
}

}  // namespace
}  // namespace ctr
