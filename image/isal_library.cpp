#include "image/isal_library.h"

#include <cstring>
#include <dlfcn.h>

namespace ctr {

namespace {

template <typename Function>
bool find_symbol(void* library, const char* name, Function& function) {
  void* symbol = ::dlsym(library, name);
  if (symbol == nullptr) return false;
  std::memcpy(&function, &symbol, sizeof function);
  return true;
}

IsalLibrary load() {
  IsalLibrary calls;
  void* library = ::dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
  const bool has_all = library != nullptr && find_symbol(library, "isal_inflate_init", calls.inflate_init) &&
                       find_symbol(library, "isal_inflate", calls.inflate) &&
                       find_symbol(library, "isal_deflate_init", calls.deflate_init) &&
                       find_symbol(library, "isal_deflate", calls.deflate);
  return has_all ? calls : IsalLibrary();
}

}  // namespace

const IsalLibrary* IsalLibrary::find() {
  static const IsalLibrary loaded = load();
  return loaded.deflate != nullptr ? &loaded : nullptr;
}

}  // namespace ctr
