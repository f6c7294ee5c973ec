// Netlink sockets and batches of requests: several messages go to the kernel in one system call, and come back as
// nothing or as one error with the request's own words. What the messages say is network_links.h's and nftables.h's.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/fd.h"

struct nlattr;
struct nlmsghdr;

namespace ctr {

enum class NetlinkBus { Route, Netfilter };

/// Requests in the order in which the kernel takes them.
class NetlinkBatch {
 public:
  /// Begins a message of at most `limit` bytes; the pointer is good until finish().
  nlmsghdr* start(std::uint16_t type, std::uint16_t flags, std::size_t limit = 2048);
  /// Ends it. `what` names it in an error: "add address 10.0.0.1/8 to ctr0". Errors in `tolerated` count as success.
  void finish(std::string what, std::initializer_list<int> tolerated = {});
  bool empty() const noexcept { return requests_.empty(); }

 private:
  friend class NetlinkSocket;
  struct Request {
    std::uint32_t sequence;
    std::string what;
    std::vector<int> tolerated;
  };
  std::vector<char> bytes_;
  std::size_t used_ = 0;
  std::vector<Request> requests_;
};

class NetlinkSocket {
 public:
  /// In the calling thread's network namespace.
  explicit NetlinkSocket(NetlinkBus bus);
  /// In another one.
  NetlinkSocket(NetlinkBus bus, int netns);

  /// Sends the batch and throws for the first request that failed. Route requests are carried out one by one, those
  /// after a failed one too; netfilter ones all or none (the caller puts the begin and end messages in).
  void run(const NetlinkBatch& batch) const;

  /// Sends a batch of one request and hands over each message of the answer, up to its end.
  void query(const NetlinkBatch& batch, const std::function<void(const nlmsghdr*)>& answer) const;

 private:
  void send(const NetlinkBatch& batch) const;
  Fd socket_;
};

/// The attributes of a message behind its family's header of `header_size` bytes, and those inside an attribute.
std::vector<const nlattr*> attributes_of(const nlmsghdr* message, std::size_t header_size);
std::vector<const nlattr*> attributes_in(const nlattr* nest);

}  // namespace ctr
