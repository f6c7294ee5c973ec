// ctr-runtime: what `ctr-oci` becomes before it makes or enters a container. `ctr-oci` is a name of ctr, whose file must
// not be the one that a container's first process is a copy of (runtime/protected_program.h), so it executes itself again
// anyway; this program is static and holds the runtime alone.
#include <string_view>

#include "runtime/oci_main.h"

int main(int argc, char** argv) {
  const bool is_command_of_ctr = argc > 1 && std::string_view(argv[1]) == "oci";
  return is_command_of_ctr ? ctr::oci_main(argc - 1, argv + 1) : ctr::oci_main(argc, argv);
}
