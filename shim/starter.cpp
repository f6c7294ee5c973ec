#include "shim/starter.h"

#include <cstring>

#include "base/error.h"
#include "base/unix_socket.h"

namespace ctr {

namespace {

template <typename Payload>
std::string packet_of(MessageType type, const Payload& payload, std::string_view text) {
  const MessageHeader header = {type, {}};
  std::string packet(sizeof header + sizeof payload, '\0');
  std::memcpy(packet.data(), &header, sizeof header);
  std::memcpy(packet.data() + sizeof header, &payload, sizeof payload);
  return packet.append(text.substr(0, kMaxPayload - sizeof payload));
}

}  // namespace

void Starter::receive() {
  for (;;) {
    Message message = receive_message(connection_.get(), sizeof(MessageHeader) + kMaxPayload);
    if (message.is_end) throw Error(ErrorKind::Unavailable, "the starter went away");
    if (message.bytes.size() < sizeof(MessageHeader))
      throw Error(ErrorKind::Invalid, "a message of the starter is too short");
    const std::string_view payload = std::string_view(message.bytes).substr(sizeof(MessageHeader));
    const auto type = static_cast<MessageType>(message.bytes.front());
    if (type == MessageType::Network) {
      networks_.push_back({std::string(payload), std::move(message.fds)});
      continue;
    }
    if (type != MessageType::Begin || payload.size() < sizeof begin_) {
      throw Error(ErrorKind::Invalid, "the starter speaks an unknown protocol");
    }
    std::memcpy(&begin_, payload.data(), sizeof begin_);
    if (begin_.version < kOldestShimProtocol || begin_.version > kShimProtocol) {
      throw Error(ErrorKind::Invalid, "ctr and ctr-shim are of different releases: install both anew");
    }
    return;
  }
}

void Starter::report_started(pid_t pid) noexcept {
  try {
    send_message(connection_.get(), as_bytes(packet_of(MessageType::Started, StartedPayload{pid}, {})));
  } catch (const std::exception&) {
    connection_.reset();  // it died in the meantime: the process runs, detached
  }
}

void Starter::report_failure(const std::exception& error, int exit_code) noexcept {
  FailurePayload failure = {exit_code, static_cast<std::int32_t>(ErrorKind::System), 0};
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    failure.kind = static_cast<std::int32_t>(known->kind());
    failure.error_number = known->error_number();
  }
  try {
    send_message(connection_.get(), as_bytes(packet_of(MessageType::Failed, failure, error.what())));
  } catch (const std::exception&) {
    connection_.reset();
  }
}

}  // namespace ctr
