# BASALT_VERSION and BASALT_BUILD_TIME for the few files that say them. The build time is a floor of the
# clock, not a stamp: the time of the last commit, so that two builds of one commit are the same.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(_time $ENV{SOURCE_DATE_EPOCH})
else()
  execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} log -1 --format=%ct OUTPUT_VARIABLE _time
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT _time)
  set(_time 1795478400)  # 2026-11-24: a source tree without its history
endif()
add_library(basalt_version INTERFACE)
target_compile_definitions(basalt_version INTERFACE BASALT_VERSION="${PROJECT_VERSION}" BASALT_BUILD_TIME=${_time})
