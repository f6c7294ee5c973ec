// The messages are D-Bus 1.0 (dbus.freedesktop.org/doc/dbus-specification.html), little-endian: a fixed header, an array
// of header fields (code, variant), padding to 8, then the arguments. We send three and read answers until ours comes.
#include "runtime/network_firewalld.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::uint8_t kMethodCall = 1;
constexpr std::uint8_t kMethodReturn = 2;
constexpr std::uint8_t kError = 3;
constexpr std::size_t kHeaderSize = 16;
constexpr std::uint32_t kLongestMessage = 1 << 20;
constexpr int kTimeoutSeconds = 2;

// Header fields.
constexpr std::uint8_t kPath = 1;
constexpr std::uint8_t kInterface = 2;
constexpr std::uint8_t kMember = 3;
constexpr std::uint8_t kErrorName = 4;
constexpr std::uint8_t kReplySerial = 5;
constexpr std::uint8_t kDestination = 6;
constexpr std::uint8_t kSignature = 8;

class MessageWriter {
 public:
  void pad(std::size_t boundary) { bytes_.resize((bytes_.size() + boundary - 1) / boundary * boundary); }
  void byte(std::uint8_t value) { bytes_ += static_cast<char>(value); }
  void number(std::uint32_t value) {
    pad(4);
    for (int shift = 0; shift < 32; shift += 8) byte(static_cast<std::uint8_t>(value >> shift));
  }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
    byte(0);
  }
  void signature(std::string_view value) {
    byte(static_cast<std::uint8_t>(value.size()));
    bytes_ += value;
    byte(0);
  }
  /// (code, variant of a text-like type)
  void field(std::uint8_t code, char type, std::string_view value) {
    pad(8);
    byte(code);
    signature(std::string(1, type));
    if (type == 'g') {
      signature(value);
    } else {
      text(value);
    }
  }
  void set_number(std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes_[at + i] = static_cast<char>(value >> (8 * i));
  }
  std::size_t size() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

struct Call {
  std::string destination;
  std::string path;
  std::string interface;
  std::string member;
  std::vector<std::string> arguments;
};

