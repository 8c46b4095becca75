basalt_fuzz(dsse_fuzz SOURCES dsse_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/dsse)
basalt_fuzz(keys_fuzz SOURCES keys_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/keys)
basalt_fuzz(schemes_fuzz SOURCES schemes_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/schemes)
foreach(part armor header payload)
  basalt_fuzz(seal_${part}_fuzz SOURCES seal_${part}_fuzz.cc DEPS seal CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/seal_${part})
endforeach()
basalt_fuzz(seal_context_fuzz SOURCES seal_context_fuzz.cc DEPS seal_config
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/seal_context)
basalt_fuzz(vouching_fuzz SOURCES vouching_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/vouching)
