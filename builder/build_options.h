// Parses the comma-separated values of build flags (--output, --cache-to, --secret, --ssh) into the request's types,
// with Docker's shorthands. Used by the command line and by bake files alike.
#pragma once

#include <string_view>

#include "builder/build.h"

namespace ctr {

/// `type=oci,dest=x.tar`, or a bare path (`type=local,dest=PATH`), or `-` (`type=tar,dest=-`).
TypedOptions parse_build_output(std::string_view text);

/// `type=registry,ref=…,mode=max`, or a bare reference (`type=registry,ref=…`).
TypedOptions parse_cache_option(std::string_view text);

/// `id=X[,src=FILE|,env=NAME][,type=file|env]`; without src and env: the variable X if it is set, else the file X.
BuildSecret parse_build_secret(std::string_view text);

/// `default`, `default=PATH[,PATH]`, `ID=PATH`.
SshForward parse_ssh_forward(std::string_view text);

}  // namespace ctr
