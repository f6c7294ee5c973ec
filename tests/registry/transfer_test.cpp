// Pull and push between a real store and a registry in memory.
#include <gtest/gtest.h>
#include <mutex>
#include <random>
#include <thread>

#include "base/error.h"
#include "image/manifest.h"
#include "registry/copy.h"
#include "registry/pull.h"
#include "registry/push.h"
#include "registry/registry_client.h"
#include "tests/support/image_namespace.h"
#include "tests/support/registry_fake.h"
#include "tests/support/registry_images.h"

namespace ctr {
namespace {

const Platform kAmd64{"linux", "amd64", "", "", {}};
const Platform kArm64{"linux", "arm64", "", "", {}};

class RecordingProgress : public TransferProgress {
 public:
  void layer(const LayerProgress& progress) override {
    const std::lock_guard guard(mutex_);
    states_.push_back(progress);
  }
  void message(const std::string&) override {}
  bool saw(LayerState state) const {
    const std::lock_guard guard(mutex_);
    for (const LayerProgress& progress : states_) {
      if (progress.state == state) return true;
    }
    return false;
  }
  std::string detail_of(LayerState state) const {
    const std::lock_guard guard(mutex_);
    for (const LayerProgress& progress : states_) {
      if (progress.state == state) return progress.detail;
    }
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::vector<LayerProgress> states_;
};

struct TestStore {
  TempDirectory directory;
  NamespaceEnd end{directory.path() / "run"};
  Store store{directory.path() / "root", directory.path() / "run"};
};

class TransferTest : public ::testing::Test {
 protected:
  TransferTest() { session_ = std::make_unique<RegistrySession>(options()); }

  SessionOptions options() { return fake_session(fake_, CredentialStore(here_.directory.path() / "config.json")); }
  Descriptor name(Store& store, const std::string& text, const Descriptor& target) {
    const Descriptor plain{.media_type = target.media_type, .digest = target.digest, .size = target.size};
    store.images().set(Reference::parse(text), plain);
    return plain;
  }
  PushResult push(const std::string& text, PushOptions push_options = {}) {
    const Reference reference = Reference::parse(text);
    return push_image(here_.store, *session_, *here_.store.images().find(reference), reference, push_options);
  }
  PullResult pull(Store& store, const std::string& text, PullOptions pull_options = {}) {
    pull_options.platform = pull_options.platform.value_or(kAmd64);
    return pull_image(store, *session_, Reference::parse(text), pull_options);
  }
  std::size_t uploads() const { return fake_->count("PUT", "/blobs/uploads/"); }
  std::size_t manifest_puts() const { return fake_->count("PUT", "/manifests/"); }

  TestStore here_;
  TestStore there_;
  std::shared_ptr<FakeRegistry> fake_ = std::make_shared<FakeRegistry>();
  std::unique_ptr<RegistrySession> session_;
};

const std::vector<TestFiles> kBase{{{"etc-os", "debian"}}, {{"app.js", "version one"}}};
const std::vector<TestFiles> kSecond{{{"etc-os", "debian"}}, {{"app.js", "version two"}}};

TEST_F(TransferTest, WhatIsPushedIsPulledAsTheSameImage) {
  const Descriptor image = make_test_image(here_.store, kBase, kAmd64);
  name(here_.store, "reg.test/app:v1", image);
  const PushResult pushed = push("reg.test/app:v1");
  const PullResult pulled = pull(there_.store, "reg.test/app:v1");
  EXPECT_EQ(pulled.target.digest, pushed.target.digest);
  EXPECT_EQ(pulled.status, PullStatus::Downloaded);
  const Image before = load_image(here_.store.blobs(), image, kAmd64);
  const Image after = load_image(there_.store.blobs(), pulled.target, kAmd64);
  EXPECT_EQ(after.id(), before.id());
  EXPECT_TRUE(has_all_layers(there_.store, after));
  EXPECT_EQ(read_layer_file(there_.store, after.layers[1].diff_id, "app.js"), "version one");
  EXPECT_EQ(pull(there_.store, "reg.test/app:v1").status, PullStatus::UpToDate);
}

TEST_F(TransferTest, TheSecondVersionSendsItsLayerItsConfigAndItsManifest) {
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, kBase, kAmd64));
  push("reg.test/app:v1");
  EXPECT_EQ(uploads(), 3u);
  fake_->clear_log();
  name(here_.store, "reg.test/app:v2", make_test_image(here_.store, kSecond, kAmd64));
  push("reg.test/app:v2");
  EXPECT_EQ(uploads(), 2u);
  EXPECT_EQ(manifest_puts(), 1u);
  fake_->clear_log();
  push("reg.test/app:v2");
  EXPECT_EQ(fake_->count("PUT", ""), 0u);
  EXPECT_EQ(fake_->count("POST", ""), 0u);
}

TEST_F(TransferTest, APulledImageIsPushedByteForByte) {
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, kBase, kAmd64));
  const PushResult pushed = push("reg.test/app:v1");
  const PullResult pulled = pull(there_.store, "reg.test/app:v1");
  name(there_.store, "other.test/app:v1", pulled.target);
  const Reference elsewhere = Reference::parse("other.test/mirror:v1");
  EXPECT_EQ(push_image(there_.store, *session_, pulled.target, elsewhere, {}).target.digest, pushed.target.digest);
}

