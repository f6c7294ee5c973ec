// The program `ctr-oci`: an OCI runtime with runc's command line, for containerd, podman, CRI-O and Docker.
#pragma once

namespace ctr {

/// Runs one command and returns its exit status. argv[0] is ignored; errors go to standard error and to --log.
int oci_main(int argc, char** argv);

}  // namespace ctr
