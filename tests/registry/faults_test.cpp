// Pull and push against a registry that misbehaves in every way, by seed: what comes out is the right image or a clear
// error, never anything else. CTR_FAULT_SEEDS=FIRST-LAST repeats a part.
#include <cstdlib>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/text.h"
#include "image/manifest.h"
#include "registry/pull.h"
#include "registry/push.h"
#include "tests/support/image_namespace.h"
#include "tests/support/registry_faults.h"
#include "tests/support/registry_images.h"

namespace ctr {
namespace {

const Platform kAmd64{"linux", "amd64", "", "", {}};

struct StoreOfTest {
  TempDirectory directory;
  NamespaceEnd end{directory.path() / "run"};
  Store store{directory.path() / "root", directory.path() / "run"};
};

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::string text(size, ' ');
  for (char& character : text) character = static_cast<char>(generator());
  return text;
}

class Faults : public ::testing::Test {
 protected:
  Faults() {
    image_ =
        make_test_image(origin_.store, {{{"a", noise(30'000, 1)}}, {{"b", noise(9'000, 2)}}, {{"c", "c"}}}, kAmd64);
    image_->platform.reset();
    write_file_atomic(home_.path() / "config.json", "{}", Durability::Cached);
  }
  SessionOptions options(const std::string& host) {
    const fs::path file = home_.path() / (host + ".json");
    write_file_atomic(file, R"({"auths":{")" + host + R"(":{"auth":"dXNlcjpzZWNyZXQ="}}})", Durability::Cached);
    HostConfiguration hosts;
    hosts.timeouts.connect = std::chrono::seconds(5);
    hosts.timeouts.stall = std::chrono::seconds(5);
    SessionOptions options{.credentials = CredentialStore(file), .hosts = hosts};
    options.retry.sleep = [](std::chrono::milliseconds) {};
    return options;
  }
  std::pair<unsigned, unsigned> seeds() const {
    const char* text = std::getenv("CTR_FAULT_SEEDS");
    const auto pair = text != nullptr ? cut(text, '-') : std::nullopt;
    if (!pair) return {1, 250};
    return {static_cast<unsigned>(parse_uint(pair->first).value_or(1)),
            static_cast<unsigned>(parse_uint(pair->second).value_or(1))};
  }
  static int faults_of(unsigned seed) { return static_cast<int>(seed % 9); }

  // Nothing in a store may have bytes that its name doesn't promise.
  static void expect_sound(const Store& store) {
    for (const Digest& digest : store.blobs().list()) EXPECT_TRUE(store.blobs().is_whole(digest)) << digest.str();
    for (const Digest& diff_id : store.layers().list()) {
      StringSink tar;
      if (store.layers().info(diff_id).identity.canonical_version == 0) continue;
      EXPECT_NO_THROW(store.layers().write_canonical_tar(diff_id, tar));
    }
  }

  StoreOfTest origin_;
  TempDirectory home_;
  std::optional<Descriptor> image_;
};

TEST_F(Faults, APullEndsInTheRightImageOrAClearError) {
  FakeRegistry registry;
  {
    FaultyServer good(registry, 0, 0);
    RegistrySession session(options(good.host()));
    push_image(origin_.store, session, *image_, Reference::parse(good.host() + "/team/app:v1"), {});
  }
  const Digest expected = Digest::parse(registry.repositories["team/app"].tags["v1"]);
  registry.auth = FakeRegistry::Auth::Bearer;
  registry.anonymous_may_pull = false;
  int successes = 0;
  const auto [first, last] = seeds();
  for (unsigned seed = first; seed <= last; ++seed) {
    FaultyServer server(registry, seed, faults_of(seed));
    const Reference name = Reference::parse(server.host() + "/team/app:v1");
    StoreOfTest target;
    try {
      RegistrySession session(options(server.host()));
      const PullResult pulled = pull_image(target.store, session, name, {.platform = kAmd64});
      ASSERT_EQ(pulled.target.digest, expected) << "seed " << seed << ": " << server.story();
      const Image image = load_image(target.store.blobs(), pulled.target, kAmd64);
      ASSERT_TRUE(has_all_layers(target.store, image)) << "seed " << seed;
      ASSERT_EQ(read_layer_file(target.store, image.layers[0].diff_id, "a"), noise(30'000, 1)) << "seed " << seed;
      ++successes;
    } catch (const Error& error) {
      ASSERT_GT(std::string(error.what()).size(), 10u) << "seed " << seed;
      ASSERT_GT(faults_of(seed), 0) << "seed " << seed << ": " << error.what();
      ASSERT_FALSE(target.store.images().find(name)) << "seed " << seed << ": " << error.what();
    }
    ASSERT_FALSE(server.credentials_leaked()) << "seed " << seed;
    expect_sound(target.store);
    if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "seed " << seed << ": " << server.story();
  }
  EXPECT_GT(successes, static_cast<int>(last - first + 1) * 6 / 10) << "most faults can be overcome";
}

TEST_F(Faults, APushEndsInTheRightImageOrAClearError) {
  int successes = 0;
  const auto [first, last] = seeds();
  for (unsigned seed = first; seed <= last; ++seed) {
    FakeRegistry registry;
    registry.auth = FakeRegistry::Auth::Bearer;
    FaultyServer server(registry, seed, faults_of(seed));
    try {
      RegistrySession session(options(server.host()));
      const PushResult pushed =
          push_image(origin_.store, session, *image_, Reference::parse(server.host() + "/app:v1"), {});
      ASSERT_EQ(registry.repositories["app"].tags["v1"], pushed.target.digest.str()) << "seed " << seed;
      ++successes;
    } catch (const Error& error) {
      ASSERT_GT(std::string(error.what()).size(), 10u) << "seed " << seed;
      ASSERT_GT(faults_of(seed), 0) << "seed " << seed << ": " << error.what();
    }
    // Whatever has a tag must be whole, and every byte what its digest says.
    FakeRegistry::Repository& repository = registry.repositories["app"];
    for (const auto& [digest, bytes] : repository.blobs) ASSERT_EQ(Digest::of(bytes).str(), digest) << "seed " << seed;
    for (const auto& [tag, digest] : repository.tags) {
      const Manifest manifest = parse_manifest(repository.manifests.at(digest).bytes);
      for (const Descriptor& layer : manifest.layers) {
        ASSERT_EQ(repository.blobs.count(layer.digest.str()), 1u) << "seed " << seed << ": " << server.story();
      }
      ASSERT_EQ(repository.blobs.count(manifest.config.digest.str()), 1u) << "seed " << seed;
    }
    ASSERT_FALSE(server.credentials_leaked()) << "seed " << seed;
  }
  EXPECT_GT(successes, static_cast<int>(last - first + 1) * 6 / 10) << "most faults can be overcome";
}

}  // namespace
}  // namespace ctr
