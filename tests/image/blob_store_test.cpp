#include "image/blob_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"

namespace ctr {
namespace {

class BlobStoreTest : public testing::Test {
 protected:
  TempDirectory directory_;
  UnsyncedMarkers markers_{directory_.path(), "boot-1"};
  BlobStore blobs_{directory_.path(), markers_};
  fs::path trash_ = directory_.path() / "trash";
};

TEST_F(BlobStoreTest, WhatIsPutIsRead) {
  const Descriptor blob = blobs_.put("text/plain", "hello");
  EXPECT_EQ(blob.digest, Digest::of("hello"));
  EXPECT_EQ(blobs_.read(blob.digest, 100), "hello");
  EXPECT_EQ(blobs_.find_size(blob.digest), 5u);
  EXPECT_EQ(blobs_.list(), std::vector<Digest>{blob.digest});
}

TEST_F(BlobStoreTest, AbsenceIsNotFound) {
  EXPECT_FALSE(blobs_.has(Digest::of("x")));
  try {
    blobs_.open(Digest::of("x"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  }
}

TEST_F(BlobStoreTest, DamageIsNoticedWhenReading) {
  const Descriptor blob = blobs_.put("text/plain", "hello");
  write_file_atomic(blobs_.path(blob.digest), "hullo", Durability::Cached);
  EXPECT_THROW(blobs_.read(blob.digest, 100), Error);
}

TEST_F(BlobStoreTest, CommitRejectsWrongDigestAndForgetsTheBytes) {
  const Digest expected = Digest::of("right");
  auto writer = blobs_.ingest(expected);
  writer->write(as_bytes("wrong"));
  EXPECT_THROW(std::move(*writer).commit("x"), Error);
  writer.reset();
  EXPECT_FALSE(blobs_.has(expected));
  EXPECT_EQ(blobs_.ingest(expected)->offset(), 0u);
}

TEST_F(BlobStoreTest, CommitRejectsWrongSize) {
  auto writer = blobs_.ingest(Digest::of("right"));
  writer->write(as_bytes("right"));
  EXPECT_THROW(std::move(*writer).commit("x", 6), Error);
}

TEST_F(BlobStoreTest, BrokenDownloadResumes) {
  const Digest expected = Digest::of("first second");
  blobs_.ingest(expected)->write(as_bytes("first "));
  auto writer = blobs_.ingest(expected);
  EXPECT_EQ(writer->offset(), 6u);
  StringSink resumed;
  copy_all(*writer->resumed_bytes(), resumed);
  EXPECT_EQ(resumed.text(), "first ");
  writer->write(as_bytes("second"));
  std::move(*writer).commit("x");
  EXPECT_EQ(blobs_.read(expected, 100), "first second");
}

TEST_F(BlobStoreTest, RestartForgetsWhatWasThere) {
  const Digest expected = Digest::of("whole");
  blobs_.ingest(expected)->write(as_bytes("garbage"));
  auto writer = blobs_.ingest(expected);
  writer->restart();
  writer->write(as_bytes("whole"));
  std::move(*writer).commit("x", 5);
  EXPECT_TRUE(blobs_.has(expected));
}

TEST_F(BlobStoreTest, SecondDownloadWaitsForTheFirstAndFindsItsBlob) {
  const Digest expected = Digest::of("bytes");
  auto writer = blobs_.ingest(expected);
  bool found_blob = false;
  std::thread other([&] { found_blob = !blobs_.ingest(expected).has_value(); });
  writer->write(as_bytes("bytes"));
  std::move(*writer).commit("x");
  writer.reset();
  other.join();
  EXPECT_TRUE(found_blob);
}

TEST_F(BlobStoreTest, UnknownBlobIsGoneWithoutCommit) {
  {
    BlobWriter writer = blobs_.ingest();
    writer.write(as_bytes("bytes"));
  }
  EXPECT_TRUE(list_directory(directory_.path() / "ingest").empty());
}

TEST_F(BlobStoreTest, IdlePartialsGoAndLockedOnesStay) {
  blobs_.ingest(Digest::of("idle"))->write(as_bytes("12345"));
  auto busy = blobs_.ingest(Digest::of("busy"));
  EXPECT_EQ(blobs_.drop_idle_partials(), 5u);
  EXPECT_EQ(list_directory(directory_.path() / "ingest"), std::vector<std::string>{Digest::of("busy").hex()});
}

TEST_F(BlobStoreTest, UnsyncedBlobsOfAnotherBootAreSettled) {
  const Descriptor synced = blobs_.put("x", "synced");
  markers_.sync();
  const Descriptor whole = blobs_.put("x", "whole");
  const Descriptor lost = blobs_.put("x", "lost");
  const UnsyncedMarkers next_boot(directory_.path(), "boot-2");
  EXPECT_EQ(next_boot.find_lost().size(), 2u);
  next_boot.settle_lost({"blobs/sha256/" + whole.digest.hex()}, trash_);
  EXPECT_TRUE(blobs_.has(synced.digest));
  EXPECT_TRUE(blobs_.has(whole.digest));
  EXPECT_FALSE(blobs_.has(lost.digest));
  EXPECT_FALSE(next_boot.has_lost());
}

TEST_F(BlobStoreTest, RemovedBlobIsInTheTrash) {
  const Descriptor blob = blobs_.put("x", "bytes");
  blobs_.remove(blob.digest, trash_);
  blobs_.remove(blob.digest, trash_);
  EXPECT_FALSE(blobs_.has(blob.digest));
  EXPECT_EQ(list_directory(trash_).size(), 1u);
}

}  // namespace
}  // namespace ctr
