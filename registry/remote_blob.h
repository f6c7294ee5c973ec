// A blob of a registry as a body to send elsewhere: a thread of its own downloads (and resumes after breaks) into a
// bounded pipe that the upload reads from. Verified on the way: the end is an error if the digest is wrong.
#pragma once

#include <exception>
#include <memory>
#include <thread>

#include "image/byte_pipe.h"
#include "image/descriptor.h"
#include "registry/http.h"
#include "registry/registry_client.h"
#include "registry/retry.h"

namespace ctr {

class RemoteBlob : public HttpBodySource {
 public:
  /// Borrows the client and the policy.
  RemoteBlob(RegistryClient& client, const Descriptor& blob, const RetryPolicy& retry)
      : client_(client), blob_(blob), retry_(retry) {}
  ~RemoteBlob() override { stop(); }
  RemoteBlob(const RemoteBlob&) = delete;
  RemoteBlob& operator=(const RemoteBlob&) = delete;

  std::uint64_t size() const override { return blob_.size; }
  std::size_t read(std::span<std::byte> into) override;
  void rewind() override { stop(); }

 private:
  void start();
  void stop();
  void download();

  RegistryClient& client_;
  Descriptor blob_;
  const RetryPolicy& retry_;
  std::unique_ptr<BytePipe> pipe_;
  std::thread thread_;
  std::exception_ptr failure_;
  Hasher hasher_;
  std::uint64_t received_ = 0;
};

}  // namespace ctr
