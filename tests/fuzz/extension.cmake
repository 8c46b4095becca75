basalt_fuzz(extension_fuzz SOURCES extension_fuzz.cc DEPS controller_extensions sign
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/extension)
