#include "engine/container_names.h"

#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::string_view kAdjectives[] = {
    "agile",    "amber",    "ample",    "apt",      "artful",   "awake",    "balmy",    "beaming",  "bold",
    "brave",    "breezy",   "bright",   "brisk",    "calm",     "candid",   "careful",  "cheery",   "civil",
    "clear",    "clever",   "coastal",  "cosy",     "crisp",    "curious",  "daring",   "deft",     "diligent",
    "dreamy",   "eager",    "earnest",  "easy",     "fair",     "famous",   "fearless", "fluent",   "fond",
    "frank",    "fresh",    "gentle",   "genuine",  "glad",     "golden",   "graceful", "handy",    "happy",
    "hardy",    "hopeful",  "humble",   "jolly",    "joyful",   "just",     "keen",     "kind",     "lively",
    "loyal",    "lucid",    "lucky",    "mellow",   "merry",    "mild",     "modest",   "neat",     "nimble",
    "noble",    "open",     "patient",  "placid",   "plucky",   "polite",   "prompt",   "proud",    "quick",
    "quiet",    "rapid",    "ready",    "rosy",     "sage",     "sensible", "serene",   "sharp",    "silent",
    "sincere",  "smooth",   "snug",     "sober",    "solid",    "spry",     "steady",   "stellar",  "sturdy",
    "sunny",    "swift",    "tactful",  "tender",   "thrifty",  "tidy",     "trim",     "trusty",   "upbeat",
    "valiant",  "vivid",    "warm",     "wise",     "witty",    "zealous",
};

constexpr std::string_view kSurnames[] = {
    "abel",       "agnesi",     "anning",   "archimedes", "avicenna",  "avogadro", "banach",    "bell",     "bernoulli",
    "bessel",     "bohr",       "bose",     "boole",      "boyle",     "brahe",    "cantor",    "carson",   "cavendish",
    "celsius",    "chebyshev",  "church",   "clarke",     "copernicus","curie",    "dalton",    "darwin",   "davy",
    "dijkstra",   "dirac",      "doppler",  "edison",     "euclid",    "euler",    "faraday",   "fermat",   "fermi",
    "fourier",    "franklin",   "galois",   "gauss",      "germain",   "godel",    "goodall",   "haber",    "halley",
    "hamilton",   "heisenberg", "herschel", "hertz",      "hilbert",   "hooke",    "hopper",    "hubble",   "huygens",
    "hypatia",    "jacobi",     "joule",    "kepler",     "knuth",     "kovalevskaya", "lagrange", "lamarr", "laplace",
    "leibniz",    "linnaeus",   "lovelace", "mach",       "maxwell",   "mcclintock", "meitner", "mendel",   "mendeleev",
    "mirzakhani", "newton",     "nobel",    "noether",    "ohm",       "pascal",   "pasteur",   "pauling",  "planck",
    "poincare",   "ptolemy",    "raman",    "ramanujan",  "riemann",   "ritchie",  "rontgen",   "rubin",    "sagan",
    "shannon",    "snell",      "somerville", "stokes",   "tesla",     "thompson", "torricelli", "turing",  "volta",
    "watt",       "weyl",       "wiles",    "wright",     "wu",        "yalow",    "yukawa",
};

template <std::size_t Size>
std::string_view pick(const std::string_view (&words)[Size], std::uint64_t number) {
  return words[number % Size];
}

}  // namespace

std::string generate_container_name() {
  const std::uint64_t random = parse_uint(random_hex(8), 16).value_or(0);
  std::string name(pick(kAdjectives, random & 0xffffffff));
  name += '_';
  name += pick(kSurnames, random >> 32);
  return name;
}

}  // namespace ctr
