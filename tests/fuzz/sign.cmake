basalt_fuzz(dsse_fuzz SOURCES dsse_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/dsse)
basalt_fuzz(keys_fuzz SOURCES keys_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/keys)
basalt_fuzz(schemes_fuzz SOURCES schemes_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/schemes)
