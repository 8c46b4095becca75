basalt_fuzz(dsse_fuzz SOURCES dsse_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/dsse)
basalt_fuzz(keys_fuzz SOURCES keys_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/keys)
basalt_fuzz(schemes_fuzz SOURCES schemes_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/schemes)
foreach(part armor header payload)
  basalt_fuzz(seal_${part}_fuzz SOURCES seal_${part}_fuzz.cc DEPS seal CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/seal_${part})
endforeach()
basalt_fuzz(merkle_fuzz SOURCES merkle_fuzz.cc DEPS merkle CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/merkle)
basalt_fuzz(seal_context_fuzz SOURCES seal_context_fuzz.cc DEPS seal_config
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/seal_context)
basalt_fuzz(vouching_fuzz SOURCES vouching_fuzz.cc DEPS sign CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/vouching)
basalt_fuzz(secure_boot_fuzz SOURCES secure_boot_fuzz.cc DEPS secure_boot
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/secure_boot)
