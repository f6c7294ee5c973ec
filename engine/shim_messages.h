// Single messages of the shim's protocol on a connected socket, as the client side sends and receives them.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shim/protocol.h"

namespace ctr {

struct ShimMessage {
  MessageType type = MessageType::Done;
  std::string payload;
};

/// Throws Unavailable when the shim has gone.
void send_shim_message(int socket, MessageType type, std::string_view payload = {}, std::span<const int> fds = {});

/// Fills `message`, reusing its memory; waits if there is none. False when the shim has closed the connection.
bool receive_shim_message(int socket, ShimMessage& message);

template <typename Payload>
std::string_view payload_bytes(const Payload& payload) {
  return {reinterpret_cast<const char*>(&payload), sizeof payload};
}

/// The payload at the front of a message; zeros where the message is too short.
template <typename Payload>
Payload payload_of(const ShimMessage& message) {
  Payload payload = {};
  std::memcpy(&payload, message.payload.data(), std::min(sizeof payload, message.payload.size()));
  return payload;
}

/// The sentence behind a message's payload.
template <typename Payload>
std::string sentence_of(const ShimMessage& message) {
  return message.payload.size() > sizeof(Payload) ? message.payload.substr(sizeof(Payload)) : std::string();
}

}  // namespace ctr
