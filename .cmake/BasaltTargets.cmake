# One static library per directory that owns a part; explicit links; no globbing.
#
#   basalt_library(NAME SOURCES a.cc b.cc DEPS x y)      library NAME
#   basalt_executable(NAME SOURCES main.cc DEPS x)
#   basalt_test(NAME SOURCES a_test.cc DEPS x [LABELS unit])   one GoogleTest program, discovered by CTest
#   basalt_fuzz(NAME SOURCES a_fuzz.cc DEPS x CORPUS dir)      libFuzzer program; a replay test elsewhere

add_library(basalt_flags INTERFACE)
target_compile_features(basalt_flags INTERFACE cxx_std_20)
target_include_directories(basalt_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(basalt_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  -Wno-unused-parameter -Werror=return-type -Werror=switch -fstack-protector-strong)
if(BASALT_WERROR)
  target_compile_options(basalt_flags INTERFACE -Werror)
endif()

function(basalt_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC basalt_flags ${A_DEPS})
endfunction()

function(basalt_executable name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE basalt_flags ${A_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

function(basalt_test name)
  if(NOT BASALT_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE basalt_flags ${A_DEPS} basalt::gtest)
  if(BASALT_SANITIZE STREQUAL "thread")
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/tsan_absl_mutex.cc)
    target_link_libraries(${name} PRIVATE basalt::absl)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT} ENVIRONMENT "${A_ENVIRONMENT}")
endfunction()

# With the fuzz preset (clang): a libFuzzer program. Else: a test that replays the corpus once.
function(basalt_fuzz name)
  if(NOT BASALT_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(BASALT_FUZZ)
    add_executable(${name} ${A_SOURCES})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${A_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    # P8: the row of tests/README.md that every target proves.
    add_test(NAME ${name}.P8_corpus COMMAND ${name} ${A_CORPUS})
    set_tests_properties(${name}.P8_corpus PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
  target_link_libraries(${name} PRIVATE basalt_flags ${A_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
endfunction()
