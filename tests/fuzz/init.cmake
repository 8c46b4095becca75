basalt_fuzz(init_fuzz SOURCES init_fuzz.cc DEPS init_core
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/init)
