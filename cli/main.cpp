// The program: reads the words of the command line, finds the command, runs it, and turns what goes wrong into one
// sentence and an exit status.
#include <string>
#include <string_view>
#include <vector>

#include "cli/program.h"
#include "runtime/oci_main.h"

int main(int argc, char** argv) {
  // The OCI runtime is this program under another name, with another command line.
  const std::string_view name = argc > 0 ? argv[0] : "";
  if (name.substr(name.rfind('/') + 1) == "ctr-oci") return ctr::oci_main(argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "oci") return ctr::oci_main(argc - 1, argv + 1);
  return ctr::run_program(std::vector<std::string>(argv, argv + argc));
}
