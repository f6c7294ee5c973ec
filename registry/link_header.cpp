#include "registry/link_header.h"

#include "base/text.h"

namespace ctr {
namespace {

bool is_next(std::string_view parameters) {
  for (const std::string& part : split(parameters, ';')) {
    const auto pair = cut(part, '=');
    if (!pair || lower(trim(pair->first)) != "rel") continue;
    const std::string_view value = without_suffix(without_prefix(trim(pair->second), "\""), "\"");
    if (lower(value) == "next") return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> parse_next_link(std::string_view field) {
  while (true) {
    const std::size_t start = field.find('<');
    if (start == std::string_view::npos) return std::nullopt;
    const std::size_t end = field.find('>', start);
    if (end == std::string_view::npos) return std::nullopt;
    const std::size_t next = field.find('<', end);
    const std::string_view parameters = field.substr(end + 1, next == std::string_view::npos ? next : next - end - 1);
    if (is_next(without_suffix(trim(parameters), ","))) return std::string(field.substr(start + 1, end - start - 1));
    if (next == std::string_view::npos) return std::nullopt;
    field.remove_prefix(next);
  }
}

std::optional<std::string> next_page(const HttpResponse& response) {
  for (const std::string& field : response.headers.find_all("Link")) {
    if (auto next = parse_next_link(field)) return next;
  }
  return std::nullopt;
}

}  // namespace ctr
