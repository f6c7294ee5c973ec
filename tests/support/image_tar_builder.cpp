#include "tests/support/image_tar_builder.h"

#include <cstdio>
#include <cstring>

namespace ctr {

namespace {

std::string octal(std::uint64_t value, std::size_t width) {
  std::string digits(width - 1, '0');
  for (std::size_t i = width - 1; i-- > 0; value /= 8) digits[i] = static_cast<char>('0' + value % 8);
  return digits + '\0';
}

void put(std::string& block, std::size_t offset, const std::string& text) {
  std::memcpy(block.data() + offset, text.data(), text.size());
}

std::string padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512, '\0');
  return content;
}

std::string header(const TarBuilder::Member& member, std::size_t size) {
  std::string block(512, '\0');
  put(block, 0, member.name.substr(0, 100));
  put(block, 100, octal(member.mode, 8));
  put(block, 108, octal(member.uid, 8));
  put(block, 116, octal(member.gid, 8));
  put(block, 124, octal(size, 12));
  put(block, 136, octal(static_cast<std::uint64_t>(member.mtime), 12));
  put(block, 148, "        ");
  block[156] = member.type;
  put(block, 157, member.link.substr(0, 100));
  put(block, 257, std::string("ustar\0", 6) + "00");
  put(block, 329, octal(member.major, 8));
  put(block, 337, octal(member.minor, 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, 148, octal(sum, 7) + " ");
  return block;
}

std::string record(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  std::size_t size = rest.size() + 1;
  while (std::to_string(size).size() + rest.size() != size) ++size;
  return std::to_string(size) + rest;
}

}  // namespace

TarBuilder& TarBuilder::add(const Member& member) {
  if (!member.pax.empty()) {
    std::string records;
    for (const auto& [key, value] : member.pax) records += record(key, value);
    bytes_ += header({"pax", 'x'}, records.size()) + padded(records);
  }
  bytes_ += header(member, member.content.size()) + padded(member.content);
  return *this;
}

}  // namespace ctr