TEST_F(TransferTest, LayersAreMountedFromARepositoryOfTheSameHost) {
  name(here_.store, "reg.test/base:1", make_test_image(here_.store, {kBase[0]}, kAmd64));
  push("reg.test/base:1");
  fake_->clear_log();
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, kBase, kAmd64));
  RecordingProgress progress;
  push("reg.test/app:v1", {.progress = &progress});
  EXPECT_EQ(uploads(), 2u) << "the second layer and the config";
  EXPECT_EQ(progress.detail_of(LayerState::MountedFrom), "base");
  EXPECT_TRUE(progress.saw(LayerState::Pushed));
}

TEST_F(TransferTest, AnIndexIsPulledForOnePlatformAndKept) {
  const Descriptor amd64 = make_test_image(here_.store, {{{"arch", "amd64"}}}, kAmd64);
  const Descriptor arm64 = make_test_image(here_.store, {{{"arch", "arm64"}}}, kArm64);
  name(here_.store, "reg.test/multi:1", make_test_index(here_.store, {amd64, arm64}));
  const PushResult pushed = push("reg.test/multi:1");
  EXPECT_EQ(fake_->repositories["multi"].tags.size(), 1u) << "children are pushed by digest only";
  const PullResult pulled = pull(there_.store, "reg.test/multi:1", {.platform = kArm64});
  EXPECT_TRUE(pulled.target.is_index());
  EXPECT_EQ(pulled.target.digest, pushed.target.digest);
  const Image image = load_image(there_.store.blobs(), pulled.target, kArm64);
  EXPECT_EQ(read_layer_file(there_.store, image.layers[0].diff_id, "arch"), "arm64");
  EXPECT_FALSE(find_image(there_.store.blobs(), pulled.target, kAmd64));
  fake_->clear_log();
  push("reg.test/multi:1");
  EXPECT_EQ(fake_->count("PUT", ""), 0u);
}

TEST_F(TransferTest, AMissingPlatformNamesThoseThatExist) {
  const Descriptor amd64 = make_test_image(here_.store, {{{"arch", "amd64"}}}, kAmd64);
  name(here_.store, "reg.test/multi:1", make_test_index(here_.store, {amd64}));
  push("reg.test/multi:1");
  try {
    pull(there_.store, "reg.test/multi:1", {.platform = Platform{"linux", "s390x", "", "", {}}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::NotFound);
    EXPECT_NE(std::string(error.what()).find("no matching manifest for linux/s390x"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("linux/amd64"), std::string::npos);
  }
  EXPECT_FALSE(there_.store.images().find(Reference::parse("reg.test/multi:1")));
}

TEST_F(TransferTest, AnImageOfAnotherPlatformIsRefusedIfOneWasAskedFor) {
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, kBase, kArm64));
  push("reg.test/app:v1");
  EXPECT_THROW(pull(there_.store, "reg.test/app:v1", {.platform = kAmd64}), Error);
  const Reference reference = Reference::parse("reg.test/app:v1");
  EXPECT_EQ(pull_image(there_.store, *session_, reference, {.preferred = kAmd64}).status, PullStatus::Downloaded);
}

