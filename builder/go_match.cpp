#include "builder/go_match.h"

#include <vector>

#include "base/error.h"
#include "builder/glob_class.h"
#include "builder/utf8.h"

namespace ctr {

namespace {

struct Item {
  enum class Kind { Character, AnyCharacter, AnyText, Class };
  Kind kind = Kind::Character;
  char32_t character = 0;
  GlobClass characters;

  bool matches(char32_t c) const {
    switch (kind) {
      case Kind::Character:
        return c == character;
      case Kind::AnyCharacter:
        return c != U'/';
      case Kind::AnyText:
        return false;
      case Kind::Class:
        break;
    }
    return c != U'/' && characters.contains(c);
  }
};

std::vector<Item> parse_items(std::string_view rest) {
  std::vector<Item> items;
  while (!rest.empty()) {
    const char32_t c = take_character(rest);
    if (c == U'*') {
      // A row of stars means no more than one.
      if (items.empty() || items.back().kind != Item::Kind::AnyText) items.push_back({Item::Kind::AnyText, 0, {}});
    } else if (c == U'?') {
      items.push_back({Item::Kind::AnyCharacter, 0, {}});
    } else if (c == U'[') {
      items.push_back({Item::Kind::Class, 0, GlobClass::parse(rest)});
    } else if (c == U'\\') {
      if (rest.empty()) throw Error(ErrorKind::Invalid, "syntax error in pattern");
      items.push_back({Item::Kind::Character, take_character(rest), {}});
    } else {
      items.push_back({Item::Kind::Character, c, {}});
    }
  }
  return items;
}

bool match_items(const std::vector<Item>& items, std::string_view name) {
  std::size_t item = 0;
  // Where to try again after a mismatch: behind the last star, which then takes one character more. An earlier star
  // never needs a second chance, because the later one can take whatever it could have taken.
  std::size_t star_item = 0;
  std::string_view star_rest;
  bool has_star = false;
  while (true) {
    if (item < items.size() && items[item].kind == Item::Kind::AnyText) {
      has_star = true;
      star_item = ++item;
      star_rest = name;
      continue;
    }
    if (name.empty() && item == items.size()) return true;
    std::string_view after = name;
    if (!name.empty() && item < items.size() && items[item].matches(take_character(after))) {
      name = after;
      ++item;
      continue;
    }
    if (!has_star || star_rest.empty() || take_character(star_rest) == U'/') return false;
    name = star_rest;
    item = star_item;
  }
}

}  // namespace

bool go_match(std::string_view pattern, std::string_view name) {
  return match_items(parse_items(pattern), name);
}

bool has_glob_characters(std::string_view text) noexcept {
  return text.find_first_of("*?[\\") != std::string_view::npos;
}

std::string clean_path(std::string_view path) {
  const bool is_absolute = path.starts_with('/');
  std::vector<std::string_view> kept;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size() < path.size() ? part.size() + 1 : part.size());
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (!kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (!is_absolute) {
      kept.push_back(part);
    }
  }
  std::string clean = is_absolute ? "/" : "";
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) clean += '/';
    clean += kept[i];
  }
  return clean.empty() ? "." : clean;
}

}  // namespace ctr
