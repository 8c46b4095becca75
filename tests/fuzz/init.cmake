basalt_fuzz(init_fuzz SOURCES init_fuzz.cc DEPS init_core
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/init)
basalt_fuzz(boot_fuzz SOURCES boot_fuzz.cc DEPS init_boot dhcp_lease
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/boot)
basalt_fuzz(gpt_fuzz SOURCES gpt_fuzz.cc DEPS gpt init_boot
  CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/gpt)
basalt_fuzz(unlock_fuzz SOURCES unlock_fuzz.cc DEPS unlock CORPUS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/unlock)