TEST_F(TransferTest, ABrokenDownloadResumesWhereItBroke) {
  std::string big;
  std::mt19937 random(42);
  for (int i = 0; i < 100'000; ++i) big += static_cast<char>(random());
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, {{{"big", big}}}, kAmd64));
  push("reg.test/app:v1");
  fake_->clear_log();
  int breaks = 6;
  std::vector<std::string> ranges;
  fake_->intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    const bool is_layer = request.method == "GET" && request.url.path.find("/blobs/sha256:") != std::string::npos;
    if (!is_layer || request.url.path.find("/v2/app/") != 0) return std::nullopt;
    const std::string digest = request.url.path.substr(request.url.path.rfind('/') + 1);
    const std::string& bytes = fake_->repositories["app"].blobs[digest];
    if (bytes.size() < 10'000 || breaks-- <= 0) return std::nullopt;
    ranges.push_back(request.headers.find("Range").value_or(""));
    const std::string range = ranges.back();
    const std::size_t start = range.empty() ? 0 : std::stoul(range.substr(6));
    return FakeReply{
        range.empty() ? 200 : 206,
        range.empty() ? HttpHeaders{} : HttpHeaders{{"Content-Range", "bytes " + std::to_string(start) + "-9/9"}},
        bytes.substr(start), 3000};
  };
  const PullResult pulled = pull(there_.store, "reg.test/app:v1");
  const Image image = load_image(there_.store.blobs(), pulled.target, kAmd64);
  EXPECT_EQ(read_layer_file(there_.store, image.layers[0].diff_id, "big"), big);
  ASSERT_GE(ranges.size(), 6u);
  EXPECT_EQ(ranges[1], "bytes=3000-");
  EXPECT_EQ(ranges[5], "bytes=15000-") << "six breaks, but bytes moved between them";
}

TEST_F(TransferTest, WrongBytesAreNeverKept) {
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, kBase, kAmd64));
  push("reg.test/app:v1");
  fake_->intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.url.path.find("/blobs/sha256:") == std::string::npos) return std::nullopt;
    const std::string digest = request.url.path.substr(request.url.path.rfind('/') + 1);
    std::string bytes = fake_->repositories["app"].blobs[digest];
    bytes.back() ^= 1;
    return FakeReply{200, {}, bytes};
  };
  EXPECT_THROW(pull(there_.store, "reg.test/app:v1"), Error);
  EXPECT_FALSE(there_.store.images().find(Reference::parse("reg.test/app:v1")));
  EXPECT_TRUE(there_.store.layers().list().empty());
  fake_->intercept = nullptr;
  EXPECT_EQ(pull(there_.store, "reg.test/app:v1").status, PullStatus::Downloaded);
}

TEST_F(TransferTest, TwoPullsOfOneImageFetchEachBlobOnce) {
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, kBase, kAmd64));
  push("reg.test/app:v1");
  fake_->clear_log();
  const Image image =
      load_image(here_.store.blobs(), *here_.store.images().find(Reference::parse("reg.test/app:v1")), kAmd64);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      RegistrySession session(options());
      pull_image(there_.store, session, Reference::parse("reg.test/app:v1"), {.platform = kAmd64});
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::map<std::string, int> fetched;
  for (const std::string& line : fake_->log()) {
    if (line.starts_with("GET") && line.find("/blobs/") != std::string::npos) ++fetched[line];
  }
  for (const auto& [line, times] : fetched) {
    const bool is_config = line.find(image.id().str()) != std::string::npos;
    EXPECT_TRUE(is_config || times == 1) << line;
  }
}

TEST_F(TransferTest, AnUploadThatBreaksBeginsAgain) {
  name(here_.store, "reg.test/app:v1", make_test_image(here_.store, kBase, kAmd64));
  int breaks = 2;
  fake_->intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.method != "PUT" || request.url.path.find("/uploads/") == std::string::npos || breaks-- <= 0) {
      return std::nullopt;
    }
    throw TransportError(TransportFailure::Broken, "the connection broke");
  };
  push("reg.test/app:v1");
  fake_->intercept = nullptr;
  EXPECT_EQ(pull(there_.store, "reg.test/app:v1").status, PullStatus::Downloaded);
}

