basalt_fuzz(update_fuzz SOURCES update_fuzz.cc DEPS update init_boot sign
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/update)
