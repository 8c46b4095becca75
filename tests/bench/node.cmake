if(TARGET client_fleet)
  basalt_executable(bench_node SOURCES node_bench.cc DEPS client_fleet sign base api_rpc)
  set_target_properties(bench_node PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endif()