TEST_F(TransferTest, AnUnknownImageIsNotFoundInDockersWords) {
  fake_->repositories["app"];
  try {
    pull(there_.store, "reg.test/app:nope");
    FAIL();
  } catch (const RegistryError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::NotFound);
    EXPECT_STREQ(error.what(), "manifest for reg.test/app:nope not found: manifest unknown: manifest unknown");
  }
}

TEST_F(TransferTest, AnArtifactIsNotAnImage) {
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
      R"("application/vnd.cncf.helm.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310)"
      R"(c060f61caaff8a","size":2},"layers":[]})";
  fake_->put_manifest("chart", "1", std::string(media_type::kOciManifest), manifest);
  EXPECT_THROW(pull(there_.store, "reg.test/chart:1"), Error);
}

// An index of two platforms, pushed to reg.test/multi:1 and pulled into `there_` for one of them.
class IndexTransferTest : public TransferTest {
 protected:
  IndexTransferTest() {
    const Descriptor amd64 = make_test_image(here_.store, {{{"arch", "amd64"}}}, kAmd64);
    const Descriptor arm64 = make_test_image(here_.store, {{{"arch", "arm64"}}}, kArm64);
    name(here_.store, "reg.test/multi:1", make_test_index(here_.store, {amd64, arm64}));
    push("reg.test/multi:1");
    pulled_ = pull(there_.store, "reg.test/multi:1").target;
    fake_->clear_log();
  }
  PushResult push_elsewhere(const std::string& text, PushOptions push_options = {}) {
    return push_image(there_.store, *session_, *pulled_, Reference::parse(text), push_options);
  }
  std::optional<Descriptor> pulled_;
};

TEST_F(IndexTransferTest, MissingPlatformsComeFromWhereTheIndexCame) {
  const PushResult pushed = push_elsewhere("reg.test/mirror:1");
  EXPECT_EQ(pushed.target.digest, pulled_->digest);
  EXPECT_EQ(pushed.notice, "");
  TestStore third;
  const PullResult arm = pull(third.store, "reg.test/mirror:1", {.platform = kArm64});
  const Image image = load_image(third.store.blobs(), arm.target, kArm64);
  EXPECT_EQ(read_layer_file(third.store, image.layers[0].diff_id, "arch"), "arm64");
}

TEST_F(IndexTransferTest, WithoutThatRegistryThePresentPlatformIsPushedAlone) {
  fake_->intercept = [](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.url.host == "reg.test") throw TransportError(TransportFailure::Connect, "connection refused");
    return std::nullopt;
  };
  fake_->repositories.erase("multi");
  const PushResult pushed = push_elsewhere("other.test/mirror:1");
  EXPECT_TRUE(pushed.target.is_manifest());
  EXPECT_NE(pushed.notice.find(pushed.target.digest.str()), std::string::npos) << pushed.notice;
  EXPECT_NE(pushed.notice.find(pulled_->digest.str()), std::string::npos) << pushed.notice;
  EXPECT_NE(pushed.notice.find("connection refused"), std::string::npos) << pushed.notice;
  TestStore third;
  EXPECT_EQ(pull(third.store, "other.test/mirror:1").target.digest, pushed.target.digest);
}

TEST_F(IndexTransferTest, APlatformThatIsAskedForIsPushedAsAPlainManifest) {
  const PushResult pushed = push_elsewhere("reg.test/mirror:1", {.platform = kAmd64});
  EXPECT_TRUE(pushed.target.is_manifest());
  EXPECT_NE(pushed.notice.find("linux/amd64 alone"), std::string::npos) << pushed.notice;
}

