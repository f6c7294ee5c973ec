#include "image/layer_ingest.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "image/compression.h"
#include "tests/support/image_store_fixture.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

std::string gzip(const std::string& text) {
  StringSink sink;
  const auto compressor = make_compressor({Compression::Gzip, 1}, sink, 1);
  compressor->write(as_bytes(text));
  compressor->finish();
  return sink.text();
}

class LayerIngestTest : public testing::Test {
 protected:
  LayerIngestTest() {
    TarBuilder tar;
    for (int i = 0; i < 50; ++i)
      tar.file("dir/" + std::to_string(i), std::string(5000, static_cast<char>('a' + i % 26)));
    tar_ = tar.finish();
    bytes_ = gzip(tar_);
  }
  Descriptor blob() const { return describe(media_type::kOciLayerGzip, bytes_); }
  Digest diff_id() const { return Digest::of(tar_); }
  Store& store() { return fixture_.store(); }

  StoreFixture fixture_;
  std::string tar_;
  std::string bytes_;
};

TEST_F(LayerIngestTest, OnePassStoresBlobAndLayer) {
  LayerIngest ingest(store(), blob(), diff_id());
  EXPECT_TRUE(ingest.needs_bytes());
  for (std::size_t i = 0; i < bytes_.size(); i += 1000)
    ingest.write(as_bytes(std::string_view(bytes_).substr(i, 1000)));
  const LayerInfo info = ingest.commit();
  EXPECT_EQ(info.identity.diff_id, diff_id());
  EXPECT_EQ(info.identity.tar_size, tar_.size());
  EXPECT_EQ(store().blobs().read(blob().digest, kMiB), bytes_);
  EXPECT_EQ(read_file(fs::path(fd_path(store().layers().open_tree(diff_id()).get())) / "dir/3").substr(0, 3), "ddd");
  EXPECT_TRUE(has_layer(store(), blob(), diff_id()));
}

TEST_F(LayerIngestTest, SecondTimeNeedsNothing) {
  LayerIngest(store(), blob(), diff_id()).write(as_bytes(bytes_));
  {
    LayerIngest ingest(store(), blob(), diff_id());
    EXPECT_EQ(ingest.offset(), bytes_.size());
    ingest.commit();
  }
  LayerIngest again(store(), blob(), diff_id());
  EXPECT_FALSE(again.needs_bytes());
  EXPECT_EQ(again.commit().identity.diff_id, diff_id());
}

TEST_F(LayerIngestTest, BrokenDownloadResumes) {
  LayerIngest(store(), blob(), diff_id()).write(as_bytes(bytes_.substr(0, 777)));
  EXPECT_FALSE(store().layers().has(diff_id()));
  LayerIngest ingest(store(), blob(), diff_id());
  EXPECT_EQ(ingest.offset(), 777u);
  ingest.write(as_bytes(bytes_.substr(777)));
  ingest.commit();
  EXPECT_TRUE(store().layers().has(diff_id()));
}

TEST_F(LayerIngestTest, ServerThatCannotResumeRestarts) {
  LayerIngest(store(), blob(), diff_id()).write(as_bytes(bytes_.substr(0, 777)));
  LayerIngest ingest(store(), blob(), diff_id());
  ingest.restart();
  EXPECT_EQ(ingest.offset(), 0u);
  ingest.write(as_bytes(bytes_));
  ingest.commit();
  EXPECT_TRUE(store().layers().has(diff_id()));
}

