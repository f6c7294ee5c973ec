# Third-party libraries, each behind one interface target. Static archives where Debian ships them: an empty program
# with libarchive and libcrypto as shared libraries takes 2.8 ms to start, with the archives 0.6 to 0.9 ms.
find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CURL REQUIRED)
find_path(SECCOMP_INCLUDE seccomp.h REQUIRED)

function(ctr_dependency target)
  add_library(${target} INTERFACE)
  foreach(name IN LISTS ARGN)
    find_library(CTR_LIB_${name} NAMES lib${name}.a ${name} REQUIRED)
    target_link_libraries(${target} INTERFACE ${CTR_LIB_${name}})
  endforeach()
endfunction()

add_library(ctr_json INTERFACE)
target_link_libraries(ctr_json INTERFACE nlohmann_json::nlohmann_json)
ctr_dependency(ctr_crypto crypto)
ctr_dependency(ctr_archive archive acl)
ctr_dependency(ctr_compression deflate zstd z lzma bz2)
target_link_libraries(ctr_archive INTERFACE ctr_compression ctr_crypto)
ctr_dependency(ctr_seccomp seccomp)
ctr_dependency(ctr_yaml yaml)
ctr_dependency(ctr_netlink nftnl mnl nl-route-3 nl-3)
target_include_directories(ctr_netlink INTERFACE /usr/include/libnl3)
# Shared on purpose: its static archive would bring GnuTLS along.
add_library(ctr_http_server INTERFACE)
target_link_libraries(ctr_http_server INTERFACE microhttpd crypt)
