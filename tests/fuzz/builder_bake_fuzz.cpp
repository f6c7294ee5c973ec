// Any bytes as a bake file. The first byte chooses the language.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "builder/bake.h"
#include "builder/build.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ctr;
  if (size == 0) return 0;
  static const char* const kNames[] = {"a.hcl", "a.json", "a.yaml", "a"};
  const std::vector<BakeFile> files = {
      {kNames[data[0] % 4], std::string(reinterpret_cast<const char*>(data) + 1, size - 1)}};
  BakeOptions options;
  options.environment = [](std::string_view name) {
    return name == "TAG" ? std::optional<std::string>("v1") : std::nullopt;
  };
  try {
    list_bake(files, options, BakeList::Variables);
  } catch (const Error&) {
  }
  try {
    options.targets = {"*"};
    options.sets = {"*.tags+=x", "*.args.A=b"};
    const BakePlan plan = plan_bake(files, options);
    print_bake(plan);
    for (const BakeTarget& target : plan.targets) {
      try {
        bake_build_request(target);
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