TEST_F(IndexTransferTest, ACopyTakesAllPlatformsAndWhatRefersToThem) {
  const std::string artifact =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"sbom","config":)"
      R"({"mediaType":"application/vnd.oci.empty.v1+json","digest":")" +
      fake_->put_blob("multi", "{}") +
      R"(","size":2},"layers":[],"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","digest":")" +
      pulled_->digest.str() + R"(","size":1}})";
  const std::string digest =
      fake_->put_manifest("multi", Digest::of(artifact).str(), std::string(media_type::kOciManifest), artifact);
  const std::string list = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
                           R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
                           digest + R"(","size":)" + std::to_string(artifact.size()) + R"(,"artifactType":"sbom"}]})";
  fake_->put_manifest("multi", "sha256-" + pulled_->digest.hex(), std::string(media_type::kOciIndex), list);
  const CopyResult copied =
      copy_image(*session_, parse_copy_place("reg.test/multi:1"), parse_copy_place("docker://other.test/copy:2"), {});
  EXPECT_EQ(copied.target.digest, pulled_->digest);
  EXPECT_EQ(copied.manifests, 4u) << "the index, two images, the artifact";
  EXPECT_EQ(fake_->repositories["copy"].tags["2"], pulled_->digest.str());
  EXPECT_EQ(fake_->repositories["copy"].manifests.count(digest), 1u);
  EXPECT_EQ(session_->client("other.test", "copy").referrers(pulled_->digest).size(), 1u);
  fake_->clear_log();
  copy_image(*session_, parse_copy_place("reg.test/multi:1"), parse_copy_place("other.test/copy:2"), {});
  EXPECT_EQ(fake_->count("PUT", ""), 0u);
}

TEST_F(IndexTransferTest, ALayoutIsWrittenAndReadBack) {
  TempDirectory directory;
  const CopyPlace layout = parse_copy_place("oci:" + (directory.path() / "x").native() + ":v1");
  EXPECT_EQ(copy_image(*session_, parse_copy_place("reg.test/multi:1"), layout, {}).target.digest, pulled_->digest);
  EXPECT_EQ(list_directory(directory.path() / "x"), (std::vector<std::string>{"blobs", "index.json", "oci-layout"}));
  copy_image(*session_, layout, parse_copy_place("reg.test/back:1"), {});
  EXPECT_EQ(fake_->repositories["back"].tags["1"], pulled_->digest.str());
}

TEST_F(IndexTransferTest, AnArchiveIsWrittenAndReadBack) {
  TempDirectory directory;
  const CopyPlace archive = parse_copy_place("docker-archive:" + (directory.path() / "x.tar").native());
  copy_image(*session_, parse_copy_place("reg.test/multi:1"), archive, {.platform = kArm64});
  copy_image(*session_, archive, parse_copy_place("reg.test/back:1"), {});
  TestStore third;
  const PullResult back = pull(third.store, "reg.test/back:1", {.platform = kArm64});
  const Image image = load_image(third.store.blobs(), back.target, kArm64);
  EXPECT_EQ(read_layer_file(third.store, image.layers[0].diff_id, "arch"), "arm64");
}

TEST_F(IndexTransferTest, ACopyResumesADownloadThatBreaks) {
  std::string big(50'000, 'x');
  std::mt19937 random(1);
  for (char& character : big) character = static_cast<char>(random());
  const std::string digest = fake_->put_blob("big", big);
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
      R"("application/vnd.oci.image.config.v1+json","digest":")" +
      fake_->put_blob("big", "{}") +
      R"(","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":")" + digest +
      R"(","size":50000}]})";
  fake_->put_manifest("big", "1", std::string(media_type::kOciManifest), manifest);
  int breaks = 3;
  fake_->intercept = [&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.method != "GET" || !request.url.path.ends_with(digest) || breaks-- <= 0) return std::nullopt;
    return FakeReply{200, {}, big, 20'000};  // ignores the range
  };
  copy_image(*session_, parse_copy_place("reg.test/big:1"), parse_copy_place("other.test/copy:1"), {});
  EXPECT_EQ(fake_->repositories["copy"].blobs[digest], big);
}

TEST_F(IndexTransferTest, ACopyNeverKeepsWrongBytes) {
  const std::string wanted = Digest::of("right").str();
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
      R"("application/vnd.oci.image.config.v1+json","digest":")" +
      wanted + R"(","size":5},"layers":[]})";
  fake_->repositories["bad"].blobs[wanted] = "wrong";
  fake_->put_manifest("bad", "1", std::string(media_type::kOciManifest), manifest);
  EXPECT_THROW(copy_image(*session_, parse_copy_place("reg.test/bad:1"), parse_copy_place("other.test/copy:1"), {}),
               Error);
  EXPECT_EQ(fake_->repositories["copy"].blobs.count(wanted), 0u);
  EXPECT_TRUE(fake_->repositories["copy"].tags.empty());
}

}  // namespace
}  // namespace ctr
