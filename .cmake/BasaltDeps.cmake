# The only names that anybody links: basalt::grpc, basalt::protobuf, basalt::absl, basalt::crypto,
# basalt::yaml, basalt::curl, basalt::json, basalt::mnl, basalt::zlib, basalt::gtest, basalt::cli.
#
# BASALT_LINK=static  gRPC, protobuf, Abseil and yaml-cpp from their archives; glibc and OpenSSL dynamic.
#                     Release, CI and benchmarks: no 56 shared objects to load at start.
# BASALT_LINK=shared  Debian's shared libraries: the edit loop and the sanitizers.
set(BASALT_LINK shared CACHE STRING "How to link gRPC and its dependencies: static or shared")
set_property(CACHE BASALT_LINK PROPERTY STRINGS static shared)

find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(Protobuf REQUIRED)
find_package(CURL REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_program(BASALT_PROTOC protoc REQUIRED)
find_program(BASALT_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)

foreach(name grpc protobuf absl crypto yaml curl json mnl cli zlib)
  add_library(basalt_dep_${name} INTERFACE)
  add_library(basalt::${name} ALIAS basalt_dep_${name})
endforeach()

target_link_libraries(basalt_dep_crypto INTERFACE OpenSSL::SSL OpenSSL::Crypto)
target_link_libraries(basalt_dep_json INTERFACE nlohmann_json::nlohmann_json)
# gRPC brings it along; user-data of clouds is compressed with it.
target_link_libraries(basalt_dep_zlib INTERFACE ZLIB::ZLIB)
# Debian has no archive of libmnl: both recipes link the shared one (28 KiB).
pkg_check_modules(BASALT_MNL REQUIRED IMPORTED_TARGET libmnl)
target_link_libraries(basalt_dep_mnl INTERFACE PkgConfig::BASALT_MNL)

if(BASALT_LINK STREQUAL "static")
  # Debian's CMake targets for gRPC and Abseil are shared only, so the archives are named here. They
  # depend on one another in circles: one group resolves them.
  function(_basalt_archive out name)
    find_library(BASALT_A_${name} NAMES lib${name}.a REQUIRED)
    set(${out} ${BASALT_A_${name}} PARENT_SCOPE)
  endfunction()
  get_filename_component(_libdir ${OPENSSL_CRYPTO_LIBRARY} DIRECTORY)
  file(GLOB _absl_archives ${_libdir}/libabsl_*.a)
  list(FILTER _absl_archives EXCLUDE REGEX "libabsl_(flags|failure_signal)")
  set(_group "")
  foreach(a grpc++ grpc gpr upb address_sorting re2 cares protobuf)
    _basalt_archive(_one ${a})
    list(APPEND _group ${_one})
  endforeach()
  set(_all -Wl,--start-group ${_group} ${_absl_archives} -Wl,--end-group)
  _basalt_archive(_pb protobuf)
  target_link_libraries(basalt_dep_absl INTERFACE -Wl,--start-group ${_absl_archives} -Wl,--end-group Threads::Threads)
  target_link_libraries(basalt_dep_protobuf INTERFACE ${_pb} basalt_dep_absl ZLIB::ZLIB Threads::Threads)
  target_link_libraries(basalt_dep_grpc INTERFACE ${_all} OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB Threads::Threads ${CMAKE_DL_LIBS})
  # With stand-ins for what of it is never used (server/fetch/left_out.cc); where the archive wants
  # more than those, the shared one.
  _basalt_archive(_curl curl)
  set(_curl_libraries ${_curl} -lidn2 OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB)
  file(WRITE ${PROJECT_BINARY_DIR}/curl_links.cc
    "#include <curl/curl.h>\nint main() { curl_global_init(CURL_GLOBAL_DEFAULT); curl_easy_perform(curl_easy_init()); }\n")
  try_compile(BASALT_CURL_ARCHIVE ${PROJECT_BINARY_DIR}/curl_links
    SOURCES ${PROJECT_BINARY_DIR}/curl_links.cc ${PROJECT_SOURCE_DIR}/server/fetch/left_out.cc
    LINK_LIBRARIES ${_curl_libraries} Threads::Threads)
  if(BASALT_CURL_ARCHIVE)
    target_link_libraries(basalt_dep_curl INTERFACE ${_curl_libraries})
  else()
    message(STATUS "libcurl's archive wants other libraries than the known ones: linking the shared one")
  endif()
  _basalt_archive(_yaml yaml-cpp)
  target_link_libraries(basalt_dep_yaml INTERFACE ${_yaml})
else()
  find_package(gRPC CONFIG REQUIRED)
  find_package(yaml-cpp CONFIG REQUIRED)
  target_link_libraries(basalt_dep_absl INTERFACE absl::status absl::statusor absl::strings
    absl::str_format absl::time absl::synchronization absl::flat_hash_map absl::span absl::cord
    absl::cleanup absl::random_random)
  target_link_libraries(basalt_dep_protobuf INTERFACE protobuf::libprotobuf)
  target_link_libraries(basalt_dep_grpc INTERFACE gRPC::grpc++ protobuf::libprotobuf basalt_dep_absl)
  target_link_libraries(basalt_dep_yaml INTERFACE yaml-cpp)
endif()

if(NOT BASALT_CURL_ARCHIVE)
  target_link_libraries(basalt_dep_curl INTERFACE CURL::libcurl)
endif()

if(BASALT_TESTS)
  find_package(GTest REQUIRED)
  add_library(basalt_dep_gtest INTERFACE)
  add_library(basalt::gtest ALIAS basalt_dep_gtest)
  target_link_libraries(basalt_dep_gtest INTERFACE GTest::gmock GTest::gtest GTest::gtest_main)
endif()
