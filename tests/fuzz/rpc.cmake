basalt_fuzz(rpc_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/rpc_fuzz.cc DEPS rpc fake_node_api sign
  CORPUS ${CMAKE_CURRENT_LIST_DIR}/corpus/rpc)