std::string encode(const Call& call, std::uint32_t serial) {
  MessageWriter body;
  for (const std::string& argument : call.arguments) body.text(argument);
  MessageWriter message;
  for (std::uint8_t byte : {std::uint8_t{'l'}, kMethodCall, std::uint8_t{0}, std::uint8_t{1}}) message.byte(byte);
  message.number(static_cast<std::uint32_t>(body.size()));
  message.number(serial);
  message.number(0);  // length of the fields, set below
  message.field(kPath, 'o', call.path);
  message.field(kInterface, 's', call.interface);
  message.field(kMember, 's', call.member);
  message.field(kDestination, 's', call.destination);
  if (!call.arguments.empty()) message.field(kSignature, 'g', std::string(call.arguments.size(), 's'));
  message.set_number(12, static_cast<std::uint32_t>(message.size() - kHeaderSize));
  message.pad(8);
  return message.bytes() + body.bytes();
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  if (at + 4 > bytes.size()) return 0;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

struct Answer {
  std::uint8_t type = 0;
  std::uint32_t reply_to = 0;
  std::string error_name;
};

/// The fields that matter, of a message that is all there.
Answer decode(std::string_view message) {
  Answer answer;
  answer.type = static_cast<std::uint8_t>(message[1]);
  const std::size_t end = kHeaderSize + number_at(message, 12);
  for (std::size_t at = kHeaderSize; at + 8 <= end && end <= message.size();) {
    const auto code = static_cast<std::uint8_t>(message[at]);
    const char type = message[at + 2];  // a signature of one letter: length, letter, 0
    at += 4;
    if (type == 'u') {
      if (code == kReplySerial) answer.reply_to = number_at(message, at);
      at += 4;
    } else if (type == 'g') {
      at += 2 + static_cast<unsigned char>(message[at]);
    } else {
      const std::uint32_t length = number_at(message, at);
      if (length > end - at) break;
      if (code == kErrorName) answer.error_name = message.substr(at + 4, length);
      at += 5 + length;
    }
    at = (at + 7) / 8 * 8;
  }
  return answer;
}

class Bus {
 public:
  Bus() : socket_(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "open socket")) {
    const timeval timeout{kTimeoutSeconds, 0};
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = system_bus_path().string();
    if (path.size() >= sizeof address.sun_path) throw Error(ErrorKind::Invalid, "path of the system bus is too long");
    path.copy(address.sun_path, path.size());
    check(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect to the system bus", path);
    authenticate();
    call({"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", {}});
  }

  /// Returns the name of the error that came back, or "".
  std::string call(const Call& call) {
    const std::uint32_t serial = ++serial_;
    send(encode(call, serial));
    for (;;) {
      std::string header = receive(kHeaderSize);
      const std::uint64_t rest = (number_at(header, 12) + 7ull) / 8 * 8 + number_at(header, 4);
      if (header[0] != 'l' || rest > kLongestMessage) throw Error(ErrorKind::Unavailable, "the system bus speaks another dialect");
      const Answer answer = decode(header + receive(rest));
      if (answer.reply_to != serial) continue;  // signals, and what others say
      if (answer.type == kMethodReturn) return {};
      if (answer.type == kError) return answer.error_name;
    }
  }

 private:
  void authenticate() {
    std::string uid_digits;
    for (char c : std::to_string(::geteuid())) {
      uid_digits += "0123456789abcdef"[c >> 4];
      uid_digits += "0123456789abcdef"[c & 15];
    }
    send(std::string(1, '\0') + "AUTH EXTERNAL " + uid_digits + "\r\n");
    std::string line;
    while (!line.ends_with("\r\n") && line.size() < 1024) line += receive(1);
    if (!line.starts_with("OK")) throw Error(ErrorKind::Denied, "the system bus refused us");
    send("BEGIN\r\n");
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      check(sent, "send to the system bus");
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  std::string receive(std::uint64_t size) {
    std::string bytes(size, '\0');
    for (std::size_t got = 0; got < bytes.size();) {
      const ssize_t part = ::recv(socket_.get(), bytes.data() + got, bytes.size() - got, 0);
      check(part, "receive from the system bus");
      if (part == 0) throw Error(ErrorKind::Unavailable, "the system bus hung up");
      got += static_cast<std::size_t>(part);
    }
    return bytes;
  }
  Fd socket_;
  std::uint32_t serial_ = 0;
};

void call_firewalld(const std::string& member, const std::string& interface, std::string_view tolerated) {
  in_context("firewalld: " + member, [&] {
    Bus bus;
    const std::string error = bus.call({"org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1",
                                        "org.fedoraproject.FirewallD1.zone", member, {"trusted", interface}});
    // firewalld has one error for everything; that the interface is where it should be is no failure.
    if (!error.empty() && error.find(tolerated) == error.npos) throw Error(ErrorKind::Unavailable, error);
  });
}

}  // namespace

fs::path system_bus_path() {
  const char* configured = std::getenv("DBUS_SYSTEM_BUS_ADDRESS");
  constexpr std::string_view kUnix = "unix:path=";
  if (configured != nullptr && std::string_view(configured).starts_with(kUnix)) {
    return split(std::string_view(configured).substr(kUnix.size()), ',').front();
  }
  return "/run/dbus/system_bus_socket";
}

void add_to_trusted_zone(const std::string& interface) {
  // changeZoneOfInterface takes it out of another zone first, and is content when it is in this one.
  call_firewalld("changeZoneOfInterface", interface, "ZONE_ALREADY_SET");
}

void remove_from_trusted_zone(const std::string& interface) {
  call_firewalld("removeInterface", interface, "UNKNOWN_INTERFACE");
}

}  // namespace ctr
