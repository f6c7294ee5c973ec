// The program: reads the words of the command line, finds the command, runs it, and turns what goes wrong into one
// sentence and an exit status.
#include <string>
#include <vector>

#include "cli/program.h"

int main(int argc, char** argv) { return ctr::run_program(std::vector<std::string>(argv, argv + argc)); }