TEST_F(LayerIngestTest, WrongBytesPublishNothing) {
  std::string damaged = bytes_;
  damaged[damaged.size() / 2] = static_cast<char>(~damaged[damaged.size() / 2]);
  LayerIngest ingest(store(), blob(), diff_id());
  ingest.write(as_bytes(damaged));
  try {
    ingest.commit();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Corrupt);
    EXPECT_NE(std::string(error.what()).find("has the digest"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(store().blobs().has(blob().digest));
  EXPECT_FALSE(store().layers().has(diff_id()));
}

TEST_F(LayerIngestTest, WrongDiffIdIsNamed) {
  LayerIngest ingest(store(), blob(), Digest::of("another"));
  ingest.write(as_bytes(bytes_));
  try {
    ingest.commit();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("unpacks to " + diff_id().str()), std::string::npos) << error.what();
  }
  EXPECT_TRUE(store().layers().list().empty());
}

TEST_F(LayerIngestTest, HostileLayerIsRefusedWhileItsBytesMayStay) {
  TarBuilder tar;
  tar.file("../evil", "x");
  const std::string bytes = gzip(tar.finish());
  LayerIngest ingest(store(), describe(media_type::kOciLayerGzip, bytes), Digest::of(tar.finish()));
  ingest.write(as_bytes(bytes));
  EXPECT_THROW(ingest.commit(), Error);
  EXPECT_TRUE(store().layers().list().empty());
}

TEST_F(LayerIngestTest, BlobThatIsHereIsUnpackedWithoutBytes) {
  store().blobs().put(media_type::kOciLayerGzip, bytes_);
  LayerIngest ingest(store(), blob(), diff_id());
  EXPECT_FALSE(ingest.needs_bytes());
  ingest.commit();
  EXPECT_TRUE(store().layers().has(diff_id()));
}

TEST_F(LayerIngestTest, LayerThatIsHereNeedsItsBlobAllTheSame) {
  store().blobs().put(media_type::kOciLayerGzip, bytes_);
  unpack_blob(store(), blob(), diff_id());
  store().blobs().remove(blob().digest, store().trash_path());
  LayerIngest ingest(store(), blob(), diff_id());
  EXPECT_TRUE(ingest.needs_bytes());
  ingest.write(as_bytes(bytes_));
  ingest.commit();
  EXPECT_TRUE(store().blobs().has(blob().digest));
}

TEST_F(LayerIngestTest, CanonicalPlainTarIsNotKeptTwice) {
  StoreFixture builder;
  const LayerInfo made = builder.make_layer({{"app/", ""}, {"app/x", "content"}});
  StringSink tar;
  builder.store().layers().write_canonical_tar(made.identity.diff_id, tar);
  const Descriptor plain = uncompressed_blob(made.identity.diff_id, made.identity.tar_size);
  LayerIngest ingest(store(), plain, made.identity.diff_id);
  ingest.write(as_bytes(tar.text()));
  EXPECT_EQ(ingest.commit().identity.canonical_version, 1);
  EXPECT_FALSE(store().blobs().has(plain.digest));
  EXPECT_TRUE(has_layer(store(), plain, made.identity.diff_id));
}

TEST_F(LayerIngestTest, BuiltLayerIsCompressedOnceAndThenKnown) {
  const LayerInfo made = fixture_.make_layer({{"app/", ""}, {"app/x", std::string(3'000'000, 'x')}});
  const Descriptor plain = uncompressed_blob(made.identity.diff_id, made.identity.tar_size);
  const CompressionChoice choice{Compression::Gzip, {}};
  EXPECT_FALSE(known_layer_blob(store(), plain, made.identity.diff_id, choice, media_type::kOciManifest));
  const LayerBlob blob = open_layer_blob(store(), plain, made.identity.diff_id, choice, media_type::kOciManifest);
  EXPECT_EQ(blob.blob.media_type, media_type::kOciLayerGzip);
  const std::string bytes = read_fd(blob.file.get(), kMiB, "blob");
  EXPECT_EQ(Digest::of(bytes), blob.blob.digest);
  EXPECT_EQ(bytes.size(), blob.blob.size);
  EXPECT_EQ(known_layer_blob(store(), plain, made.identity.diff_id, choice, media_type::kOciManifest), blob.blob);
  EXPECT_EQ(known_layer_blob(store(), plain, made.identity.diff_id, choice, media_type::kDockerManifest)->media_type,
            media_type::kDockerLayerGzip);
  // A pull of what was pushed needs no bytes: the compressed blob can be made again.
  EXPECT_TRUE(has_layer(store(), blob.blob, made.identity.diff_id));
  const LayerBlob again = open_layer_blob(store(), blob.blob, made.identity.diff_id, choice, media_type::kOciManifest);
  EXPECT_EQ(read_fd(again.file.get(), kMiB, "blob"), bytes);
}

}  // namespace
}  // namespace ctr
